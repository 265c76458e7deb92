/* A daemon: forks twice, leaves its session and opens the socket when nobody waits for it but a pipe. */
#include "client.h"

int main(void)
{
    int ends[2];
    char result = 1;

    if (pipe(ends) != 0)
        return 1;
    if (fork() != 0) {
        close(ends[1]);
        return read(ends[0], &result, 1) != 1 || result != 0;
    }
    setsid();
    if (fork() != 0)
        _exit(0);
    result = (char)print_greeting(socket(AF_INET, SOCK_STREAM, 0));
    return write(ends[1], &result, 1) != 1;
}
