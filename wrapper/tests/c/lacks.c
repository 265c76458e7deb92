// lacks FEATURE COMMAND...: runs a command on a kernel that answers as one without this feature does. A filter answers
// in the kernel's place; it has no listener, so that one below it can have its own.
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ANY (-1)
#define ROOM 256
#define KILLED (-1) // the answer is the end of who asks
#define LOW(argument) (offsetof(struct seccomp_data, args) + 8 * (argument))

// A call, two of its arguments (ANY: whatever it is; with a mask: any of these bits), and the answer.
struct answer {
    const char *feature;
    int call;
    int first, first_value;
    int second, second_value;
    unsigned mask; // of the second
    int error;
};

static const struct answer answers[] = {
    {"seccomp", SYS_seccomp, ANY, 0, ANY, 0, 0, ENOSYS},
    {"seccomp-killed", SYS_seccomp, ANY, 0, ANY, 0, 0, KILLED},
    {"pidfd_getfd-killed", SYS_pidfd_getfd, ANY, 0, ANY, 0, 0, KILLED},
    {"bpf-killed", SYS_bpf, ANY, 0, ANY, 0, 0, KILLED},
    {"fsopen-killed", SYS_fsopen, ANY, 0, ANY, 0, 0, KILLED},
    {"filter", SYS_seccomp, 0, SECCOMP_SET_MODE_FILTER, ANY, 0, 0, EINVAL},
    {"action", SYS_seccomp, 0, SECCOMP_GET_ACTION_AVAIL, ANY, 0, 0, EOPNOTSUPP},
    {"listener", SYS_seccomp, 0, SECCOMP_SET_MODE_FILTER, 1, 0, 8, EINVAL},
    {"taken", SYS_seccomp, 0, SECCOMP_SET_MODE_FILTER, 1, 0, 8, EBUSY},
    {"killable", SYS_seccomp, 0, SECCOMP_SET_MODE_FILTER, 1, 0, 32, EINVAL},
    {"spec-allow", SYS_seccomp, 0, SECCOMP_SET_MODE_FILTER, 1, 0, 4, EINVAL},
    {"addfd", SYS_ioctl, 1, 0x40182103, ANY, 0, 0, EINVAL},
    {"wake-up", SYS_ioctl, 1, 0x40082104, ANY, 0, 0, EINVAL},
    {"pidfd-info", SYS_ioctl, 1, (int)0xc040ff0b, ANY, 0, 0, ENOTTY},
    {"close_range", SYS_close_range, ANY, 0, ANY, 0, 0, ENOSYS},
    {"close_range-denied", SYS_close_range, ANY, 0, ANY, 0, 0, EPERM},
    {"pidfd_open", SYS_pidfd_open, ANY, 0, ANY, 0, 0, ENOSYS},
    {"pidfd_getfd", SYS_pidfd_getfd, ANY, 0, ANY, 0, 0, ENOSYS},
    {"pidfd_send_signal", SYS_pidfd_send_signal, ANY, 0, ANY, 0, 0, ENOSYS},
    {"openat2", SYS_openat2, ANY, 0, ANY, 0, 0, ENOSYS},
    {"clone3", SYS_clone3, ANY, 0, ANY, 0, 0, ENOSYS},
    {"statx", SYS_statx, ANY, 0, ANY, 0, 0, ENOSYS},
    {"memfd", SYS_memfd_create, ANY, 0, ANY, 0, 0, ENOSYS},
    {"io_uring", SYS_io_uring_setup, ANY, 0, ANY, 0, 0, ENOSYS},
    {"io_uring", SYS_io_uring_register, ANY, 0, ANY, 0, 0, ENOSYS},
    {"io_uring-filter", SYS_io_uring_register, 1, 37, ANY, 0, 0, EINVAL},
    {"fsopen", SYS_fsopen, ANY, 0, ANY, 0, 0, ENOSYS},
    {"fsopen", SYS_open_tree, ANY, 0, ANY, 0, 0, ENOSYS},
    {"bpf", SYS_bpf, ANY, 0, ANY, 0, 0, ENOSYS},
    {"bpf-denied", SYS_bpf, ANY, 0, ANY, 0, 0, EPERM},
    {"bind", SYS_setsockopt, 1, SOL_SOCKET, 2, SO_BINDTODEVICE, 0, EPERM},
    {"bind-option", SYS_setsockopt, 1, SOL_SOCKET, 2, SO_BINDTODEVICE, 0, ENOPROTOOPT},
    {"bound-option", SYS_getsockopt, 1, SOL_SOCKET, 2, SO_BINDTODEVICE, 0, ENOPROTOOPT},
    {"bind-index", SYS_setsockopt, 1, SOL_SOCKET, 2, 62, 0, ENOPROTOOPT},
    {"netns-cookie", SYS_getsockopt, 1, SOL_SOCKET, 2, 71, 0, ENOPROTOOPT},
    {"unicast-if", SYS_setsockopt, 1, 0, 2, 50, 0, ENOPROTOOPT},
    {"unicast-if6", SYS_setsockopt, 1, 41, 2, 76, 0, ENOPROTOOPT},
    {"strict-check", SYS_setsockopt, 1, 270, 2, 12, 0, ENOPROTOOPT},
    {"smc", SYS_socket, 0, 43, ANY, 0, 0, EAFNOSUPPORT},
    {"mptcp", SYS_socket, 2, 262, ANY, 0, 0, EPROTONOSUPPORT},
    {"inet6", SYS_socket, 0, AF_INET6, ANY, 0, 0, EAFNOSUPPORT},
    {"inet", SYS_socket, 0, AF_INET, ANY, 0, 0, EAFNOSUPPORT},
    {"netlink", SYS_socket, 0, AF_NETLINK, ANY, 0, 0, EAFNOSUPPORT},
};

static struct sock_filter program[ROOM];
static unsigned short length;

static void put(unsigned code, unsigned k, unsigned char yes, unsigned char no) {
    program[length++] = (struct sock_filter){(unsigned short)code, yes, no, k};
}

// Goes on behind the answer, `left` instructions away, unless the argument has the value or one of the bits.
static void compare(int argument, unsigned value, unsigned mask, unsigned char left) {
    put(BPF_LD | BPF_W | BPF_ABS, (unsigned)LOW(argument), 0, 0);
    put(BPF_JMP | (mask ? BPF_JSET : BPF_JEQ) | BPF_K, mask ? mask : value, 0, left);
}

static void add(const struct answer *a) {
    unsigned char second = a->second == ANY ? 0 : 2, first = a->first == ANY ? 0 : 2;
    put(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
    put(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)a->call, 0, first + second + 1);
    if (first)
        compare(a->first, (unsigned)a->first_value, 0, second + 1);
    if (second)
        compare(a->second, (unsigned)a->second_value, a->mask, 1);
    put(BPF_RET | BPF_K, a->error == KILLED ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | (unsigned)a->error, 0, 0);
}

// Memory that is written first never becomes code (6.3).
static int deny_code(void) {
    return prctl(65 /* PR_SET_MDWE */, 1, 0, 0, 0);
}

int main(int count, char **words) {
    if (count < 3)
        return 2;
    if (strcmp(words[1], "new-code") == 0) {
        if (deny_code() != 0)
            return perror("PR_SET_MDWE"), 1;
    } else {
        // Another machine's tables of calls are not looked at.
        put(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
        put(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
        put(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
        unsigned short before = length;
        for (unsigned i = 0; i < sizeof answers / sizeof *answers; i++)
            if (strcmp(answers[i].feature, words[1]) == 0)
                add(&answers[i]);
        if (length == before)
            return fprintf(stderr, "lacks: no such feature: %s\n", words[1]), 2;
        put(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
        struct sock_fprog filter = {length, program};
        // Root needs no no_new_privs, and has its privileges below.
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0 &&
            (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0))
            return perror("lacks"), 1;
    }
    execvp(words[2], words + 2);
    return perror(words[2]), 127;
}
