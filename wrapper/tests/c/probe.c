// Makes sockets in the ways named on the command line, and prints what the kernel says of them: the device they are
// bound to, or the errno.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/rtnetlink.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define SO_NETNS_COOKIE_ 71

static const char *device_of(int fd) {
    static char name[IFNAMSIZ];
    socklen_t size = sizeof name;
    memset(name, 0, sizeof name);
    if (fd < 0)
        return strerrorname_np(errno);
    if (getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &size) != 0)
        return strerrorname_np(errno);
    return name[0] ? name : "-";
}

static void report(const char *way, int fd) {
    printf("%s %s\n", way, device_of(fd));
    if (fd >= 0)
        close(fd);
}

static void flags(void) {
    for (int wanted = 0; wanted < 4; wanted++) {
        int kind = SOCK_STREAM | (wanted & 1 ? SOCK_CLOEXEC : 0) | (wanted & 2 ? SOCK_NONBLOCK : 0);
        int fd = socket(AF_INET, kind, 0);
        printf("flags %d %d%d %s\n", wanted, fcntl(fd, F_GETFD) == FD_CLOEXEC, !!(fcntl(fd, F_GETFL) & O_NONBLOCK),
               device_of(fd));
        close(fd);
    }
}

// As many descriptors as are allowed, and one more.
static void emfile(void) {
    struct rlimit few = {16, 16};
    setrlimit(RLIMIT_NOFILE, &few);
    int fd, unbound = 0;
    while ((fd = socket(AF_INET, SOCK_STREAM, 0)) >= 0)
        unbound += device_of(fd)[0] == '-';
    printf("emfile %s unbound %d\n", strerrorname_np(errno), unbound);
}

static void nothing(int signal) {
    (void)signal;
}

static int open_descriptors(void) {
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

// A signal every 50 microseconds, without SA_RESTART: a call may fail with EINTR, and nothing else may happen.
static void storm(void) {
    struct sigaction action = {.sa_handler = nothing};
    struct itimerval often = {{0, 50}, {0, 50}}, never = {{0, 0}, {0, 0}};
    int made = 0, interrupted = 0, unbound = 0, other = 0, before = open_descriptors();
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < 3000; i++) {
        int fd = socket(AF_INET, SOCK_DGRAM, 0);
        if (fd < 0) {
            *(errno == EINTR ? &interrupted : &other) += 1;
            continue;
        }
        made++;
        unbound += device_of(fd)[0] == '-';
        close(fd);
    }
    setitimer(ITIMER_REAL, &never, NULL);
    printf("storm unbound %d other %d leaked %d %s\n", unbound, other, open_descriptors() - before,
           made > 0 && made + interrupted == 3000 ? "all answered" : "lost some");
}

static uint64_t netns_cookie(int fd) {
    uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE_, &cookie, &size);
    return cookie;
}

// Whether an inet socket is of this process's own network namespace, as an AF_UNIX one always is.
static void netns(void) {
    int inet = socket(AF_INET, SOCK_STREAM, 0), own = socket(AF_UNIX, SOCK_STREAM, 0);
    printf("netns %s %s\n", netns_cookie(inet) == netns_cookie(own) ? "own" : "foreign", device_of(inet));
}

static void unshared(void) {
    int result = unshare(CLONE_NEWNET);
    if (result != 0)
        result = unshare(CLONE_NEWUSER | CLONE_NEWNET);
    if (result == 0)
        netns();
    else
        printf("unshared %s\n", strerrorname_np(errno));
}

static int become_netns(void *unused) {
    (void)unused;
    execl("/proc/self/exe", "probe", "netns", NULL);
    return 1;
}

// A thread in a network namespace of its own becomes the process: its number is then the first thread's.
static void thread(void) {
    static char stack[1 << 16];
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_NEWNET;
    report("thread", socket(AF_INET, SOCK_STREAM, 0));
    fflush(stdout);
    if (clone(become_netns, stack + sizeof stack, flags, NULL) < 0)
        printf("clone %s\n", strerrorname_np(errno));
    else
        pause();
}

static void child(void) {
    printf("child %s\n", waitpid(-1, NULL, 0) < 0 ? strerrorname_np(errno) : "found");
}

// Who it runs as, and with how many groups.
static void ids(void) {
    printf("ids %d %d %d\n", (int)geteuid(), (int)getegid(), getgroups(0, NULL));
}

static int raw_syscall(long number, long a, long b, long c) {
#ifdef __x86_64__
    long result;
    register long r10 __asm__("r10") = 0, r8 __asm__("r8") = 0, r9 __asm__("r9") = 0;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
#else
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
#endif
    if (result < 0) {
        errno = -result;
        return -1;
    }
    return result;
}

// Whose the socket is: the owner of its inode.
static void owner(void) {
    struct stat status;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    fstat(fd, &status);
    printf("owner %s %s\n", status.st_uid == geteuid() && status.st_gid == getegid() ? "own" : "foreign", device_of(fd));
}

static void owned(const char *whom) {
    struct stat status = {0};
    int fd = raw_syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        printf("%s %s\n", whom, device_of(fd));
    else if (fstat(fd, &status) == 0)
        printf("%s %d:%d %s\n", whom, status.st_uid, status.st_gid, device_of(fd));
    close(fd);
}

// One process of root's becomes one after the other, by the system calls themselves: libc would tell other threads.
static void become(void) {
    gid_t groups[] = {2000};
    owned("at first");
    raw_syscall(SYS_setresgid, -1, 1000, -1);
    owned("gid");
    raw_syscall(SYS_setresuid, -1, 1000, -1);
    owned("uid");
    report("ping", raw_syscall(SYS_socket, AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
    raw_syscall(SYS_setresuid, -1, 0, -1);
    owned("root again");
    setfsuid(1234);
    owned("fsuid");
    setfsgid(4321);
    owned("fsgid");
    setgroups(1, groups);
    report("ping", raw_syscall(SYS_socket, AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
    report("raw", raw_syscall(SYS_socket, AF_INET, SOCK_RAW, IPPROTO_ICMP));
    raw_syscall(SYS_setresuid, 1000, 1000, 1000);
    owned("for good");
    report("raw", raw_syscall(SYS_socket, AF_INET, SOCK_RAW, IPPROTO_ICMP));
}

// In another network namespace by setns(2) and back again.
static void entered(void) {
    int back = open("/proc/self/ns/net", O_RDONLY), ready[2], over[2];
    char path[64], byte;
    if (pipe(ready) != 0 || pipe(over) != 0)
        return;
    pid_t child = fork();
    if (child == 0) {
        unshare(CLONE_NEWNET);
        close(over[1]);
        if (write(ready[1], "", 1) == 1 && read(over[0], &byte, 1) == 0)
            _exit(0);
        _exit(1);
    }
    netns();
    snprintf(path, sizeof path, "/proc/%d/ns/net", child);
    if (read(ready[0], &byte, 1) == 1 && setns(open(path, O_RDONLY), 0) == 0)
        netns();
    setns(back, CLONE_NEWNET);
    netns();
    close(over[1]);
    waitpid(child, NULL, 0);
}

// A filter of the program's own answers setsockopt(2) with success, and the kernel does nothing.
static void deceived(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setsockopt, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof code / sizeof *code, code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        printf("no filter: ");
    report("deceived", socket(AF_INET, SOCK_STREAM, 0));
}

// What setsockopt(2) says to the device that the socket is bound to, and to others.
static void rebind(void) {
    int fd = raw_syscall(SYS_socket, AF_INET, SOCK_DGRAM, 0), own = if_nametoindex("blue"), other = if_nametoindex("red");
    const struct {
        const char *name;
        int option;
        const void *value;
        socklen_t size;
    } tries[] = {
        {"same", SO_BINDTODEVICE, "blue", 4},         {"same with NUL", SO_BINDTODEVICE, "blue", 5},
        {"same index", 62, &own, sizeof own},         {"part", SO_BINDTODEVICE, "blu", 3},
        {"longer", SO_BINDTODEVICE, "bluer", 5},      {"other", SO_BINDTODEVICE, "red", 4},
        {"other index", 62, &other, sizeof other},    {"nothing", SO_BINDTODEVICE, "", 0},
        {"no address", SO_BINDTODEVICE, (void *)8, 4}, {"same again", SO_BINDTODEVICE, "blue", 4},
    };
    for (unsigned i = 0; i < sizeof tries / sizeof *tries; i++) {
        int result = setsockopt(fd, SOL_SOCKET, tries[i].option, tries[i].value, tries[i].size);
        printf("%s %s\n", tries[i].name, result == 0 ? "ok" : strerrorname_np(errno));
    }
    report("rebind", fd);
}

static void mptcp(void) {
    int protocol = 0, fd = socket(AF_INET, SOCK_STREAM, 262);
    socklen_t size = sizeof protocol;
    getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size);
    printf("mptcp %d %s\n", protocol, device_of(fd));
    close(fd);
}

static const char *named(int fd, int level, int option) {
    static char name[IFNAMSIZ];
    unsigned index = 0;
    socklen_t size = sizeof index;
    if (getsockopt(fd, level, option, &index, &size) != 0)
        return strerrorname_np(errno);
    return index ? if_indextoname(ntohl(index), name) : "-";
}

// The options that stand in for the binding, and whether the kernel takes it away.
static void options(void) {
    const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    const struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = 7};
    int udp = socket(AF_INET, SOCK_DGRAM, 0), udp6 = socket(AF_INET6, SOCK_DGRAM, 0), tcp = socket(AF_INET, SOCK_STREAM, 0);
    printf("udp %s tcp %s ", named(udp, IPPROTO_IP, IP_UNICAST_IF), named(tcp, IPPROTO_IP, IP_UNICAST_IF));
    printf("udp6 %s\n", named(udp6, IPPROTO_IPV6, IPV6_UNICAST_IF));
    connect(udp, (const struct sockaddr *)&local, sizeof local);
    int result = connect(udp, &nobody, sizeof nobody);
    printf("unspec %d %s %s\n", result, device_of(udp), named(udp, IPPROTO_IP, IP_UNICAST_IF));
    result = connect(udp6, &nobody, sizeof nobody);
    printf("unspec6 %d %s %s\n", result, device_of(udp6), named(udp6, IPPROTO_IPV6, IPV6_UNICAST_IF));
}

static void privileges(void) {
    printf("no_new_privs %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

// Sets `lo` up, as it is: what the kernel asks of who has made the socket.
static void change_link(const char *way, int fd) {
    struct {
        struct nlmsghdr header;
        struct ifinfomsg link;
    } request = {.header = {.nlmsg_len = sizeof request, .nlmsg_type = RTM_NEWLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
                 .link = {.ifi_index = 1, .ifi_flags = 1, .ifi_change = 1}};
    struct {
        struct nlmsghdr header;
        struct nlmsgerr answer;
        char rest[256];
    } reply;
    if (send(fd, &request, sizeof request, 0) < 0 || recv(fd, &reply, sizeof reply, 0) < 0)
        reply.answer.error = -errno;
    printf("%s %s\n", way, reply.answer.error ? strerrorname_np(-reply.answer.error) : "done");
    close(fd);
}

static void old_tables(const char *way) {
#ifdef __x86_64__
    // int 0x80 in a 64-bit program reaches the i386 table; pointers would have to lie below 4 GiB.
    if (strcmp(way, "int80") == 0) {
        long result;
        __asm__ volatile("int $0x80" : "=a"(result) : "a"(359L), "b"(2L), "c"(1L), "d"(0L) : "r8", "r9", "r10", "r11", "memory");
        errno = -(int)result;
        report(way, (int)result < 0 ? -1 : (int)result);
    } else if (strcmp(way, "x32") == 0) {
        report(way, raw_syscall(0x40000000 | SYS_socket, AF_INET, SOCK_STREAM, 0));
    }
#else
    static unsigned long words[3] = {AF_INET, SOCK_STREAM, 0}, local[3] = {AF_UNIX, SOCK_STREAM, 0};
    if (strcmp(way, "socketcall") == 0)
        report(way, raw_syscall(102, 1, (long)words, 0));
    else if (strcmp(way, "socketcall-unix") == 0)
        report(way, raw_syscall(102, 1, (long)local, 0));
    else if (strcmp(way, "socketcall-fault") == 0)
        report(way, raw_syscall(102, 1, 8, 0));
    else if (strcmp(way, "socketcall-rds") == 0)
        local[0] = 21, local[1] = SOCK_SEQPACKET, report(way, raw_syscall(102, 1, (long)local, 0));
    else if (strcmp(way, "socketcall-rxrpc") == 0)
        local[0] = 33, local[1] = SOCK_DGRAM, report(way, raw_syscall(102, 1, (long)local, 0));
    else if (strcmp(way, "socketcall-netlink") == 0)
        local[0] = AF_NETLINK, local[1] = SOCK_RAW, change_link(way, raw_syscall(102, 1, (long)local, 0));
#endif
}

int main(int count, char **words) {
    // Not a shell's environment: what execve(2) lets through.
    if (count > 2 && strcmp(words[1], "oddly") == 0) {
        char *environment[] = {"no equals sign", "=starts with one", "PATH=/mnt:/usr/bin:/bin:/usr/sbin:/sbin", NULL};
        execvpe(words[2], words + 2, environment);
        return 127;
    }
    // Variables of an outer run, each twice.
    if (count > 2 && strcmp(words[1], "twice") == 0) {
        char *environment[] = {"LD_PRELOAD=/mnt/libvrfshim.so",
                               "LD_PRELOAD=/mnt/libvrfshim.so",
                               "VRFSHIM=0000000000000000:red",
                               "VRFSHIM=0000000000000000:red",
                               "VRFRUN_VRF=red",
                               "VRFRUN_VRF=red",
                               "PATH=/mnt:/usr/bin:/bin:/usr/sbin:/sbin",
                               NULL};
        execvpe(words[2], words + 2, environment);
        return 127;
    }
    for (int i = 1; i < count; i++) {
        const char *way = words[i];
        if (strcmp(way, "socket") == 0)
            report(way, socket(AF_INET, SOCK_STREAM, 0));
        else if (strcmp(way, "inet6") == 0)
            report(way, socket(AF_INET6, SOCK_DGRAM, 0));
        else if (strcmp(way, "unix") == 0)
            report(way, socket(AF_UNIX, SOCK_STREAM, 0));
        else if (strcmp(way, "raw") == 0)
            report(way, socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
        else if (strcmp(way, "raw6") == 0)
            report(way, socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
        else if (strcmp(way, "ping") == 0)
            report(way, socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
        else if (strcmp(way, "become") == 0)
            become();
        else if (strcmp(way, "deceived") == 0)
            deceived();
        else if (strcmp(way, "entered") == 0)
            entered();
        else if (strcmp(way, "rebind") == 0)
            rebind();
        else if (strcmp(way, "mptcp") == 0)
            mptcp();
        else if (strcmp(way, "options") == 0)
            options();
        else if (strcmp(way, "netlink") == 0)
            change_link(way, raw_syscall(SYS_socket, AF_NETLINK, SOCK_RAW, 0));
        else if (strcmp(way, "badtype") == 0)
            report(way, socket(AF_INET, 99, 0));
        else if (strcmp(way, "badprotocol") == 0)
            report(way, socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
        else if (strcmp(way, "syscall") == 0)
            report(way, raw_syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));
        else if (strcmp(way, "uring") == 0)
            report(way, syscall(425, 8, NULL));
        else if (strcmp(way, "flags") == 0)
            flags();
        else if (strcmp(way, "emfile") == 0)
            emfile();
        else if (strcmp(way, "storm") == 0)
            storm();
        else if (strcmp(way, "netns") == 0)
            netns();
        else if (strcmp(way, "unshared") == 0)
            unshared();
        else if (strcmp(way, "thread") == 0)
            thread();
        else if (strcmp(way, "child") == 0)
            child();
        else if (strcmp(way, "owner") == 0)
            owner();
        else if (strcmp(way, "privileges") == 0)
            privileges();
        else if (strcmp(way, "ids") == 0)
            ids();
        else if (strcmp(way, "index") == 0)
            printf("index %u\n", if_nametoindex("blue"));
        else
            old_tables(way);
        fflush(stdout);
    }
    return 0;
}
