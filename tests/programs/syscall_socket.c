/* A program that goes past libc's socket(): through libc's syscall(). */
#include "client.h"
#include <sys/syscall.h>

int main(void)
{
    return print_greeting((int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));
}
