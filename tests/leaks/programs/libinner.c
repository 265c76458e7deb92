/* A plug-in that opens a socket; its hosts load it in unusual ways. */
#include "client.h"
#include <netdb.h>

int inner(void);

int inner(void)
{
    struct addrinfo *found;

    /* The resolver's sockets are libc's own, those of whichever libc this plug-in sees. */
    if (getaddrinfo("inner.vrf.test", "7", NULL, &found) == 0)
        freeaddrinfo(found);
    return print_greeting(socket(AF_INET, SOCK_STREAM, 0));
}
