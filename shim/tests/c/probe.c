/* Makes sockets in the ways named on the command line and prints for each where it is: "way device", "way -" for a
 * socket that is bound to nothing, "way ERRNO" for none. Knows nothing of the library. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
#ifdef __GLIBC__
extern int __socket(int, int, int);
#else
#define __socket socket
#endif

static void tell(const char *way, int fd)
{
    char device[17] = "";
    socklen_t len = 16;
    int error = errno;
    if (fd < 0) {
        printf("%s %s\n", way, strerror(error));
    } else {
        getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &len);
        printf("%s %s\n", way, device[0] ? device : "-");
    }
    fflush(stdout);
}

static void in_thread(void)
{
    tell("thread", socket(AF_INET, SOCK_DGRAM, 0));
}

static void *run(void *function)
{
    ((void (*)(void))(uintptr_t)function)();
    return NULL;
}

static void on_signal(int number)
{
    (void)number;
    tell("signal", socket(AF_INET, SOCK_DGRAM, 0));
}

static void after_fork(void)
{
    tell("atfork", socket(AF_INET, SOCK_DGRAM, 0));
}

static void way(const char *name)
{
    int fd;
    if (!strcmp(name, "socket"))
        tell(name, socket(AF_INET, SOCK_STREAM, 0));
    if (!strcmp(name, "inet6"))
        tell(name, socket(AF_INET6, SOCK_DGRAM, 0));
    if (!strcmp(name, "__socket"))
        tell(name, __socket(AF_INET, SOCK_DGRAM, 0));
    if (!strcmp(name, "syscall"))
        tell(name, (int)syscall(SYS_socket, AF_INET6, SOCK_STREAM, 0));
    if (!strcmp(name, "unix"))
        tell(name, socket(AF_UNIX, SOCK_STREAM, 0));
    if (!strcmp(name, "netlink"))
        tell(name, socket(AF_NETLINK, SOCK_RAW, 0));
    if (!strcmp(name, "badfamily"))
        tell(name, socket(12345, SOCK_STREAM, 0));
    if (!strcmp(name, "badtype"))
        tell(name, socket(AF_INET, 77, 0));
    if (!strcmp(name, "badprotocol"))
        tell(name, socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
    if (!strcmp(name, "thread")) {
        pthread_t thread;
        pthread_create(&thread, NULL, run, (void *)(uintptr_t)in_thread);
        pthread_join(thread, NULL);
    }
    if (!strcmp(name, "signal")) {
        signal(SIGUSR1, on_signal);
        raise(SIGUSR1);
    }
    if (!strcmp(name, "fork")) {
        pthread_atfork(NULL, NULL, after_fork);
        if (fork() == 0) {
            tell(name, socket(AF_INET, SOCK_DGRAM, 0));
            _exit(0);
        }
        wait(NULL);
    }
    if (!strcmp(name, "vfork")) {
        if (vfork() == 0) {
            tell(name, socket(AF_INET, SOCK_DGRAM, 0));
            _exit(0);
        }
        wait(NULL);
    }
    if (!strcmp(name, "noenviron")) { /* as setproctitle() and daemons do */
        for (char **entry = environ; *entry; entry++)
            memset(*entry, 'x', strlen(*entry));
        clearenv();
        tell(name, socket(AF_INET, SOCK_DGRAM, 0));
    }
    if (!strcmp(name, "descriptors")) { /* a socket that could not be bound must not stay open */
        int before = dup(0);
        close(before);
        socket(AF_INET, SOCK_STREAM, 0);
        printf("descriptors %d\n", dup(0) - before);
    }
    if (!strcmp(name, "errno")) {
        errno = 77;
        fd = socket(AF_INET, SOCK_STREAM, 0);
        fd = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0) < 0 ? -1 : fd;
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
        printf("errno %d\n", errno);
    }
    if (!strncmp(name, "bind=", 5)) { /* asks for a device, with and without the NUL, as programs do */
        fd = socket(AF_INET, SOCK_DGRAM, 0);
        for (socklen_t len = strlen(name + 5); len <= strlen(name + 5) + 1; len++)
            printf("bind %s\n", strerror(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name + 5, len) ? errno : 0));
        tell("bound", fd);
    }
    if (!strncmp(name, "index=", 6)) {
        int index = atoi(name + 6);
        fd = socket(AF_INET, SOCK_DGRAM, 0);
        printf("index %s\n", strerror(setsockopt(fd, SOL_SOCKET, 62, &index, sizeof index) ? errno : 0));
    }
#ifdef __x86_64__
    if (!strcmp(name, "raw")) { /* past every libc */
        long result = SYS_socket;
        __asm__ volatile("syscall"
                         : "+a"(result)
                         : "D"((long)AF_INET), "S"((long)SOCK_DGRAM), "d"(0L)
                         : "rcx", "r11", "memory");
        errno = (int)-result;
        tell(name, (int)result);
    }
    if (!strcmp(name, "register")) { /* what a raw system call would pass as sixth argument now */
        uint64_t sixth;
        socket(AF_INET, 77, 0);
        __asm__ volatile("mov %%r9, %0" : "=r"(sixth));
        printf("register %016llx\n", (unsigned long long)sixth);
    }
#endif
}

int main(int count, char **names)
{
    for (int i = 1; i < count; i++)
        way(names[i]);
    return 0;
}
