/* The x32 table (Debian's kernels: with syscall.x32=y). */
#include "client.h"
#include "socket.h"

int main(void)
{
    long fd = socket_by_syscall(0x40000000 | 41, AF_INET, SOCK_STREAM, 0);

    if (fd < 0)
        errno = (int)-fd;
    return print_greeting(fd < 0 ? -1 : (int)fd);
}
