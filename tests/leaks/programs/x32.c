/* The x32 table (Debian's kernels: with syscall.x32=y). */
#include "client.h"
#include "socket.h"

int main(void)
{
    return print_greeting((int)socket_by_syscall(0x40000000 | 41, AF_INET, SOCK_STREAM, 0));
}
