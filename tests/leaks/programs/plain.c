/* One socket through libc, to a literal address. Built for every libc, loader and architecture. */
#include "client.h"

int main(void)
{
    return print_greeting(socket(AF_INET, SOCK_STREAM, 0));
}
