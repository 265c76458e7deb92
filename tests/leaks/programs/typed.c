/* A socket of a type that few programs use, named by the argument: it asks for a connection to the web server. */
#include "client.h"
#include <netinet/in.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static int open_named(const char *name)
{
    if (strcmp(name, "mptcp") == 0)
        return socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
    if (strcmp(name, "sctp") == 0)
        return socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
    if (strcmp(name, "udplite") == 0)
        return socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
    if (strcmp(name, "dccp") == 0)
        return socket(AF_INET, SOCK_DCCP, IPPROTO_DCCP);
    if (strcmp(name, "smc") == 0)
        return socket(43, SOCK_STREAM, 0);
    errno = EINVAL;
    return -1;
}

int main(int argc, char **argv)
{
    struct sockaddr_in to = web_server();
    int fd = open_named(argc > 1 ? argv[1] : "");

    if (fd < 0) {
        perror("socket");
        return 1;
    }
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        perror("connect");
        return 1;
    }
    return write(fd, "x", 1) != 1;
}
