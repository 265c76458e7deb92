/* Joins a multicast group on an interface (the argument): the kernel, not the socket, sends the report. */
#define _GNU_SOURCE
#include "client.h"
#include <net/if.h>
#include <netinet/in.h>

int main(int argc, char **argv)
{
    struct ip_mreqn join = {.imr_ifindex = (int)if_nametoindex(argc > 1 ? argv[1] : "eth0")};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    inet_pton(AF_INET, "233.252.0.7", &join.imr_multiaddr);
    if (setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof join) != 0) {
        perror("IP_ADD_MEMBERSHIP");
        return 1;
    }
    /* Reports are sent after a random delay of at most a second. */
    sleep(2);
    return 0;
}
