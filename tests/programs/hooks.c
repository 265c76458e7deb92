/* The programs at one hook of a cgroup, as an administrator (or another manager) treats them.

       hooks count|detach|replace CGROUP TYPE...

   TYPE is a number of enum bpf_attach_type. `count` prints how many there are at each, `detach` detaches all, `replace` puts
   one that allows everything in the place of each. */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST = 64 };

static long bpf(int command, union bpf_attr *attributes)
{
    long result = syscall(SYS_bpf, command, attributes, sizeof *attributes);

    if (result < 0) {
        perror("bpf");
        exit(1);
    }
    return result;
}

static unsigned query(int cgroup, unsigned type, unsigned *ids)
{
    union bpf_attr attributes = {.query = {.target_fd = cgroup, .attach_type = type}};

    attributes.query.prog_ids = (__u64)(unsigned long)ids;
    attributes.query.prog_cnt = MOST;
    bpf(BPF_PROG_QUERY, &attributes);
    return attributes.query.prog_cnt;
}

static int by_id(unsigned id)
{
    union bpf_attr attributes = {.prog_id = id};

    return (int)bpf(BPF_PROG_GET_FD_BY_ID, &attributes);
}

/* return 1 */
static int that_allows(int program, unsigned attach_type)
{
    struct bpf_insn code[] = {{.code = 0xb7, .dst_reg = 0, .imm = 1}, {.code = 0x95}};
    struct bpf_prog_info info = {0};
    union bpf_attr asked = {.info = {.bpf_fd = program, .info_len = sizeof info}};
    union bpf_attr load = {.insn_cnt = 2, .expected_attach_type = attach_type};

    asked.info.info = (__u64)(unsigned long)&info;
    bpf(BPF_OBJ_GET_INFO_BY_FD, &asked);
    load.prog_type = info.type;
    load.insns = (__u64)(unsigned long)code;
    load.license = (__u64)(unsigned long)"GPL";
    return (int)bpf(BPF_PROG_LOAD, &load);
}

static void treat(const char *how, int cgroup, unsigned type)
{
    unsigned ids[MOST] = {0};
    unsigned count = query(cgroup, type, ids);

    if (strcmp(how, "count") == 0)
        printf("%u\n", count);
    for (unsigned at = 0; at < count && strcmp(how, "count") != 0; at++) {
        int program = by_id(ids[at]);
        union bpf_attr attributes = {.target_fd = cgroup, .attach_bpf_fd = program, .attach_type = type};

        if (strcmp(how, "detach") == 0) {
            bpf(BPF_PROG_DETACH, &attributes);
            continue;
        }
        attributes.attach_bpf_fd = that_allows(program, type);
        attributes.attach_flags = BPF_F_ALLOW_MULTI | BPF_F_REPLACE;
        attributes.replace_bpf_fd = program;
        bpf(BPF_PROG_ATTACH, &attributes);
    }
}

int main(int count, char **words)
{
    const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    int cgroup = count < 4 ? -1 : open(words[2], O_RDONLY | O_DIRECTORY);

    if (cgroup < 0) {
        perror("hooks");
        return 2;
    }
    setrlimit(RLIMIT_MEMLOCK, &all); /* before 5.11 programs count against it */
    for (int at = 3; at < count; at++)
        treat(words[1], cgroup, (unsigned)atoi(words[at]));
    return 0;
}
