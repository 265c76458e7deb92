/* A raw system call right after a socket that libc made: a cookie left in a register would carry it past
   the filter. */
#include "client.h"
#include "socket.h"

#include <sys/syscall.h>

int main(void)
{
    int first = socket(AF_INET, SOCK_STREAM, 0);
    int second = (int)socket_by_syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);

    if (first < 0)
        return 1;
    return print_greeting(second);
}
