/* Many flows, one for each source port: flows udp|tcp|open DEVICE SOURCE SERVER FIRST COUNT
   Binds each socket to DEVICE (none: -) and SOURCE, asks the nameserver at SERVER for a TXT record, which is the name of
   the domain that answers, and prints how many answers each domain gave: "blue 1000 red 0 default 0 none 0".
   open: over TCP, and the connections stay open until it is killed. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Fewer than two of us overflow the queue of a neighbour that is not known yet. */
#define TOGETHER 100
/* Nobody has answered for so long: nobody will. */
#define PATIENCE 2000

/* Its length goes before it over TCP. */
static const unsigned char query[] = "\0\x13\0\1\1\0\0\1\0\0\0\0\0\0\1x\0\0\x10\0\1";
static int is_tcp, stays_open;
static const char *names[] = {"blue", "red", "default"};
static int counts[4];

static void fail(const char *what)
{
    fprintf(stderr, "flows: %s: %s\n", what, strerror(errno));
    exit(1);
}

static socklen_t address(struct sockaddr_storage *at, const char *text, int port)
{
    struct sockaddr_in *four = (struct sockaddr_in *)at;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)at;

    memset(at, 0, sizeof *at);
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        return sizeof *four;
    }
    if (inet_pton(AF_INET6, text, &six->sin6_addr) != 1)
        fail(text);
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    return sizeof *six;
}

static void send_query(int fd)
{
    int skipped = is_tcp ? 0 : 2;

    /* What a firewall denies is a flow without an answer. */
    send(fd, query + skipped, sizeof query - 1 - skipped, MSG_NOSIGNAL);
}

static struct pollfd ask(const char *device, const char *source, const char *server, int port)
{
    struct sockaddr_storage from, to;
    socklen_t length = address(&from, source, port);
    int fd = socket(from.ss_family, (is_tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK, 0);

    address(&to, server, 53);
    if (fd < 0)
        fail("socket");
    if (strcmp(device, "-") != 0 && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, strlen(device)) != 0)
        fail("SO_BINDTODEVICE");
    if (bind(fd, (struct sockaddr *)&from, length) != 0)
        fail("bind");
    if (connect(fd, (struct sockaddr *)&to, length) != 0 && errno != EINPROGRESS)
        fail("connect");
    if (!is_tcp)
        send_query(fd);
    return (struct pollfd){.fd = fd, .events = is_tcp ? POLLOUT : POLLIN};
}

/* The answer ends with the name, its length before it. */
static int who(const unsigned char *answer, ssize_t length)
{
    for (int i = 0; i < 3; i++) {
        ssize_t name = (ssize_t)strlen(names[i]);
        if (length > name && memcmp(answer + length - name, names[i], name) == 0 && answer[length - name - 1] == name)
            return i;
    }
    return 3;
}

static void collect(struct pollfd *flows, int many)
{
    unsigned char answer[512];
    int by, left = many;
    ssize_t length;

    while (left > 0 && poll(flows, many, PATIENCE) > 0)
        for (int i = 0; i < many; i++) {
            if (!flows[i].revents)
                continue;
            if (flows[i].events == POLLOUT) {
                send_query(flows[i].fd);
                flows[i].events = POLLIN;
                continue;
            }
            length = recv(flows[i].fd, answer, sizeof answer, 0);
            by = who(answer, length);
            /* Over TCP the answer may come in pieces. */
            if (by == 3 && length > 0)
                continue;
            counts[by]++;
            if (!stays_open)
                close(flows[i].fd);
            flows[i].fd = -1;
            left--;
        }
    for (int i = 0; i < many; i++)
        if (flows[i].fd >= 0)
            close(flows[i].fd);
    counts[3] += left;
}

int main(int argc, char **argv)
{
    struct pollfd flows[TOGETHER];

    if (argc != 7) {
        fprintf(stderr, "usage: flows udp|tcp|open DEVICE SOURCE SERVER FIRST COUNT\n");
        return 2;
    }
    stays_open = strcmp(argv[1], "open") == 0;
    is_tcp = stays_open || strcmp(argv[1], "tcp") == 0;
    int at = atoi(argv[5]), end = at + atoi(argv[6]);
    while (at < end) {
        int many = 0;
        for (; many < TOGETHER && at < end; many++, at++)
            flows[many] = ask(argv[2], argv[3], argv[4], at);
        collect(flows, many);
    }
    printf("blue %d red %d default %d none %d\n", counts[0], counts[1], counts[2], counts[3]);
    fflush(stdout);
    if (stays_open)
        pause();
    return 0;
}
