/* IPV6_PKTINFO towards a foreign interface (the argument), which the kernel itself refuses on a bound socket. */
#define _GNU_SOURCE
#include "client.h"
#include <net/if.h>
#include <netinet/in.h>

int main(int argc, char **argv)
{
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(7)};
    struct iovec data = {.iov_base = "x", .iov_len = 1};
    char control[CMSG_SPACE(sizeof(struct in6_pktinfo))] = {0};
    struct msghdr message = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &data, .msg_iovlen = 1,
                             .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    struct in6_pktinfo wish = {.ipi6_ifindex = if_nametoindex(argc > 1 ? argv[1] : "eth0")};

    inet_pton(AF_INET6, "2001:db8::80", &to.sin6_addr);
    header->cmsg_level = IPPROTO_IPV6;
    header->cmsg_type = IPV6_PKTINFO;
    header->cmsg_len = CMSG_LEN(sizeof wish);
    memcpy(CMSG_DATA(header), &wish, sizeof wish);
    if (sendmsg(socket(AF_INET6, SOCK_DGRAM, 0), &message, 0) < 0) {
        perror("sendmsg");
        return 1;
    }
    return 0;
}
