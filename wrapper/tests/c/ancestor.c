// Stands above vrfrun as other managers do, and runs a command there.
//
//     ancestor listener COMMAND [ARG]...       holds the one seccomp listener; no call is ever told to it
//     ancestor bind DEVICE COMMAND [ARG]...    a cgroup whose BPF program binds sockets to DEVICE, as systemd's
//                                              BindNetworkInterface= does; CGROUP names its directory
//     ancestor alone COMMAND [ARG]...          a cgroup with an egress program that allows no other below it, as
//                                              systemd's IPAccounting= has; CGROUP names its directory
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int die(const char *what) {
    fprintf(stderr, "ancestor: %s: %m\n", what);
    exit(99);
}

static void hold_listener(void) {
    // swapoff is there for the listener's sake: nobody calls it.
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_swapoff, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof steps / sizeof *steps, steps};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        die("no_new_privs");
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program) < 0)
        die("seccomp");
}

static void attach(int cgroup, struct bpf_insn *steps, int count, int type, int place, int flags) {
    union bpf_attr load = {.prog_type = type};
    load.insns = (uintptr_t)steps;
    load.insn_cnt = count;
    load.license = (uintptr_t)"GPL";
    load.expected_attach_type = place;
    int program = syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
    if (program < 0)
        die("load");
    union bpf_attr attach;
    memset(&attach, 0, sizeof attach);
    attach.target_fd = cgroup;
    attach.attach_bpf_fd = program;
    attach.attach_type = place;
    attach.attach_flags = flags;
    if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach) != 0)
        die("attach");
}

static void bind_sockets(int cgroup, int ifindex) {
    struct bpf_insn steps[] = {
        {.code = BPF_ALU | BPF_MOV | BPF_K, .dst_reg = 2, .imm = ifindex},
        {.code = BPF_STX | BPF_MEM | BPF_W, .dst_reg = 1, .src_reg = 2, .off = offsetof(struct bpf_sock, bound_dev_if)},
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1},
        {.code = BPF_JMP | BPF_EXIT},
    };
    attach(cgroup, steps, 4, BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE, BPF_F_ALLOW_MULTI);
}

static void let_all_packets_out(int cgroup) {
    struct bpf_insn steps[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1},
        {.code = BPF_JMP | BPF_EXIT},
    };
    attach(cgroup, steps, 2, BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS, 0);
}

static void join(const char *path) {
    int cgroup = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int procs = openat(cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    if (procs < 0 || write(procs, "0", 1) != 1)
        die("join");
    close(procs);
    close(cgroup);
}

static int make(const char *path) {
    if (mkdir(path, 0755) != 0)
        die(path);
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int main(int count, char **words) {
    const char *path = getenv("CGROUP");
    char **command = words + 2;
    if (count > 2 && strcmp(words[1], "listener") == 0) {
        path = NULL;
        hold_listener();
    } else if (count > 3 && strcmp(words[1], "bind") == 0 && path) {
        bind_sockets(make(path), if_nametoindex(words[2]));
        join(path);
        command = words + 3;
    } else if (count > 2 && strcmp(words[1], "alone") == 0 && path) {
        let_all_packets_out(make(path));
        join(path);
    } else {
        fprintf(stderr, "usage: ancestor listener|bind DEVICE|alone COMMAND...\n");
        return 99;
    }
    // The manager stays, and waits, as it would in life.
    pid_t child = fork();
    if (child == 0) {
        execvp(command[0], command);
        die(command[0]);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (path) {
        char parent[4096];
        snprintf(parent, sizeof parent, "%s/..", path);
        join(parent);
        // A supervisor leaves a moment after its last client.
        int is_left = rmdir(path);
        for (int i = 0; i < 20 && is_left; i++) {
            usleep(100000);
            is_left = rmdir(path);
        }
        if (is_left)
            die("processes or cgroups were left in it");
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
