/* Asks for sockets of several families and connects them: by itself, in a thread and in a child. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = 0x3500, .sin_addr = {0x0100007f}};
static const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = 0x3500, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
static const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
static const struct sockaddr_un absent = {.sun_family = AF_UNIX, .sun_path = "/nonexistent"};

static void *ask(void *unused) {
    int stream = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    connect(stream, (const struct sockaddr *)&v4, sizeof v4);
    int datagram = socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP);
    connect(datagram, (const struct sockaddr *)&v6, sizeof v6);
    connect(datagram, &nobody, sizeof nobody);
    /* Neither of these is an inet socket. */
    int local = socket(AF_UNIX, SOCK_STREAM, 0);
    connect(local, (const struct sockaddr *)&absent, sizeof absent);
    int routing = socket(AF_NETLINK, SOCK_RAW, 0);
    /* Nor is this a socket, or that an address. */
    connect(-1, (const struct sockaddr *)&v4, sizeof v4);
    connect(stream, NULL, 3);
    socket(33, SOCK_DGRAM, 0); /* AF_RXRPC, whose inner sockets nobody can bind */
    close(stream), close(datagram), close(local), close(routing);
    return unused;
}

int main(void) {
    pthread_t thread;
    ask(NULL);
    if (pthread_create(&thread, NULL, ask, NULL) != 0 || pthread_join(thread, NULL) != 0)
        return 1;
    pid_t child = fork();
    if (child == 0) {
        ask(NULL);
        _exit(0);
    }
    return child < 0 || waitpid(child, NULL, 0) != child;
}
