/* posix_spawn(3), which is a vfork in disguise. */
#include "client.h"
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

int main(void)
{
    char *arguments[] = {"plain", NULL};
    int status = 1;
    pid_t child;
    int error = posix_spawnp(&child, arguments[0], NULL, NULL, arguments, environ);

    if (error != 0) {
        fprintf(stderr, "posix_spawn: %s\n", strerror(error));
        return 1;
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
