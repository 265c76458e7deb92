/* A 64-bit program that uses the i386 table, and one of i386 that goes past its libc. */
#include "client.h"
#include "socket.h"

int main(void)
{
    return print_greeting(socket_by_int80(AF_INET, SOCK_STREAM, 0));
}
