/* Changes itself in the way that the first argument names, and becomes the program that the others are. */
#include "client.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif

extern char **environ;

/* A filter that allows everything. */
static struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
static struct sock_fprog filter = {.len = 1, .filter = &allow};

static int become(void)
{
    if (arguments[0] == NULL)
        return 2;
    execvp(arguments[0], arguments);
    perror(arguments[0]);
    return 127;
}

/* execve(2) with no environment at all. */
static int without_environment(void)
{
    static char *nothing[] = {NULL};

    environ = nothing;
    return become();
}

/* PR_SET_MDWE (6.3): no page may become executable any more, so libc's code cannot be patched by mprotect. It is
   inherited. An older kernel has no such rule: the program then runs without. */
static int without_new_code(void)
{
    if (prctl(PR_SET_MDWE, 1, 0, 0, 0) != 0)
        perror("PR_SET_MDWE");
    return become();
}

/* A seccomp filter of its own, which must not disturb the other one. */
static int filtered(void)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0)
        return become();
    perror("seccomp");
    return 1;
}

/* A seccomp listener of its own, as container managers want it. It may be refused one (there is one in a chain of
   filters), and goes on without. */
static int supervised(void)
{
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter) < 0)
        perror("listener");
    return become();
}

/* posix_spawn(3), which is a vfork in disguise. */
static int spawned(void)
{
    int status = 1;
    pid_t child;
    int error = posix_spawnp(&child, arguments[0], NULL, NULL, arguments, environ);

    if (error != 0) {
        fprintf(stderr, "posix_spawn: %s\n", strerror(error));
        return 1;
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static const struct way WAYS[] = {
    {"without-environment", without_environment},
    {"mdwe", without_new_code},
    {"filtered", filtered},
    {"supervised", supervised},
    {"spawned", spawned},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return run_way(WAYS, argc, argv);
}
