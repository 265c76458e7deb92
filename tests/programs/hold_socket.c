/* A program that runs while its VRF is taken away: keeps one UDP socket and, once the file named by
   its argument exists, sends a datagram through it and one through a new socket.
   Prints "ready", then "old: WORD" and "new: WORD", WORD being ok or what errno says. */
#include "client.h"

static const char *ask(int fd)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(7)};

    inet_pton(AF_INET, "192.0.2.80", &to.sin_addr);
    if (fd < 0)
        return strerror(errno);
    if (sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to) != 1)
        return strerror(errno);
    return "ok";
}

int main(int argc, char **argv)
{
    int old = socket(AF_INET, SOCK_DGRAM, 0);
    const char *flag = argc > 1 ? argv[1] : "/nonexistent";

    printf("ready\n");
    fflush(stdout);
    /* The test says by a file that it has changed the world. */
    while (access(flag, F_OK) != 0)
        usleep(10000);
    printf("old: %s\n", ask(old));
    printf("new: %s\n", ask(socket(AF_INET, SOCK_DGRAM, 0)));
    return 0;
}
