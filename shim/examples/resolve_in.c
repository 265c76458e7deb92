/*
 * resolve_in NAME VRF...: asks for the same name in every VRF, one after the other, and prints "VRF: ADDRESS" lines.
 * The whole process moves from VRF to VRF; libc's resolver goes with it.
 *
 *     cc -std=c99 -o resolve_in resolve_in.c $(pkg-config --cflags --libs vrfshim)
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <vrfshim.h>

static int resolve(const char *name, const char *vrf)
{
    struct addrinfo hints, *list = NULL, *at;
    char address[64];
    int error;

    if (vrf_set(vrf) < 0) {
        fprintf(stderr, "resolve_in: %s: %s\n", vrf, strerror(errno));
        return 1;
    }
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    error = getaddrinfo(name, NULL, &hints, &list);
    if (error) {
        fprintf(stderr, "resolve_in: %s: %s: %s\n", vrf, name, gai_strerror(error));
        return 1;
    }
    for (at = list; at; at = at->ai_next)
        if (getnameinfo(at->ai_addr, at->ai_addrlen, address, sizeof address, NULL, 0, NI_NUMERICHOST) == 0)
            printf("%s: %s\n", vrf, address);
    freeaddrinfo(list);
    return 0;
}

int main(int count, char **words)
{
    int i, failed = 0;

    if (count < 3) {
        fprintf(stderr, "usage: resolve_in NAME VRF...\n");
        return 2;
    }
    for (i = 2; i < count; i++)
        failed |= resolve(words[1], words[i]);
    return failed;
}
