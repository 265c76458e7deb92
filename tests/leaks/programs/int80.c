/* A 64-bit program that uses the i386 table, and one of i386 that goes past its libc. */
#include "client.h"
#include "socket.h"

int main(void)
{
    int fd = socket_by_int80(AF_INET, SOCK_STREAM, 0);

    if (fd < 0)
        errno = -fd;
    return print_greeting(fd < 0 ? -1 : fd);
}
