/*
 * two_vrfs HOST VRF...: fetches http://HOST/ through every VRF at once, one thread for each, and prints
 * "VRF: ANSWER" lines. The name is looked up in the thread's VRF as well.
 *
 *     cc -std=c99 -o two_vrfs two_vrfs.c $(pkg-config --cflags --libs vrfshim) -pthread
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vrfshim.h>

static const char *host;

static int fail(const char *vrf, const char *what, const char *why)
{
    fprintf(stderr, "two_vrfs: %s: %s: %s\n", vrf, what, why);
    return -1;
}

/* A connection to port 80 of the host, in the calling thread's VRF. */
static int open_connection(const char *vrf)
{
    struct addrinfo hints, *list = NULL, *at;
    int fd = -1, error;

    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    error = getaddrinfo(host, "80", &hints, &list);
    if (error)
        return fail(vrf, host, gai_strerror(error));
    for (at = list; at && fd < 0; at = at->ai_next) {
        fd = socket(at->ai_family, at->ai_socktype, at->ai_protocol);
        if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) < 0) {
            error = errno;
            close(fd);
            errno = error;
            fd = -1;
        }
    }
    freeaddrinfo(list);
    return fd < 0 ? fail(vrf, host, strerror(errno)) : fd;
}

static int fetch(const char *vrf)
{
    char request[512], answer[4096], *body;
    size_t have = 0;
    ssize_t got;
    int len, fd = open_connection(vrf);

    if (fd < 0)
        return -1;
    len = snprintf(request, sizeof request, "GET / HTTP/1.0\r\nHost: %s\r\n\r\n", host);
    if (len < 0 || (size_t)len >= sizeof request || send(fd, request, (size_t)len, MSG_NOSIGNAL) != len) {
        close(fd);
        return fail(vrf, host, "cannot send the request");
    }
    while (have < sizeof answer - 1 && (got = read(fd, answer + have, sizeof answer - 1 - have)) > 0)
        have += (size_t)got;
    close(fd);
    answer[have] = '\0';
    body = strstr(answer, "\r\n\r\n");
    if (!body)
        return fail(vrf, host, "no answer");
    body += 4;
    body[strcspn(body, "\r\n")] = '\0';
    printf("%s: %s\n", vrf, body);
    return 0;
}

/* From here on every inet socket of this thread is in the VRF, the resolver's included. */
static void *run(void *argument)
{
    const char *vrf = (const char *)argument;

    if (vrf_set_thread(vrf) < 0) {
        fail(vrf, "cannot use it", strerror(errno));
        return NULL;
    }
    return fetch(vrf) < 0 ? NULL : argument;
}

int main(int count, char **words)
{
    pthread_t threads[16];
    void *done;
    int i, failed = 0;

    if (count < 3 || count > 2 + 16) {
        fprintf(stderr, "usage: two_vrfs HOST VRF...\n");
        return 2;
    }
    host = words[1];
    for (i = 2; i < count; i++)
        if (pthread_create(&threads[i - 2], NULL, run, words[i]) != 0)
            return 1;
    for (i = 2; i < count; i++) {
        pthread_join(threads[i - 2], &done);
        failed |= !done;
    }
    return failed;
}
