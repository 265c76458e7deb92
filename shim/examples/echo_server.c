/*
 * echo_server PORT VRF...: a TCP echo server with one listener in every VRF; tells by which VRF each client came.
 * One thread serves them all: an accepted connection is in its listener's VRF.
 *
 *     cc -std=c99 -o echo_server echo_server.c $(pkg-config --cflags --libs vrfshim)
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vrfshim.h>

#define MOST 256

static struct pollfd watched[MOST];
static nfds_t count_watched;

static void fail(const char *what)
{
    fprintf(stderr, "echo_server: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void watch(int fd)
{
    watched[count_watched].fd = fd;
    watched[count_watched].events = POLLIN;
    watched[count_watched].revents = 0;
    count_watched++;
}

/* The same port in every VRF: to the kernel these are different addresses. */
static void listen_in(const char *vrf, unsigned short port)
{
    struct sockaddr_in6 any;
    int on = 1, fd = vrf_socket(vrf, AF_INET6, SOCK_STREAM, 0);

    if (fd < 0)
        fail(vrf);
    memset(&any, 0, sizeof any);
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(port);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&any, sizeof any) < 0 || listen(fd, 64) < 0)
        fail(vrf);
    watch(fd);
}

static void greet(int listener)
{
    char vrf[16];
    int client = accept(listener, NULL, NULL);

    if (client < 0)
        return;
    if (count_watched == MOST || vrf_of_socket(client, vrf, sizeof vrf) < 0) {
        close(client);
        return;
    }
    printf("a client in %s\n", vrf);
    fflush(stdout);
    watch(client);
}

/* Sends back what came; false when the client has gone. */
static int echo(int client)
{
    char bytes[4096];
    ssize_t len = read(client, bytes, sizeof bytes);

    return len > 0 && send(client, bytes, (size_t)len, MSG_NOSIGNAL) == len;
}

int main(int count, char **words)
{
    nfds_t i, listeners;

    if (count < 3 || count - 2 > MOST / 2) {
        fprintf(stderr, "usage: echo_server PORT VRF...\n");
        return 2;
    }
    for (i = 2; i < (nfds_t)count; i++)
        listen_in(words[i], (unsigned short)atoi(words[1]));
    listeners = count_watched;
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        if (poll(watched, count_watched, -1) < 0 && errno != EINTR)
            fail("poll");
        for (i = count_watched; i-- > listeners;)
            if (watched[i].revents && !echo(watched[i].fd)) {
                close(watched[i].fd);
                watched[i] = watched[--count_watched];
            }
        for (i = 0; i < listeners; i++)
            if (watched[i].revents)
                greet(watched[i].fd);
    }
}
