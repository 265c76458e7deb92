/* An ICMP echo request through SOCK_RAW, which needs CAP_NET_RAW whatever makes the socket. */
#include "client.h"
#include <netinet/ip_icmp.h>
#include <poll.h>

int main(void)
{
    int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    struct icmphdr echo = {.type = ICMP_ECHO, .un.echo.id = htons(77), .checksum = htons(0xf7b2)};
    struct sockaddr_in to = web_server();
    struct pollfd answer = {.fd = fd, .events = POLLIN};

    if (fd < 0) {
        perror("socket");
        return errno == EPERM ? 77 : 1;
    }
    if (sendto(fd, &echo, sizeof echo, 0, (struct sockaddr *)&to, sizeof to) < 0) {
        perror("sendto");
        return 1;
    }
    return poll(&answer, 1, 2000) != 1;
}
