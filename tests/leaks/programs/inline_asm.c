/* The system call instruction itself: nothing that could be interposed. */
#include "client.h"
#include "socket.h"

#include <sys/syscall.h>

int main(void)
{
    return print_greeting((int)socket_by_syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));
}
