/* Plays an OCI runtime: puts a filter on itself that hands inet sockets over, presents its listener at an agent's socket, and
 * becomes a program. usage: runtime SOCKET JSON COMMAND [ARG]...; in JSON, PID stands for this process's number. */
#define _GNU_SOURCE
#include <err.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static int filter_with_listener(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unshare, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof code / sizeof *code, code };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        err(1, "no_new_privs");
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

static void present(int agent, const char *said, int listener)
{
    char control[CMSG_SPACE(sizeof listener)] = { 0 };
    struct iovec part = { (void *)said, strlen(said) };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
                              .msg_controllen = sizeof control };
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof listener);
    memcpy(CMSG_DATA(rights), &listener, sizeof listener);
    /* An agent that does not want it may have gone: then nobody answers. */
    sendmsg(agent, &message, MSG_NOSIGNAL);
}

int main(int count, char **words)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char said[4096];
    if (count < 4)
        errx(2, "usage: runtime SOCKET JSON COMMAND [ARG]...");
    snprintf(address.sun_path, sizeof address.sun_path, "%s", words[1]);
    const char *pid = strstr(words[2], "PID");
    if (pid)
        snprintf(said, sizeof said, "%.*s%d%s", (int)(pid - words[2]), words[2], getpid(), pid + 3);
    else
        snprintf(said, sizeof said, "%s", words[2]);
    int agent = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (agent < 0 || connect(agent, (struct sockaddr *)&address, sizeof address))
        err(1, "%s", words[1]);
    int listener = filter_with_listener();
    if (listener < 0)
        err(1, "seccomp");
    present(agent, said, listener);
    close(listener);
    close(agent);
    execvp(words[3], words + 3);
    err(127, "%s", words[3]);
}
