/* Random programs: each makes sockets and does with them what programs do, and what nobody would. Where their packets go is
   for the oracle to judge.

       sequences all|strict|filter|filter-old

   Reads seeds from stdin, eight bytes each, and runs one sequence in a process of its own for each; the names of its steps go
   to stdout, and `end` behind the last. The word names the moves that are left out, for their outcome is documented: `all`
   only asks for no foreign device, `filter` has no move that only BPF stops, and `filter-old` none that Linux 5.10 gets
   wrong. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "moves.h"

enum { SOCKETS = 4, STEPS = 14, SECONDS = 20, AF_SMC_ = 43 };

static struct one sockets[SOCKETS];
static uint64_t state;
static unsigned class;
static int left, own_netns = -1;

static uint64_t draw(uint64_t below)
{
    uint64_t number = state += 0x9e3779b97f4a7c15;

    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9;
    number = (number ^ number >> 27) * 0x94d049bb133111eb;
    return (number ^ number >> 31) % below;
}

static void say(const char *what, int at)
{
    char line[64];
    int length = snprintf(line, sizeof line, "%s %d\n", what, at);

    if (write(STDOUT_FILENO, line, (size_t)length) < 0)
        _exit(1);
}

/* Ways to socket(2), past libc too. */
static int make(int way, int family, int type, int protocol)
{
    long result;

    switch (way) {
    case 0:
        return socket(family, type, protocol);
    case 1:
        return (int)syscall(SYS_socket, family, type, protocol);
    case 2:
        __asm__ volatile("syscall"
                         : "=a"(result)
                         : "a"((long)SYS_socket), "D"((long)family), "S"((long)type), "d"((long)protocol)
                         : "rcx", "r11", "memory");
        return (int)result;
    default:
        __asm__ volatile("int $0x80"
                         : "=a"(result)
                         : "a"(359L), "b"((long)family), "c"((long)type), "d"((long)protocol)
                         : "r8", "r9", "r10", "r11", "memory");
        return (int)result;
    }
}

static void open_one(int at)
{
    static const struct {
        const char *name;
        int type, protocol;
    } kinds[] = {{"udp", SOCK_DGRAM, 0},     {"tcp", SOCK_STREAM, 0},      {"raw", SOCK_RAW, 253},
                 {"mptcp", SOCK_STREAM, 262}, {"ping", SOCK_DGRAM, -1},     {"udplite", SOCK_DGRAM, 136},
                 {"udp", SOCK_DGRAM, 17},    {"seqpacket", SOCK_SEQPACKET, 132}, {"smc", SOCK_STREAM, 256},
                 {"af-smc", SOCK_STREAM, AF_SMC_}};
    struct one *one = &sockets[at];
    uint64_t kind = draw(sizeof kinds / sizeof *kinds);
    int is_smc;

    if (one->fd > 0)
        close(one->fd);
    one->family = draw(2) ? AF_INET : AF_INET6;
    one->type = kinds[kind].type;
    one->protocol = kinds[kind].protocol;
    if (one->protocol < 0)
        one->protocol = one->family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    say(kinds[kind].name, at);
    is_smc = one->protocol == AF_SMC_; /* whose protocol says what its TCP socket's family is */
    one->fd = make((int)draw(4), is_smc ? AF_SMC_ : one->family, one->type | SOCK_NONBLOCK | (draw(2) ? SOCK_CLOEXEC : 0),
                   is_smc ? one->family == AF_INET6 : one->protocol);
}

static void step(void);

static void *in_thread(void *unused)
{
    step();
    return unused;
}

static void thread(int at)
{
    pthread_t one;

    say("thread", at);
    if (pthread_create(&one, NULL, in_thread, NULL) == 0)
        pthread_join(one, NULL);
}

/* The child goes on; its parent does once it has ended. */
static void child(int at)
{
    pid_t pid;

    say("fork", at);
    pid = fork();
    if (pid == 0)
        alarm(SECONDS);
    if (pid > 0)
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
}

static void vforked(int at)
{
    say("vfork", at);
    if (vfork() == 0)
        _exit(sockets[at].fd > 0 ? (int)send(sockets[at].fd, "v", 1, MSG_NOSIGNAL | MSG_DONTWAIT) : 0);
}

static void duplicate(int at)
{
    int to = (int)draw(SOCKETS);

    say("dup", at);
    if (to == at)
        return;
    if (sockets[to].fd > 0)
        close(sockets[to].fd);
    sockets[to] = sockets[at];
    sockets[to].fd = draw(2) ? dup(sockets[at].fd) : fcntl(sockets[at].fd, F_DUPFD, 50);
}

/* To a child and back. */
static void rights(int at)
{
    int pair[2], got;

    say("rights", at);
    if (sockets[at].fd <= 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        return;
    if (fork() == 0) {
        close(pair[0]);
        got = receive_fd(pair[1]);
        send(got, "r", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        send_fd(pair[1], got);
        _exit(0);
    }
    /* Whoever has nothing to send ends, and so does the other. */
    close(pair[1]);
    send_fd(pair[0], sockets[at].fd);
    shutdown(pair[0], SHUT_WR);
    close(sockets[at].fd);
    sockets[at].fd = receive_fd(pair[0]);
    close(pair[0]);
    wait(NULL);
}

static void unshared(int at)
{
    static const int kinds[] = {CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWUSER | CLONE_NEWNET, CLONE_NEWNS, CLONE_FILES};

    say("unshare", at);
    if (unshare(kinds[draw(5)]) != 0)
        errno = 0;
}

static void back(int at)
{
    say("setns", at);
    setns(own_netns, CLONE_NEWNET);
}

static void nothing(int signal) { (void)signal; }

static void storm(int at)
{
    struct sigaction action = {.sa_handler = nothing, .sa_flags = draw(2) ? SA_RESTART : 0};
    struct itimerval often = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};

    say("signals", at);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < 4; i++)
        open_one((int)draw(SOCKETS));
    setitimer(ITIMER_REAL, &never, NULL);
    alarm(SECONDS);
    signal(SIGALRM, SIG_DFL);
}

/* Becomes itself, with what it had open. */
static void again(int at)
{
    char words[SOCKETS * 4 + 4][24], *arguments[SOCKETS * 4 + 6] = {"sequences"};
    int count = 0;
    long numbers[] = {(long)class, left, own_netns};

    say("exec", at);
    snprintf(words[count++], sizeof *words, "%llu", (unsigned long long)state);
    for (int i = 0; i < 3; i++)
        snprintf(words[count++], sizeof *words, "%ld", numbers[i]);
    for (struct one *one = sockets; one < sockets + SOCKETS; one++) {
        int each[] = {one->fd, one->family, one->type, one->protocol};
        for (int i = 0; i < 4; i++)
            snprintf(words[count++], sizeof *words, "%d", each[i]);
        if (one->fd > 0)
            fcntl(one->fd, F_SETFD, 0);
    }
    for (int i = 0; i < count; i++)
        arguments[i + 1] = words[i];
    execv("/proc/self/exe", arguments);
}

static void (*const deeds[])(int) = {open_one, open_one, thread, child, vforked, duplicate,
                                     rights,   unshared, back,   storm, again};

static void step(void)
{
    int at = (int)draw(SOCKETS);
    uint64_t which = draw(100);
    const struct move *move;

    if (left-- <= 0)
        return;
    if (which < 25) {
        deeds[draw(sizeof deeds / sizeof *deeds)](at);
        return;
    }
    if (sockets[at].fd <= 0)
        open_one(at);
    do
        move = &moves[draw(move_count)];
    while (!(move->classes & class));
    say(move->name, at);
    move->make(&sockets[at]);
}

static void go_on(void)
{
    alarm(SECONDS);
    while (left > 0)
        step();
    _exit(0);
}

static void resume(char **words)
{
    state = strtoull(words[1], NULL, 10);
    class = (unsigned)atoi(words[2]);
    left = atoi(words[3]);
    own_netns = atoi(words[4]);
    for (int i = 0; i < SOCKETS; i++)
        sockets[i] = (struct one){atoi(words[5 + 4 * i]), atoi(words[6 + 4 * i]), atoi(words[7 + 4 * i]),
                                  atoi(words[8 + 4 * i])};
    go_on();
}

int main(int count, char **words)
{
    static const char *const classes[] = {"all", "strict", "filter", "filter-old"};
    uint64_t seed;

    if (count == 5 + 4 * SOCKETS)
        resume(words);
    for (unsigned at = 0; at < 4; at++)
        class |= count == 2 && strcmp(words[1], classes[at]) == 0 ? 1u << at : 0;
    own_netns = open("/proc/self/ns/net", O_RDONLY);
    while (class != 0 && read(STDIN_FILENO, &seed, sizeof seed) == sizeof seed) {
        pid_t pid = fork();

        if (pid == 0) {
            state = seed;
            left = 3 + (int)draw(STEPS);
            go_on();
        }
        waitpid(pid, NULL, 0);
        say("end", 0);
    }
    return class == 0 ? 2 : 0;
}
