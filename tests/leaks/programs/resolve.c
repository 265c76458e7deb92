/* A name through libc's resolver, then a connection: three kinds of sockets that libc makes by itself. */
#include "client.h"
#include <netdb.h>

int main(void)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found, *one;
    int error = getaddrinfo("www.vrf.test", "7", &hints, &found);
    int fd = -1;

    if (error != 0) {
        fprintf(stderr, "getaddrinfo: %s\n", gai_strerror(error));
        return 1;
    }
    for (one = found; one != NULL; one = one->ai_next) {
        fd = socket(one->ai_family, one->ai_socktype, one->ai_protocol);
        if (fd >= 0 && connect(fd, one->ai_addr, one->ai_addrlen) == 0)
            return print_line(fd);
        perror("connect");
    }
    return 1;
}
