/* Watches inside the kernel what leaves by foreign links: a BPF program behind their last hook (tc, egress) flags each packet
   whose socket belongs to a process below one cgroup, whatever bound it or did not.

       oracle FIRST COUNT PROGRAM...

   Puts the program into that cgroup, writes it COUNT seeds from FIRST on, one after the other, and reads the names of its steps
   up to `end`. Exits 1 and prints the seed and the steps where a packet was flagged, with the link and the device that its
   socket was bound to; else prints how many sequences there were. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CGROUPS "/sys/fs/cgroup"
#define CGROUP CGROUPS "/oracle"
#define PIN "/sys/fs/bpf/oracle"

enum { LEVEL = 1, ANCESTOR_CGROUP_ID = 83, SK_FULLSOCK = 95, LOOKUP = 1 };

/* What is known of the packets that were flagged: how many, and of the last one its link and its socket's device. */
struct flagged {
    uint64_t packets;
    uint32_t link, device;
};

static void fail(const char *what)
{
    perror(what);
    exit(2);
}

static int bpf(int command, union bpf_attr *attributes, const char *what)
{
    long result = syscall(SYS_bpf, command, attributes, sizeof *attributes);

    if (result < 0)
        fail(what);
    return (int)result;
}

static int make_map(void)
{
    union bpf_attr map = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = sizeof(struct flagged), .max_entries = 1};

    return bpf(BPF_MAP_CREATE, &map, "make a map");
}

#define STEP(c, d, s, o, i) ((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)})

static int load_program(int map, uint64_t cgroup)
{
    struct bpf_insn code[] = {
        STEP(0xbf, 6, 1, 0, 0),                                                        /* r6 = the packet */
        STEP(0xb7, 2, 0, 0, LEVEL),                                                    /* is its socket's cgroup ours? */
        STEP(0x85, 0, 0, 0, ANCESTOR_CGROUP_ID),
        STEP(0x18, 1, 0, 0, (int)cgroup), STEP(0, 0, 0, 0, (int)(cgroup >> 32)),
        STEP(0x5d, 0, 1, 18, 0),
        STEP(0xb7, 7, 0, 0, 0),                                                        /* r7 = its socket's device */
        STEP(0x79, 1, 6, 168, 0), STEP(0x15, 1, 0, 3, 0),
        STEP(0x85, 0, 0, 0, SK_FULLSOCK), STEP(0x15, 0, 0, 1, 0),
        STEP(0x61, 7, 0, 0, 0),
        STEP(0x62, 10, 0, -4, 0),                                                      /* the map's only value */
        STEP(0xbf, 2, 10, 0, 0), STEP(0x07, 2, 0, 0, -4),
        STEP(0x18, 1, BPF_PSEUDO_MAP_FD, 0, map), STEP(0, 0, 0, 0, 0),
        STEP(0x85, 0, 0, 0, LOOKUP), STEP(0x15, 0, 0, 5, 0),
        STEP(0xb7, 1, 0, 0, 1), STEP(0xdb, 0, 1, 0, 0),                                /* packets += 1 */
        STEP(0x61, 1, 6, 40, 0), STEP(0x63, 0, 1, 8, 0),                               /* link, device */
        STEP(0x63, 0, 7, 12, 0),
        STEP(0xb7, 0, 0, 0, -1), STEP(0x95, 0, 0, 0, 0),                               /* TC_ACT_UNSPEC */
    };
    union bpf_attr load = {.prog_type = BPF_PROG_TYPE_SCHED_CLS, .insn_cnt = sizeof code / sizeof *code};

    load.insns = (uint64_t)(unsigned long)code;
    load.license = (uint64_t)(unsigned long)"GPL";
    return bpf(BPF_PROG_LOAD, &load, "load the program");
}

static void attach(int program)
{
    union bpf_attr pin = {.pathname = (uint64_t)(unsigned long)PIN, .bpf_fd = (uint32_t)program};

    unlink(PIN);
    bpf(BPF_OBJ_PIN, &pin, "pin the program");
    if (system("set -e; for link in eth0 red0; do tc qdisc replace dev $link clsact; tc filter replace dev $link egress pref 1 "
               "handle 1 bpf da object-pinned " PIN "; done") != 0)
        fail("tc");
    unlink(PIN);
}

static struct flagged look(int map)
{
    struct flagged value;
    uint32_t key = 0;
    union bpf_attr lookup = {.map_fd = (uint32_t)map};

    lookup.key = (uint64_t)(unsigned long)&key;
    lookup.value = (uint64_t)(unsigned long)&value;
    bpf(BPF_MAP_LOOKUP_ELEM, &lookup, "read the map");
    return value;
}

static void move_to(const char *procs)
{
    int fd = open(procs, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, "0", 1) != 1)
        fail(procs);
    close(fd);
}

/* The program's, whose processes may take a moment to go. */
static void remove_cgroups(void)
{
    move_to(CGROUPS "/cgroup.procs");
    for (int tries = 0; tries < 100; tries++) {
        if (system("find " CGROUP " -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null") == 0 && rmdir(CGROUP) == 0)
            return;
        usleep(50000);
    }
    fail("remove " CGROUP);
}

/* The names of a sequence's steps, with blanks for newlines; NULL if the program is gone. */
static const char *steps_of(FILE *from)
{
    static char steps[1 << 16];
    char line[128];

    *steps = 0;
    while (fgets(line, sizeof line, from)) {
        if (strncmp(line, "end", 3) == 0)
            return steps;
        line[strcspn(line, "\n")] = ';';
        if (strlen(steps) + strlen(line) + 2 < sizeof steps)
            strcat(strcat(steps, line), " ");
    }
    return NULL;
}

/* Whether no packet of any sequence was flagged. */
static int watch(int map, uint64_t first, uint64_t count, int to, FILE *from)
{
    for (uint64_t seed = first; seed < first + count; seed++) {
        const char *steps = write(to, &seed, sizeof seed) == sizeof seed ? steps_of(from) : NULL;
        struct flagged flagged = look(map);

        if (!steps) {
            printf("seed %llu: the program is gone\n", (unsigned long long)seed);
            return 0;
        }
        if (flagged.packets > 0) {
            printf("seed %llu: %llu packets by link %u of a socket bound to device %u: %s\n", (unsigned long long)seed,
                   (unsigned long long)flagged.packets, flagged.link, flagged.device, steps);
            return 0;
        }
    }
    printf("%llu sequences from seed %llu on\n", (unsigned long long)count, (unsigned long long)first);
    return 1;
}

int main(int argc, char **argv)
{
    int to[2], from[2], map, status, is_well;
    struct stat cgroup;
    pid_t program;

    if (argc < 4)
        return 2;
    if (mkdir(CGROUP, 0755) != 0 || stat(CGROUP, &cgroup) != 0 || pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0)
        fail(CGROUP);
    map = make_map();
    attach(load_program(map, cgroup.st_ino));
    move_to(CGROUP "/cgroup.procs");
    program = fork();
    if (program == 0) {
        dup2(to[0], STDIN_FILENO);
        dup2(from[1], STDOUT_FILENO);
        execvp(argv[3], argv + 3);
        fail(argv[3]);
    }
    close(to[0]);
    close(from[1]);
    signal(SIGPIPE, SIG_IGN);
    is_well = watch(map, strtoull(argv[1], NULL, 10), strtoull(argv[2], NULL, 10), to[1], fdopen(from[0], "r"));
    close(to[1]);
    waitpid(program, &status, 0);
    fflush(stdout);
    remove_cgroups();
    return !is_well;
}
