/* One socket, made in the way that the argument names, asks the web server. */
#define _GNU_SOURCE
#include "client.h"
#include "socket.h"

#include <dlfcn.h>
#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static char stack[256 * 1024];

static int ask(void)
{
    return print_greeting(socket(AF_INET, SOCK_STREAM, 0));
}

static int status_of(pid_t child)
{
    int status = 1;

    if (child > 0)
        waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

#if defined(__x86_64__) || defined(__aarch64__) || defined(__riscv)
/* The system call instruction itself: nothing that could be interposed. */
static int by_instruction(void)
{
    return print_greeting((int)socket_by_syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));
}

/* The same right after a socket that libc made: a cookie left in a register would carry it past the filter. */
static int after_libcs(void)
{
    int first = socket(AF_INET, SOCK_STREAM, 0);
    int second = (int)socket_by_syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);

    return first < 0 || print_greeting(second);
}

/* Nobody but root may look into a process that is not dumpable: its /proc files belong to root. */
static int not_dumpable(void)
{
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
        return by_instruction();
    perror("PR_SET_DUMPABLE");
    return 1;
}
#endif

#ifdef __x86_64__
/* The x32 table (Debian's kernels: with syscall.x32=y). */
static int by_x32(void)
{
    return print_greeting((int)socket_by_syscall(0x40000000 | 41, AF_INET, SOCK_STREAM, 0));
}
#endif

#if defined(__x86_64__) || defined(__i386__)
/* A 64-bit program that uses the i386 table, and one of i386 that goes past its libc. */
static int by_int80(void)
{
    return print_greeting(socket_by_int80(AF_INET, SOCK_STREAM, 0));
}
#endif

/* Asks for libc's socket() by version: an unversioned interposer is not found that way. */
static int by_dlvsym(void)
{
    int (*versioned)(int, int, int);

    *(void **)&versioned = dlvsym(RTLD_DEFAULT, "socket", "GLIBC_2.2.5");
    if (versioned != NULL)
        return print_greeting(versioned(AF_INET, SOCK_STREAM, 0));
    fprintf(stderr, "dlvsym: %s\n", dlerror());
    return 1;
}

/* A child that borrows its parent's memory (vfork) makes the socket there. POSIX allows it nothing but exec; Linux and
   several shells' built-ins do more, and what a hook keeps in memory must stand it. */
static int in_vfork(void)
{
    pid_t child = vfork();

    if (child == 0)
        _exit(ask());
    return status_of(child);
}

static int cloned(void *unused)
{
    (void)unused;
    return ask();
}

/* A process, not a thread, that shares its parent's memory (CLONE_VM): getpid() differs, statics do not. */
static int in_clone(void)
{
    return status_of(clone(cloned, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL));
}

static volatile int made_in_handler = -1;

static void handler(int number)
{
    (void)number;
    made_in_handler = socket(AF_INET, SOCK_STREAM, 0);
}

/* A signal handler, on an alternate stack. */
static int in_signal(void)
{
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};

    sigaltstack(&alternate, NULL);
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    return print_greeting(made_in_handler);
}

/* A daemon: forks twice, leaves its session and opens the socket when nobody waits for it but a pipe. */
static int in_daemon(void)
{
    int ends[2];
    char result = 1;

    if (pipe(ends) != 0)
        return 1;
    if (fork() != 0) {
        close(ends[1]);
        return read(ends[0], &result, 1) != 1 || result != 0;
    }
    setsid();
    if (fork() != 0)
        _exit(0);
    result = (char)ask();
    return write(ends[1], &result, 1) != 1;
}

/* Installed set-uid or with a file capability, it is AT_SECURE: the loader ignores LD_PRELOAD. */
static int secure(void)
{
    fprintf(stderr, "secure: %lu, effective uid: %d\n", getauxval(AT_SECURE), (int)geteuid());
    return ask();
}

static const struct way WAYS[] = {
#if defined(__x86_64__) || defined(__aarch64__) || defined(__riscv)
    {"instruction", by_instruction},
    {"after-libcs", after_libcs},
    {"not-dumpable", not_dumpable},
#endif
#ifdef __x86_64__
    {"x32", by_x32},
#endif
#if defined(__x86_64__) || defined(__i386__)
    {"int80", by_int80},
#endif
    {"dlvsym", by_dlvsym},
    {"vfork", in_vfork},
    {"clone-vm", in_clone},
    {"signal", in_signal},
    {"daemon", in_daemon},
    {"secure", secure},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return run_way(WAYS, argc, argv);
}
