/* A socket of a certain kind, or with an option of its own, that the first argument names; the second is an interface.
   What is sent goes to the web server, or to a multicast group. */
#define _GNU_SOURCE
#include "client.h"
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdlib.h>

static int failed(const char *call)
{
    perror(call);
    return 1;
}

static int index_of(void)
{
    return (int)if_nametoindex(arguments[0] != NULL ? arguments[0] : "eth0");
}

static struct sockaddr_in group(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(7)};

    inet_pton(AF_INET, "233.252.0.7", &address.sin_addr);
    return address;
}

/* One datagram; an option that is refused is printed, and the datagram is still sent. */
static int set_and_send(int option, const void *value, socklen_t length, struct sockaddr_in to)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (setsockopt(fd, IPPROTO_IP, option, value, length) != 0)
        perror("setsockopt");
    if (sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to) != 1)
        return failed("sendto");
    return 0;
}

/* IP_UNICAST_IF towards a foreign interface, which routes a datagram without binding its socket. */
static int unicast_if(void)
{
    int value = (int)htonl((uint32_t)index_of());

    return set_and_send(IP_UNICAST_IF, &value, sizeof value, web_server());
}

/* A datagram to a group, by IP_MULTICAST_IF towards an interface. */
static int multicast(void)
{
    struct ip_mreqn by = {.imr_ifindex = index_of()};

    return set_and_send(IP_MULTICAST_IF, &by, sizeof by, group());
}

/* Joins a multicast group on an interface: the kernel, not the socket, sends the report. */
static int igmp(void)
{
    struct ip_mreqn join = {.imr_ifindex = index_of(), .imr_multiaddr = group().sin_addr};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof join) != 0)
        return failed("IP_ADD_MEMBERSHIP");
    /* Reports are sent after a random delay of at most a second. */
    sleep(2);
    return 0;
}

/* A datagram with one control message. */
static int send_with(struct sockaddr *to, socklen_t size, int level, int type, const void *value, size_t length)
{
    struct iovec data = {.iov_base = "x", .iov_len = 1};
    char control[CMSG_SPACE(sizeof(struct in6_pktinfo))] = {0};
    struct msghdr message = {.msg_name = to, .msg_namelen = size, .msg_iov = &data, .msg_iovlen = 1,
                             .msg_control = control, .msg_controllen = CMSG_SPACE(length)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(length);
    memcpy(CMSG_DATA(header), value, length);
    return sendmsg(socket(to->sa_family, SOCK_DGRAM, 0), &message, 0) < 0 ? failed("sendmsg") : 0;
}

/* IP_PKTINFO: a datagram that names the interface it wants to leave by, whatever its socket is bound to. */
static int pktinfo(void)
{
    struct sockaddr_in to = web_server();
    struct in_pktinfo value = {.ipi_ifindex = index_of()};

    return send_with((struct sockaddr *)&to, sizeof to, IPPROTO_IP, IP_PKTINFO, &value, sizeof value);
}

/* IPV6_PKTINFO towards a foreign interface, which the kernel itself refuses on a bound socket. */
static int pktinfo6(void)
{
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(7)};
    struct in6_pktinfo value = {.ipi6_ifindex = (unsigned)index_of()};

    inet_pton(AF_INET6, "2001:db8::80", &to.sin6_addr);
    return send_with((struct sockaddr *)&to, sizeof to, IPPROTO_IPV6, IPV6_PKTINFO, &value, sizeof value);
}

/* Asks for SO_BINDTODEVICE itself, as chrony, traceroute and mtr do, and gives up if it is refused. */
static int rebind(void)
{
    const char *device = arguments[0] != NULL ? arguments[0] : "blue";
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) != 0)
        return failed("SO_BINDTODEVICE");
    return print_greeting(fd);
}

/* A UDP server's socket, bound to the wildcard address, that sends and receives without ever being connected. */
static int udp_server(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(7777)}, to = web_server();
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (bind(fd, (struct sockaddr *)&any, sizeof any) != 0 ||
        sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to) != 1)
        return failed("server");
    return print_line(fd);
}

/* connect(AF_UNSPEC) dissolves an association; the binding must outlive it. */
static int reconnect(void)
{
    struct sockaddr_in to = web_server();
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0 || connect(fd, &nobody, sizeof nobody) != 0 ||
        connect(fd, (struct sockaddr *)&to, sizeof to) != 0 || send(fd, "x", 1, 0) != 1)
        return failed("reconnect");
    return print_line(fd);
}

/* TCP Fast Open: the first datum travels with sendto(), which connects. */
static int fastopen(void)
{
    struct sockaddr_in to = web_server();
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&to, sizeof to) != 1)
        return failed("sendto");
    return print_line(fd);
}

/* An ICMP echo request through SOCK_RAW, which needs CAP_NET_RAW whatever makes the socket. */
static int raw(void)
{
    int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    struct icmphdr echo = {.type = ICMP_ECHO, .un.echo.id = htons(77), .checksum = htons(0xf7b2)};
    struct sockaddr_in to = web_server();
    struct pollfd answer = {.fd = fd, .events = POLLIN};

    if (fd < 0) {
        perror("socket");
        return errno == EPERM ? 77 : 1;
    }
    if (sendto(fd, &echo, sizeof echo, 0, (struct sockaddr *)&to, sizeof to) < 0)
        return failed("sendto");
    return poll(&answer, 1, 2000) != 1;
}

/* A socket of a type that few programs use, by its three numbers, asks for a connection. */
static int typed(void)
{
    struct sockaddr_in to = web_server();
    int numbers[3] = {0};

    for (int i = 0; i < 3 && arguments[i] != NULL; i++)
        numbers[i] = atoi(arguments[i]);
    int fd = socket(numbers[0], numbers[1], numbers[2]);

    if (fd < 0)
        return failed("socket");
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        return failed("connect");
    return write(fd, "x", 1) != 1;
}

static const struct way WAYS[] = {
    {"unicast-if", unicast_if}, {"multicast", multicast}, {"igmp", igmp}, {"pktinfo", pktinfo},
    {"pktinfo6", pktinfo6},     {"rebind", rebind},       {"raw", raw},   {"udp-server", udp_server},
    {"reconnect", reconnect},   {"fastopen", fastopen},   {"typed", typed}, {NULL, NULL},
};

int main(int argc, char **argv)
{
    return run_way(WAYS, argc, argv);
}
