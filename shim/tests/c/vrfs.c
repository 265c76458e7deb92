/* Checks what the header promises where there are VRFs: `blue` (table 10, port `blue0`) and `red` (table 20). Each word
 * on the command line is a section below. */
#ifndef _GNU_SOURCE /* C++ compilers define it */
#define _GNU_SOURCE
#endif
#include "check.h"
#include <net/if.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vrfshim.h>

/* Whether a socket is bound to this device ("": to none), and nothing else; closes it. */
static int is_in(int fd, const char *device)
{
    char name[17] = "";
    socklen_t size = 16;
    int same = fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &size) == 0 && !strcmp(name, device);

    if (!same)
        printf("in '%s', not '%s': ", name, device);
    if (fd >= 0)
        close(fd);
    return same;
}

static int inet(void)
{
    return socket(AF_INET, SOCK_DGRAM, 0);
}

static int gets_in(const char *device)
{
    char name[16];

    return is_in(inet(), device) && is_in(socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0), device) &&
           is_in((int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0), device) && vrf_get(name, sizeof name) == 0 &&
           !strcmp(name, device);
}

/* A UDP socket that has been connected, and is no more. */
static int is_left_in(int fd, const char *device)
{
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = 7};
    struct sockaddr_in6 peer6 = {.sin6_family = AF_INET6, .sin6_port = 7};
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    int family = 0;
    socklen_t size = sizeof family;

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) != 0)
        return 0;
    /* To nobody who can be reached: what counts is the call that takes the device away. */
    if (family == AF_INET)
        connect(fd, (struct sockaddr *)&peer, sizeof peer);
    else
        connect(fd, (struct sockaddr *)&peer6, sizeof peer6);
    return connect(fd, &nobody, sizeof nobody) == 0 && is_in(fd, device);
}

static void stays(int family)
{
    int fd;

    HOLDS(is_left_in(vrf_socket("blue", family, SOCK_DGRAM, 0), "blue"));
    HOLDS((fd = socket(family, SOCK_DGRAM, 0)) >= 0 && vrf_bind_socket(fd, "blue") == 0 && is_left_in(fd, "blue"));
    if (geteuid() == 0) {
        HOLDS((fd = vrf_socket("red", family, SOCK_DGRAM, 0)) >= 0 && vrf_bind_socket(fd, "blue") == 0);
        HOLDS(is_left_in(fd, "blue"));
    }
}

static void singles(void)
{
    char name[16] = "untouched";
    uint32_t table = 4711;
    int fd;

    errno = 77;
    HOLDS(is_in(vrf_socket("blue", AF_INET, SOCK_STREAM, 0), "blue"));
    HOLDS(is_in(vrf_socket("red", AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), "red"));
    HOLDS(is_in(inet(), ""));
    FAILS(EINVAL, vrf_socket("blue", AF_INET, 77, 0));
    FAILS(EINVAL, vrf_socket("blue0", AF_INET, SOCK_STREAM, 0)); /* a port, not a VRF */
    errno = 77;
    HOLDS((fd = inet()) >= 0 && vrf_bind_socket(fd, "blue") == 0 && errno == 77);
    HOLDS(vrf_bind_socket(fd, "blue") == 0);
    FAILS(ERANGE, vrf_of_socket(fd, name, 4));
    HOLDS(!strcmp(name, "untouched"));
    HOLDS(vrf_of_socket(fd, name, 5) == 0 && !strcmp(name, "blue"));
    if (geteuid() != 0) {
        FAILS(EPERM, vrf_bind_socket(fd, "red"));
        HOLDS(is_in(fd, "blue"));
    } else {
        HOLDS(vrf_bind_socket(fd, "red") == 0 && is_in(fd, "red"));
    }
    HOLDS((fd = inet()) >= 0 && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "blue0", 6) == 0);
    HOLDS(vrf_of_socket(fd, name, sizeof name) == 0 && !strcmp(name, "blue") && close(fd) == 0);
    stays(AF_INET);
    stays(AF_INET6);
    HOLDS(vrf_table("blue", &table) == 0 && table == 10);
    HOLDS(vrf_table("red", &table) == 0 && table == 20);
    FAILS(EINVAL, vrf_table("blue0", &table));
    HOLDS(table == 20);
}

static void process(void)
{
    char name[16] = "untouched";

    HOLDS(gets_in(""));
    errno = 77;
    HOLDS(vrf_set("blue") == 0 && errno == 77 && gets_in("blue"));
    FAILS(ENODEV, vrf_set("nowhere"));
    FAILS(EINVAL, vrf_set("blue0"));
    HOLDS(gets_in("blue"));
    FAILS(ERANGE, vrf_get(name, 4));
    HOLDS(!strcmp(name, "untouched") && vrf_get(name, 5) == 0);
    HOLDS(vrf_set("red") == 0 && gets_in("red"));
    HOLDS(is_in(vrf_socket("blue", AF_INET, SOCK_STREAM, 0), "blue"));
    HOLDS(vrf_set(NULL) == 0 && gets_in(""));
}

static void *other_thread(void *expected)
{
    HOLDS(gets_in((const char *)expected));
    HOLDS(vrf_set_thread("red") == 0 && gets_in("red"));
    return NULL;
}

static void in_other_thread(const char *expected)
{
    pthread_t thread;

    HOLDS(pthread_create(&thread, NULL, other_thread, (void *)(uintptr_t)expected) == 0);
    HOLDS(pthread_join(thread, NULL) == 0);
}

static void threads(void)
{
    HOLDS(vrf_set_thread("blue") == 0 && gets_in("blue"));
    in_other_thread(""); /* a thread begins with the process's choice, and its own ends with it */
    HOLDS(gets_in("blue"));
    HOLDS(vrf_set("red") == 0 && gets_in("blue"));
    in_other_thread("red");
    HOLDS(vrf_set_thread(NULL) == 0 && gets_in("red"));
    HOLDS(vrf_set(NULL) == 0 && gets_in(""));
}

static void child_exits_well(pid_t child)
{
    int status = -1;

    HOLDS(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

static int seen_in_atfork;

static void in_atfork(void)
{
    seen_in_atfork = gets_in("blue");
}

static void forks(void)
{
    pid_t child;

    HOLDS(pthread_atfork(NULL, NULL, in_atfork) == 0);
    HOLDS(vrf_set("red") == 0 && vrf_set_thread("blue") == 0);
    child = fork();
    if (child == 0) /* the choice of the thread that forked */
        _exit(!(seen_in_atfork && gets_in("blue") && vrf_set_thread(NULL) == 0 && gets_in("red")));
    child_exits_well(child);
    HOLDS(gets_in("blue"));
    child = vfork();
    if (child == 0)
        _exit(!is_in(inet(), "blue"));
    child_exits_well(child);
    HOLDS(vrf_set(NULL) == 0 && vrf_set_thread(NULL) == 0 && gets_in(""));
}

static volatile sig_atomic_t handled, wrong;

/* Interrupts socket(), vrf_set_thread() and itself wherever they are; leaves things as it found them. */
static void on_alarm(int number)
{
    int error = errno;
    char before[16];

    (void)number;
    wrong |= vrf_get(before, sizeof before) != 0;
    wrong |= vrf_set_thread("red") != 0 || !is_in(inet(), "red");
    wrong |= vrf_set_thread(before[0] ? before : NULL) != 0;
    errno = error;
    handled++;
}

static void signals(void)
{
    struct sigaction action;
    struct itimerval often, never;

    memset(&action, 0, sizeof action);
    memset(&often, 0, sizeof often);
    memset(&never, 0, sizeof never);
    action.sa_handler = on_alarm;
    action.sa_flags = SA_RESTART;
    often.it_interval.tv_usec = often.it_value.tv_usec = 5000;
    HOLDS(sigaction(SIGALRM, &action, NULL) == 0 && vrf_set_thread("blue") == 0);
    HOLDS(setitimer(ITIMER_REAL, &often, NULL) == 0);
    while (handled < 20)
        HOLDS(is_in(inet(), "blue"));
    HOLDS(setitimer(ITIMER_REAL, &never, NULL) == 0);
    HOLDS(!wrong && vrf_set_thread(NULL) == 0 && gets_in(""));
}

static void *changes_and_uses(void *argument)
{
    static const char *const vrfs[] = {"blue", "red"};
    unsigned number = (unsigned)(uintptr_t)argument, round;

    for (round = 0; round < 80; round++) {
        const char *vrf = vrfs[(number + round) % 2];
        HOLDS(vrf_set_thread(vrf) == 0 && is_in(inet(), vrf) && is_in(inet(), vrf));
    }
    return NULL;
}

static void stress(void)
{
    pthread_t all[32];
    uintptr_t i;

    for (i = 0; i < 32; i++)
        HOLDS(pthread_create(&all[i], NULL, changes_and_uses, (void *)i) == 0);
    for (i = 0; i < 32; i++)
        HOLDS(pthread_join(all[i], NULL) == 0 && vrf_set(i % 2 ? "blue" : NULL) == 0);
    HOLDS(vrf_set(NULL) == 0 && gets_in(""));
}

/* Under vrfrun for blue: NULL leads back there, other VRFs are a program's own choice. */
static void under_vrfrun(void)
{
    HOLDS(gets_in("blue"));
    HOLDS(vrf_set("red") == 0 && gets_in("red") && vrf_set(NULL) == 0 && gets_in("blue"));
    HOLDS(vrf_set_thread("red") == 0 && gets_in("red") && vrf_set_thread(NULL) == 0 && gets_in("blue"));
    HOLDS(is_in(vrf_socket("red", AF_INET6, SOCK_STREAM, 0), "red"));
}

/* vrfrun's BPF or supervisor has bound each socket to blue before the library sees it. */
static void bound_before(void)
{
    HOLDS(gets_in("blue"));
    HOLDS(vrf_set("blue") == 0 && gets_in("blue") && vrf_set(NULL) == 0);
    HOLDS(is_in(vrf_socket("blue", AF_INET6, SOCK_DGRAM, 0), "blue"));
    HOLDS(is_in(vrf_socket("blue", AF_INET, SOCK_STREAM, 0), "blue"));
    if (geteuid() == 0) {
        HOLDS(vrf_set("red") == 0 && gets_in("red") && vrf_set(NULL) == 0);
        HOLDS(is_in(vrf_socket("red", AF_INET6, SOCK_DGRAM, 0), "red"));
        HOLDS(is_in(vrf_socket("red", AF_INET, SOCK_STREAM, 0), "red"));
    } else {
        FAILS(EPERM, vrf_set("red"));
        FAILS(EPERM, vrf_set_thread("red"));
        FAILS(EPERM, vrf_socket("red", AF_INET6, SOCK_DGRAM, 0));
        FAILS(EPERM, vrf_socket("red", AF_INET, SOCK_STREAM, 0));
    }
    HOLDS(gets_in("blue"));
}

/* The VRF is deleted under the running program. */
static void deletion(void)
{
    struct addrinfo *list = NULL;

    HOLDS(vrf_set("blue") == 0 && system("ip link del blue") == 0);
    FAILS(ENODEV, inet());
    FAILS(ENODEV, (int)syscall(SYS_socket, AF_INET6, SOCK_STREAM, 0));
    HOLDS(getaddrinfo("www.vrf.test", "80", NULL, &list) != 0);
    FAILS(ENODEV, vrf_set("blue"));
    HOLDS(vrf_set("red") == 0 && is_in(inet(), "red"));
}

/* Under confine.c's "old": a kernel before 5.7, to a user. */
static void old_kernel(void)
{
    int before = dup(0), fd = inet();

    FAILS(EPERM, vrf_set("blue"));
    FAILS(EPERM, vrf_set_thread("blue"));
    FAILS(EPERM, vrf_socket("blue", AF_INET, SOCK_STREAM, 0));
    FAILS(EPERM, vrf_bind_socket(fd, "blue"));
    HOLDS(is_in(fd, "") && close(before) == 0 && dup(0) == before); /* nothing was left open */
    HOLDS(gets_in(""));
}

/* One VRF that is renamed again and again is as many as there are names. As root. */
static void many_vrfs(void)
{
    struct ifreq request;
    int i, control = socket(AF_UNIX, SOCK_DGRAM, 0);

    HOLDS(vrf_set("blue") == 0 && system("ip link add many0 type vrf table 30") == 0);
    memset(&request, 0, sizeof request);
    for (i = 0;; i++) {
        snprintf(request.ifr_name, sizeof request.ifr_name, "many%d", i);
        if (vrf_set(request.ifr_name) != 0)
            break;
        HOLDS(i < 2000 && is_in(inet(), request.ifr_name));
        snprintf(request.ifr_newname, sizeof request.ifr_newname, "many%d", i + 1);
        HOLDS(ioctl(control, SIOCSIFNAME, &request) == 0);
    }
    HOLDS(errno == ENOMEM && i == 1024 - 1); /* blue was the first */
    FAILS(ENODEV, inet());                    /* the last choice holds, and its name is gone */
    HOLDS(vrf_set("blue") == 0 && gets_in("blue") && vrf_set(NULL) == 0);
    HOLDS(system("ip link del $(ip -o link show type vrf | grep -o 'many[0-9]*')") == 0 && close(control) == 0);
}

int main(int count, char **words)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } sections[] = {
        {"singles", singles},     {"process", process},     {"threads", threads},
        {"forks", forks},         {"signals", signals},     {"stress", stress},
        {"deletion", deletion},   {"many_vrfs", many_vrfs}, {"under_vrfrun", under_vrfrun},
        {"old_kernel", old_kernel}, {"bound_before", bound_before},
    };
    size_t i;
    int word;

    for (word = 1; word < count; word++)
        for (i = 0; i < sizeof sections / sizeof *sections; i++)
            if (!strcmp(words[word], sections[i].name))
                sections[i].run();
    printf("%d checks passed\n", checked);
    return checked == 0;
}
