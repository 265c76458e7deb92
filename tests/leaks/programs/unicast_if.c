/* IP_UNICAST_IF towards a foreign interface (the argument), which routes a datagram without binding its socket. */
#define _GNU_SOURCE
#include "client.h"
#include <net/if.h>
#include <netinet/in.h>

int main(int argc, char **argv)
{
    int wish = (int)htonl(if_nametoindex(argc > 1 ? argv[1] : "eth0"));
    struct sockaddr_in to = web_server();
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (setsockopt(fd, IPPROTO_IP, IP_UNICAST_IF, &wish, sizeof wish) != 0)
        perror("IP_UNICAST_IF");
    if (sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to) != 1) {
        perror("sendto");
        return 1;
    }
    return 0;
}
