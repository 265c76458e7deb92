/* What a program can do with one socket, in the world of the tests: whether the kernel lets it does not matter here. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct one {
    int fd, family, type, protocol;
};

/* Which ways may make a move (bits; `sequences` names them on its command line). */
enum { ALL = 1, STRICT = 2, FILTER = 4, FILTER_OLD = 8, BPF = ALL | STRICT, NEWER = BPF | FILTER, ANY = NEWER | FILTER_OLD };

union address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

static char message[28] = {8, 0}; /* an echo request, if anything */

static socklen_t address(const struct one *one, union address *to, const char *four, const char *six, const char *scope)
{
    int has_port = one->type != SOCK_RAW && one->protocol != IPPROTO_ICMP && one->protocol != IPPROTO_ICMPV6;

    message[0] = (char)(one->family == AF_INET ? 8 : 128);
    memset(to, 0, sizeof *to);
    to->any.sa_family = (sa_family_t)one->family;
    to->four.sin_port = htons(has_port ? 7 : 0); /* at the same place in both */
    if (one->family == AF_INET) {
        inet_pton(AF_INET, four, &to->four.sin_addr);
        return sizeof to->four;
    }
    to->six.sin6_scope_id = scope ? if_nametoindex(scope) : 0;
    inet_pton(AF_INET6, six, &to->six.sin6_addr);
    return sizeof to->six;
}

static void connect_to(const struct one *one, const char *four, const char *six, const char *scope)
{
    union address to;
    socklen_t size = address(one, &to, four, six, scope);

    connect(one->fd, &to.any, size);
}

static void send_to(const struct one *one, const char *four, const char *six, const char *scope, int flags)
{
    union address to;
    socklen_t size = address(one, &to, four, six, scope);

    sendto(one->fd, message, sizeof message, MSG_DONTWAIT | MSG_NOSIGNAL | flags, &to.any, size);
}

static void set(const struct one *one, int level, int option, const void *value, size_t size)
{
    setsockopt(one->fd, level, option, value, (socklen_t)size);
}

static void move_connect(struct one *one) { connect_to(one, "192.0.2.80", "2001:db8::80", NULL); }
static void move_connect_group(struct one *one) { connect_to(one, "233.252.0.7", "ff05::1:7", NULL); }
static void move_connect_scope(struct one *one) { connect_to(one, "224.0.0.251", "ff02::fb", "eth0"); }
static void move_sendto(struct one *one) { send_to(one, "192.0.2.80", "2001:db8::80", NULL, 0); }
static void move_fastopen(struct one *one) { send_to(one, "192.0.2.80", "2001:db8::80", NULL, MSG_FASTOPEN); }
static void move_group(struct one *one) { send_to(one, "233.252.0.7", "ff05::1:7", NULL, 0); }
static void move_scope(struct one *one) { send_to(one, "224.0.0.251", "ff02::fb", "eth0", 0); }
static void move_gateway(struct one *one) { send_to(one, "198.51.100.1", "2001:db8:1::1", NULL, 0); }
static void move_send(struct one *one) { send(one->fd, message, sizeof message, MSG_DONTWAIT | MSG_NOSIGNAL); }
static void move_listen(struct one *one) { listen(one->fd, 2); }
static void move_shutdown(struct one *one) { shutdown(one->fd, SHUT_RDWR); }

static void move_broadcast(struct one *one)
{
    int on = 1;

    set(one, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
    send_to(one, "255.255.255.255", "ff02::1", NULL, 0);
}

static void move_unspec(struct one *one)
{
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};

    connect(one->fd, &nobody, sizeof nobody);
}

static void move_bind(struct one *one)
{
    union address any;
    socklen_t size = address(one, &any, "0.0.0.0", "::", NULL);

    any.four.sin_port = 0;
    bind(one->fd, &any.any, size);
}

/* bind(2) takes the scope of such an address for the socket's device. */
static void move_bind_scope(struct one *one)
{
    struct ifaddrs *all, *each;

    if (getifaddrs(&all) != 0)
        return;
    for (each = all; each; each = each->ifa_next)
        if (each->ifa_addr && each->ifa_addr->sa_family == AF_INET6 && strcmp(each->ifa_name, "eth0") == 0)
            bind(one->fd, each->ifa_addr, sizeof(struct sockaddr_in6));
    freeifaddrs(all);
}

static void move_pktinfo(struct one *one)
{
    union address to;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(struct in6_pktinfo))];
    } control = {0};
    struct iovec part = {message, sizeof message};
    struct msghdr all = {.msg_name = &to, .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
    struct in_pktinfo four = {.ipi_ifindex = (int)if_nametoindex("eth0")};
    struct in6_pktinfo six = {.ipi6_ifindex = if_nametoindex("eth0")};
    int is_four = one->family == AF_INET;
    size_t size = is_four ? sizeof four : sizeof six;

    all.msg_namelen = address(one, &to, "192.0.2.80", "2001:db8::80", NULL);
    all.msg_controllen = CMSG_SPACE(size);
    control.header.cmsg_level = is_four ? IPPROTO_IP : IPPROTO_IPV6;
    control.header.cmsg_type = is_four ? IP_PKTINFO : IPV6_PKTINFO;
    control.header.cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(&control.header), is_four ? (void *)&four : (void *)&six, size);
    sendmsg(one->fd, &all, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void multicast_by(const struct one *one, const char *device)
{
    struct ip_mreqn by = {.imr_ifindex = (int)if_nametoindex(device)};

    set(one, IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof by);
    set(one, IPPROTO_IPV6, IPV6_MULTICAST_IF, &by.imr_ifindex, sizeof by.imr_ifindex);
}

static void move_by_port(struct one *one) { multicast_by(one, "blue0"); }
static void move_by_foreign(struct one *one) { multicast_by(one, "eth0"); }

static void move_unicast_if(struct one *one)
{
    uint32_t index = htonl(if_nametoindex("eth0"));

    set(one, IPPROTO_IP, 50, &index, sizeof index);
    set(one, IPPROTO_IPV6, 76, &index, sizeof index);
}

static void join(const struct one *one, const char *device)
{
    struct ip_mreqn four = {.imr_ifindex = device ? (int)if_nametoindex(device) : 0};
    struct ipv6_mreq six = {.ipv6mr_interface = (unsigned)four.imr_ifindex};

    inet_pton(AF_INET, "233.252.0.7", &four.imr_multiaddr);
    inet_pton(AF_INET6, "ff05::1:7", &six.ipv6mr_multiaddr);
    set(one, IPPROTO_IP, IP_ADD_MEMBERSHIP, &four, sizeof four);
    set(one, IPPROTO_IPV6, IPV6_JOIN_GROUP, &six, sizeof six);
}

static void move_join(struct one *one) { join(one, NULL); }
static void move_join_foreign(struct one *one) { join(one, "eth0"); }

static void to_device(const struct one *one, const char *name) { set(one, SOL_SOCKET, SO_BINDTODEVICE, name, strlen(name)); }
static void move_own(struct one *one) { to_device(one, "blue"); }
static void move_rebind(struct one *one) { to_device(one, "red"); }
static void move_unbind(struct one *one) { to_device(one, ""); }

static void move_index(struct one *one)
{
    unsigned index = if_nametoindex("eth0");

    set(one, SOL_SOCKET, 62, &index, sizeof index); /* SO_BINDTOIFINDEX */
}

/* Takes the place of the listener, or reads. */
static void move_accept(struct one *one)
{
    struct pollfd ready = {.fd = one->fd, .events = POLLIN};
    char answer[64];
    int got;

    poll(&ready, 1, 20);
    got = accept4(one->fd, NULL, NULL, SOCK_NONBLOCK);
    if (got >= 0) {
        dup2(got, one->fd);
        close(got);
    } else if (recv(one->fd, answer, sizeof answer, MSG_DONTWAIT) < 0) {
        return;
    }
}

/* To itself, where it listens: by the VRF's own address. */
static void move_connect_own(struct one *one)
{
    union address own;
    socklen_t size = sizeof own;
    int other = socket(one->family, one->type | SOCK_NONBLOCK, one->protocol);

    if (getsockname(one->fd, &own.any, &size) == 0) {
        inet_pton(AF_INET, "198.51.100.2", &own.four.sin_addr);
        if (one->family == AF_INET6)
            inet_pton(AF_INET6, "2001:db8:1::2", &own.six.sin6_addr);
        connect(other, &own.any, size);
    }
    close(other);
}

static const struct move {
    const char *name;
    void (*make)(struct one *);
    unsigned classes;
} moves[] = {
    {"connect", move_connect, ANY},
    {"connect-group", move_connect_group, ANY},
    {"sendto", move_sendto, ANY},
    {"sendto-gateway", move_gateway, ANY},
    {"fastopen", move_fastopen, ANY},
    {"sendto-group", move_group, ANY},
    {"send", move_send, ANY},
    {"bind", move_bind, ANY},
    {"listen", move_listen, ANY},
    {"connect-own", move_connect_own, ANY},
    {"accept", move_accept, ANY},
    {"shutdown", move_shutdown, ANY},
    {"multicast-by-port", move_by_port, ANY},
    {"to-own-device", move_own, ANY},
    {"unspec", move_unspec, NEWER},
    {"broadcast", move_broadcast, BPF},
    {"sendto-scope", move_scope, BPF},
    {"connect-scope", move_connect_scope, BPF},
    {"bind-scope", move_bind_scope, BPF},
    {"pktinfo", move_pktinfo, BPF},
    {"multicast-by-foreign", move_by_foreign, BPF},
    {"unicast-if", move_unicast_if, BPF},
    {"join", move_join, BPF},
    {"join-foreign", move_join_foreign, BPF},
    {"to-other-device", move_rebind, STRICT},
    {"to-no-device", move_unbind, STRICT},
    {"to-other-index", move_index, STRICT},
};
static const unsigned move_count = sizeof moves / sizeof *moves;

static void send_fd(int by, int fd)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof fd)];
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    struct iovec part = {message, 1};
    struct msghdr all = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};

    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    sendmsg(by, &all, MSG_NOSIGNAL);
}

static int receive_fd(int by)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {message, 1};
    struct msghdr all = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    int fd = -1;

    if (recvmsg(by, &all, 0) >= 0 && all.msg_controllen >= CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(&control.header), sizeof fd);
    return fd;
}
