/* What the C clients share: ask the world's web server over a connected socket, print its answer; and a program that is
   a table of ways, of which the first argument names one. */
#ifndef CLIENT_H
#define CLIENT_H

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The echo port of the world's web server. */
static inline struct sockaddr_in web_server(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(7)};

    inet_pton(AF_INET, "192.0.2.80", &address.sin_addr);
    return address;
}

/* The service greets with its domain's name; that line is the answer. */
static inline int print_line(int fd)
{
    char line[64];
    ssize_t length = read(fd, line, sizeof line);

    return length <= 0 || write(1, line, (size_t)length) != length;
}

static inline int print_greeting(int fd)
{
    struct sockaddr_in to = web_server();

    if (fd < 0) {
        fprintf(stderr, "socket: %s\n", strerror(errno));
        return 1;
    }
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        fprintf(stderr, "connect: %s\n", strerror(errno));
        return 1;
    }
    return print_line(fd);
}

/* What follows the way's name, and NULL. */
static char **arguments __attribute__((unused));

struct way {
    const char *name;
    int (*run)(void); /* returns the exit status */
};

/* The table ends with a way without a name. */
static inline int run_way(const struct way *way, int argc, char **argv)
{
    for (; argc > 1 && way->name != NULL; way++)
        if (strcmp(way->name, argv[1]) == 0) {
            arguments = argv + 2;
            return way->run();
        }
    fprintf(stderr, "this program knows no such way\n");
    return 2;
}

#endif
