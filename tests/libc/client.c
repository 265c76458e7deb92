/* A name through the library's resolver, then a question to it: sockets that the library makes by itself, and one that the
   program does. By UDP: what TCP acknowledges for a socket that is gone is in no socket's domain, with IPv6 and an interface
   that is no VRF. */
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* Asked again where no answer comes: a datagram may be lost, as the library's own, which asks again, too. */
static int answer(int fd)
{
    struct timeval second = {.tv_sec = 1};
    char bytes[64];
    ssize_t length = -1;
    int tries;

    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second) != 0)
        return 1;
    for (tries = 0; tries < 30 && length < 0 && write(fd, "who?", 4) == 4; tries++)
        length = read(fd, bytes, sizeof bytes);
    return length <= 0 || write(1, bytes, (size_t)length) != length;
}

int main(void)
{
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *found, *one;
    int error = getaddrinfo("www.vrf.test", "7", &hints, &found);

    if (error != 0) {
        fprintf(stderr, "getaddrinfo: %s\n", gai_strerror(error));
        return 1;
    }
    for (one = found; one != NULL; one = one->ai_next) {
        int fd = socket(one->ai_family, one->ai_socktype, one->ai_protocol);

        if (fd >= 0 && connect(fd, one->ai_addr, one->ai_addrlen) == 0)
            return answer(fd);
        perror("connect");
    }
    return 1;
}
