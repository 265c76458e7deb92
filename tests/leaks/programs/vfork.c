/* A child that borrows its parent's memory (vfork) makes the socket there. POSIX allows it nothing but exec; Linux
   and several shells' built-ins do more, and what a hook keeps in memory must stand it. */
#include "client.h"
#include <sys/wait.h>

int main(void)
{
    int status = 1;
    pid_t child = vfork();

    if (child == 0)
        _exit(print_greeting(socket(AF_INET, SOCK_STREAM, 0)));
    if (child > 0)
        waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
