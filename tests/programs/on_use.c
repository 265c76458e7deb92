/* One socket that loses its device, or asks for another, and what the kernel answers at each step. Where its packets went
   is for the world to judge.

       on_use KIND STEP...

   KIND is udp, udplite, ping, raw, sctp, l2tp, tcp, mptcp or smc, with 4 or 6. A step that fails is printed with its error; the others go on. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MPTCP = 262, SMC = 43, L2TP = 115, EXPERIMENT = 253 };

/* An interface of the default domain, and the VRF's port. */
static const char FOREIGN[] = "eth0", PORT[] = "blue0";

static int fd, family, type, protocol;
static char message[16] = "x\n";
static size_t length = 2;

static const char *device_of(void)
{
    static char name[IFNAMSIZ];
    socklen_t size = sizeof name;

    memset(name, 0, sizeof name);
    getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &size);
    return name[0] ? name : "-";
}

union address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

/* An address of the socket's family; for IPv6 with the interface as its scope, if it is named. Returns its size. */
static socklen_t address(union address *to, const char *four, const char *six, const char *scope)
{
    int port = htons(type == SOCK_RAW || protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6 ? 0 : 7);

    memset(to, 0, sizeof *to);
    to->any.sa_family = (sa_family_t)family;
    if (family == AF_INET) {
        to->four.sin_port = port;
        inet_pton(AF_INET, four, &to->four.sin_addr);
        return sizeof to->four;
    }
    to->six.sin6_port = port;
    to->six.sin6_scope_id = scope ? if_nametoindex(scope) : 0;
    inet_pton(AF_INET6, six, &to->six.sin6_addr);
    return sizeof to->six;
}

static socklen_t server(union address *to) { return address(to, "192.0.2.80", "2001:db8::80", NULL); }

/* Where a test may have an MPTCP server of its own. */
static socklen_t mptcp_server(union address *to)
{
    socklen_t size = server(to);

    to->four.sin_port = htons(8); /* at the same place in both */
    return size;
}

static socklen_t group(union address *to) { return address(to, "233.252.0.7", "ff05::1:7", NULL); }
static socklen_t scoped(union address *to) { return address(to, "224.0.0.251", "ff02::fb", FOREIGN); }

static int connect_to(socklen_t (*where)(union address *))
{
    union address to;
    socklen_t size = where(&to);

    return connect(fd, &to.any, size);
}

static int send_to(socklen_t (*where)(union address *))
{
    union address to;
    socklen_t size = where(&to);

    return (int)sendto(fd, message, length, 0, &to.any, size);
}

static int step_connect(void) { return connect_to(server); }
static int step_connect_mptcp(void) { return connect_to(mptcp_server); }
static int step_sendto(void) { return send_to(server); }
static int step_send(void) { return (int)send(fd, message, length, MSG_NOSIGNAL); }
static int step_multicast(void) { return send_to(group); }
static int step_connect_multicast(void) { return connect_to(group); }
static int step_scope(void) { return send_to(scoped); }
static int step_connect_scope(void) { return connect_to(scoped); }

/* One host, which no neighbour has to be asked for; an association begins without a wait. */
static int step_neighbour(void)
{
    union address to;
    socklen_t size = address(&to, "198.51.100.9", "fe80::9", FOREIGN);

    return (int)sendto(fd, message, length, MSG_DONTWAIT, &to.any, size);
}

static int step_fastopen(void)
{
    union address to;
    socklen_t size = server(&to);

    return (int)sendto(fd, message, length, MSG_FASTOPEN, &to.any, size);
}

static int step_unspec(void)
{
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};

    return connect(fd, &nobody, sizeof nobody);
}

/* Past whatever stands before libc's connect(). */
static int step_unspec_call(void)
{
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};

    return (int)syscall(SYS_connect, fd, &nobody, sizeof nobody);
}

/* IPv4, by an IPv6 socket. */
static int step_mapped(void)
{
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(7)};

    inet_pton(AF_INET6, "::ffff:192.0.2.80", &to.sin6_addr);
    return (int)sendto(fd, message, length, 0, (struct sockaddr *)&to, sizeof to);
}

static int step_broadcast(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(7), .sin_addr.s_addr = INADDR_BROADCAST};
    int on = 1;

    setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
    if (type == SOCK_RAW)
        to.sin_port = 0;
    return (int)sendto(fd, message, length, 0, (struct sockaddr *)&to, sizeof to);
}

/* The link-local address of the foreign interface: bind(2) takes its scope for the socket's device. */
static int step_bind_scope(void)
{
    struct ifaddrs *all, *one;
    int result = -1;

    getifaddrs(&all);
    errno = ENOENT;
    for (one = all; one; one = one->ifa_next) {
        struct sockaddr_in6 *own = (struct sockaddr_in6 *)one->ifa_addr;
        if (own && own->sin6_family == AF_INET6 && strcmp(one->ifa_name, FOREIGN) == 0 &&
            IN6_IS_ADDR_LINKLOCAL(&own->sin6_addr))
            result = bind(fd, one->ifa_addr, sizeof *own);
    }
    freeifaddrs(all);
    return result;
}

static int step_bind(void)
{
    union address any;
    socklen_t size = address(&any, "0.0.0.0", "::", NULL);

    return bind(fd, &any.any, size);
}

static int step_pktinfo(void)
{
    union address to;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(struct in6_pktinfo))];
    } control;
    struct iovec part = {message, length};
    struct msghdr all = {.msg_name = &to, .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
    struct in_pktinfo four = {.ipi_ifindex = (int)if_nametoindex(FOREIGN)};
    struct in6_pktinfo six = {.ipi6_ifindex = if_nametoindex(FOREIGN)};
    size_t size = family == AF_INET ? sizeof four : sizeof six;

    memset(&control, 0, sizeof control);
    all.msg_namelen = server(&to);
    all.msg_controllen = CMSG_SPACE(size);
    control.header.cmsg_level = family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
    control.header.cmsg_type = family == AF_INET ? IP_PKTINFO : IPV6_PKTINFO;
    control.header.cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(&control.header), family == AF_INET ? (void *)&four : (void *)&six, size);
    return (int)sendmsg(fd, &all, 0);
}

static int multicast_by(const char *device)
{
    struct ip_mreqn by = {.imr_ifindex = (int)if_nametoindex(device)};

    if (family == AF_INET6)
        return setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &by.imr_ifindex, sizeof by.imr_ifindex);
    return setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof by);
}

static int step_by_port(void) { return multicast_by(PORT); }
static int step_by_foreign(void) { return multicast_by(FOREIGN); }

static int join(const char *device, size_t four_size)
{
    struct ip_mreqn four = {.imr_ifindex = device ? (int)if_nametoindex(device) : 0};
    struct ipv6_mreq six = {.ipv6mr_interface = (unsigned)four.imr_ifindex};

    inet_pton(AF_INET, "233.252.0.7", &four.imr_multiaddr);
    inet_pton(AF_INET6, "ff05::1:7", &six.ipv6mr_multiaddr);
    if (family == AF_INET6)
        return setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &six, sizeof six);
    return setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &four, (socklen_t)four_size);
}

static int step_join(void) { return join(NULL, sizeof(struct ip_mreqn)); }
static int step_join_short(void) { return join(NULL, sizeof(struct ip_mreq)); }
static int step_join_foreign(void) { return join(FOREIGN, sizeof(struct ip_mreqn)); }
static int step_join_port(void) { return join(PORT, sizeof(struct ip_mreqn)); }

/* By an address that the test gives to an interface outside the VRF. */
static int step_join_address(void)
{
    struct ip_mreqn request = {0};

    inet_pton(AF_INET, "233.252.0.7", &request.imr_multiaddr);
    inet_pton(AF_INET, "203.0.113.7", &request.imr_address);
    return setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request);
}

static int step_join_source(void)
{
    struct ip_mreq_source source = {0};

    inet_pton(AF_INET, "233.252.0.7", &source.imr_multiaddr);
    inet_pton(AF_INET, "192.0.2.80", &source.imr_sourceaddr);
    return setsockopt(fd, IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, &source, sizeof source);
}

static int step_join_group(void)
{
    struct group_req request = {0};
    union address to;

    group(&to);
    memcpy(&request.gr_group, &to, sizeof to);
    return setsockopt(fd, family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6, MCAST_JOIN_GROUP, &request, sizeof request);
}

/* An address in the network that each domain has. */
static int step_join_anycast(void)
{
    struct ipv6_mreq request = {0};

    inet_pton(AF_INET6, "2001:db8:1::7", &request.ipv6mr_multiaddr);
    return setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_ANYCAST, &request, sizeof request);
}

/* Reports of a membership follow a random delay of at most a second. */
static int step_wait(void) { return (int)sleep(2); }

/* Long enough for what the kernel does by itself at once. */
static int step_pause(void) { return usleep(500000); }

static int rebind(const char *device) { return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, strlen(device)); }
static int step_rebind(void) { return rebind("red"); }
static int step_own(void) { return rebind("blue"); }
static int step_unbind(void) { return rebind(""); }

/* What stands between a TCP socket and its stream: TLS in the kernel (4.13), SMC (5.17). */
static int step_ulp_tls(void) { return setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", 3); }
static int step_ulp_smc(void) { return setsockopt(fd, IPPROTO_TCP, TCP_ULP, "smc", 3); }

/* A connection that the kernel takes for established without a packet; the end of the repair sends one. */
static int step_repair(void)
{
    int on = 1, off = 0;

    if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof on) != 0 || step_connect() != 0)
        return -1;
    return setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof off);
}

static int step_zerocopy(void)
{
    int on = 1;

    if (setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on) != 0)
        return -1;
    return (int)send(fd, message, length, MSG_ZEROCOPY | MSG_NOSIGNAL);
}

/* From linux/sctp.h, which is not in libc's headers. */
enum { SCTP_ASSOCIATIONS = 29, SCTP_PEELOFF = 102, SCTP_CONNECTX = 110 };

/* An association with two addresses of one peer. */
static int step_connectx(void)
{
    struct sockaddr_in both[2] = {{.sin_family = AF_INET, .sin_port = htons(7)}, {.sin_family = AF_INET, .sin_port = htons(7)}};

    inet_pton(AF_INET, "198.51.100.9", &both[0].sin_addr);
    inet_pton(AF_INET, "192.0.2.80", &both[1].sin_addr);
    if (setsockopt(fd, IPPROTO_SCTP, SCTP_CONNECTX, both, sizeof both) == 0 || errno == EINPROGRESS)
        return 0;
    return -1;
}

/* Goes on with a socket of the association's own. */
static int step_peeloff(void)
{
    struct {
        unsigned count;
        int ids[4];
    } all = {0};
    struct {
        int association, socket;
    } one = {0};
    socklen_t size = sizeof all;

    if (getsockopt(fd, IPPROTO_SCTP, SCTP_ASSOCIATIONS, &all, &size) != 0)
        return -1;
    one.association = all.ids[0];
    size = sizeof one;
    if (getsockopt(fd, IPPROTO_SCTP, SCTP_PEELOFF, &one, &size) < 0)
        return -1;
    fd = one.socket;
    return 0;
}

static int step_nonblock(void) { return fcntl(fd, F_SETFL, O_NONBLOCK); }
static int step_listen(void) { return listen(fd, 1); }

/* A second socket of the VRF at the same port: only where the first one is in the VRF, too, it is in the way. */
static int step_is_port_taken(void)
{
    struct sockaddr_storage own;
    socklen_t size = sizeof own;
    int other = socket(family, SOCK_STREAM, IPPROTO_TCP), result;

    getsockname(fd, (struct sockaddr *)&own, &size);
    result = bind(other, (struct sockaddr *)&own, size);
    close(other);
    return result;
}

/* Waits for a line of the server, which says in which domain it is. */
static int step_answer(void)
{
    struct pollfd answer = {.fd = fd, .events = POLLIN};
    char line[64] = "";
    ssize_t got;

    if (poll(&answer, 1, 3000) != 1)
        return errno = ETIMEDOUT, -1;
    got = recv(fd, line, sizeof line - 1, 0);
    if (got > 0 && type != SOCK_RAW && line[0] >= 'a')
        printf("answer %s\n", strtok(line, "\n"));
    return (int)got;
}

/* The devices that have the group, by the kernel's own lists. */
/* Prints the interfaces of a list of the kernel's under which an address stands. */
static int listed(const char *list, const char *address, const char *what)
{
    char line[256], device[IFNAMSIZ] = "";
    FILE *file = fopen(list, "r");

    while (file && fgets(line, sizeof line, file)) {
        if (line[0] != '\t')
            sscanf(line, "%*d %15s", device);
        if (strstr(line, address))
            printf("%s by %s\n", what, device);
    }
    return file ? fclose(file) : -1;
}

static int step_members(void)
{
    if (family == AF_INET)
        return listed("/proc/net/igmp", "0700FCE9", "member");
    return listed("/proc/net/igmp6", "ff050000000000000000000000010007", "member");
}

static int step_anycasts(void)
{
    return listed("/proc/net/anycast6", "20010db8000100000000000000000007", "anycast");
}

static const struct {
    const char *name;
    int (*take)(void);
} steps[] = {
    {"connect", step_connect},
    {"connect-mptcp", step_connect_mptcp},
    {"fastopen", step_fastopen},
    {"unspec", step_unspec},
    {"unspec-call", step_unspec_call},
    {"mapped", step_mapped},
    {"sendto", step_sendto},
    {"send", step_send},
    {"multicast", step_multicast},
    {"connect-multicast", step_connect_multicast},
    {"broadcast", step_broadcast},
    {"scope", step_scope},
    {"connect-scope", step_connect_scope},
    {"neighbour", step_neighbour},
    {"bind-scope", step_bind_scope},
    {"bind", step_bind},
    {"pktinfo", step_pktinfo},
    {"by-port", step_by_port},
    {"by-foreign", step_by_foreign},
    {"join", step_join},
    {"join-short", step_join_short},
    {"join-foreign", step_join_foreign},
    {"join-port", step_join_port},
    {"join-address", step_join_address},
    {"join-source", step_join_source},
    {"join-group", step_join_group},
    {"join-anycast", step_join_anycast},
    {"members", step_members},
    {"anycasts", step_anycasts},
    {"wait", step_wait},
    {"pause", step_pause},
    {"rebind", step_rebind},
    {"own", step_own},
    {"unbind", step_unbind},
    {"ulp-tls", step_ulp_tls},
    {"ulp-smc", step_ulp_smc},
    {"repair", step_repair},
    {"zerocopy", step_zerocopy},
    {"connectx", step_connectx},
    {"peeloff", step_peeloff},
    {"nonblock", step_nonblock},
    {"listen", step_listen},
    {"is-port-taken", step_is_port_taken},
    {"answer", step_answer},
};

static void take(const char *name)
{
    for (size_t at = 0; at < sizeof steps / sizeof *steps; at++) {
        if (strcmp(steps[at].name, name) == 0) {
            if (steps[at].take() < 0)
                printf("%s %s\n", name, strerrorname_np(errno));
            return;
        }
    }
    fprintf(stderr, "no step '%s'\n", name);
    exit(2);
}

static void choose(const char *kind)
{
    int is_six = strchr(kind, '6') != NULL;

    family = is_six ? AF_INET6 : AF_INET;
    type = SOCK_STREAM;
    if (strncmp(kind, "udp", 3) == 0) {
        type = SOCK_DGRAM;
        protocol = strncmp(kind, "udplite", 7) == 0 ? IPPROTO_UDPLITE : 0;
    } else if (strncmp(kind, "ping", 4) == 0) {
        type = SOCK_DGRAM;
        protocol = is_six ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
        /* An echo request; the kernel fills in the rest. */
        message[0] = is_six ? (char)128 : 8;
        message[1] = 0;
        length = sizeof message;
    } else if (strncmp(kind, "raw", 3) == 0) {
        type = SOCK_RAW;
        protocol = EXPERIMENT;
    } else if (strncmp(kind, "sctp", 4) == 0) {
        type = SOCK_SEQPACKET;
        protocol = IPPROTO_SCTP;
    } else if (strncmp(kind, "mptcp", 5) == 0) {
        protocol = MPTCP;
    } else if (strncmp(kind, "l2tp", 4) == 0) { /* its addresses are as long, with a connection for a port */
        type = SOCK_DGRAM;
        protocol = L2TP;
    }
}

int main(int count, char **words)
{
    if (count < 3)
        return 2;
    choose(words[1]);
    /* AF_SMC names the family of its inner socket by the protocol; its addresses are those of that family. */
    if (strncmp(words[1], "smc", 3) == 0)
        fd = socket(SMC, type, family == AF_INET6);
    else
        fd = socket(family, type, protocol);
    if (fd < 0) {
        printf("socket %s\n", strerrorname_np(errno));
        return 0;
    }
    for (int at = 2; at < count; at++)
        take(words[at]);
    printf("bound %s\n", device_of());
    return 0;
}
