/* IP_PKTINFO: a datagram that names the interface it wants to leave by (the argument), whatever its socket is
   bound to. */
#define _GNU_SOURCE
#include "client.h"
#include <net/if.h>
#include <netinet/in.h>

int main(int argc, char **argv)
{
    struct sockaddr_in to = web_server();
    struct iovec data = {.iov_base = "x", .iov_len = 1};
    char control[CMSG_SPACE(sizeof(struct in_pktinfo))] = {0};
    struct msghdr message = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &data, .msg_iovlen = 1,
                             .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    struct in_pktinfo wish = {.ipi_ifindex = (int)if_nametoindex(argc > 1 ? argv[1] : "eth0")};

    header->cmsg_level = IPPROTO_IP;
    header->cmsg_type = IP_PKTINFO;
    header->cmsg_len = CMSG_LEN(sizeof wish);
    memcpy(CMSG_DATA(header), &wish, sizeof wish);
    if (sendmsg(socket(AF_INET, SOCK_DGRAM, 0), &message, 0) < 0) {
        perror("sendmsg");
        return 1;
    }
    return 0;
}
