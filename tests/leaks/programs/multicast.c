/* A datagram to a group, by IP_MULTICAST_IF towards an interface (the argument). */
#define _GNU_SOURCE
#include "client.h"
#include <net/if.h>
#include <netinet/in.h>

int main(int argc, char **argv)
{
    struct ip_mreqn by = {.imr_ifindex = (int)if_nametoindex(argc > 1 ? argv[1] : "eth0")};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(7)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    inet_pton(AF_INET, "233.252.0.7", &to.sin_addr);
    if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof by) != 0)
        perror("IP_MULTICAST_IF");
    if (sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to) != 1) {
        perror("sendto");
        return 1;
    }
    return 0;
}
