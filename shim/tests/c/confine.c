/* confine WORD PROGRAM ARG...: runs a program under a restriction that it inherits.
 *   memfd    memfd_create() fails with ENOSYS, as before Linux 3.17
 *   write    no page may become writable and executable
 *   both     memfd and write
 *   mdwe     PR_SET_MDWE (6.3): no page may become executable that was not so from birth
 *   old      setsockopt(SO_BINDTODEVICE) fails with EPERM, as before Linux 5.7 without CAP_NET_RAW
 *   lie      setsockopt() does nothing and says that it succeeded
 *   gate     inet sockets without the cookie 0x0123456789abcdef fail with ENETUNREACH, as under vrfrun */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NUMBER BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define WORD(arg, high) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[arg]) + 4 * (high))
#define SKIP_UNLESS(value, steps) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, steps)
#define SKIP_IF(value, steps) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, steps, 0)
#define SKIP_UNLESS_BIT(bit, steps) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bit, 0, steps)
#define FAIL(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static struct sock_filter memfd[] = {NUMBER, SKIP_UNLESS(SYS_memfd_create, 1), FAIL(ENOSYS), ALLOW};
static struct sock_filter write_execute[] = {
    NUMBER, SKIP_UNLESS(SYS_mprotect, 3), WORD(2, 0), SKIP_UNLESS_BIT(PROT_EXEC, 1), FAIL(EACCES), ALLOW};
static struct sock_filter old[] = {
    NUMBER, SKIP_UNLESS(SYS_setsockopt, 3), WORD(2, 0), SKIP_UNLESS(SO_BINDTODEVICE, 1), FAIL(EPERM), ALLOW};
static struct sock_filter lie[] = {NUMBER, SKIP_UNLESS(SYS_setsockopt, 1), FAIL(0), ALLOW};
static struct sock_filter gate[] = {NUMBER,     SKIP_UNLESS(SYS_socket, 8),
                                    WORD(0, 0), SKIP_IF(AF_INET, 1),
                                    SKIP_UNLESS(AF_INET6, 5), /* to ALLOW */
                                    WORD(5, 0), SKIP_UNLESS(0x89abcdef, 2),
                                    WORD(5, 1), SKIP_IF(0x01234567, 1),
                                    FAIL(ENETUNREACH), ALLOW};

static int install(struct sock_filter *steps, size_t count)
{
    struct sock_fprog program = {(unsigned short)count, steps};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}
#define INSTALL(steps) install(steps, sizeof(steps) / sizeof *(steps))

int main(int count, char **words)
{
    int failed = count < 3;
    const char *word = failed ? "" : words[1];
    if (!strcmp(word, "memfd") || !strcmp(word, "both"))
        failed |= INSTALL(memfd);
    if (!strcmp(word, "write") || !strcmp(word, "both"))
        failed |= INSTALL(write_execute);
    if (!strcmp(word, "old"))
        failed |= INSTALL(old);
    if (!strcmp(word, "lie"))
        failed |= INSTALL(lie);
    if (!strcmp(word, "gate"))
        failed |= INSTALL(gate);
    if (!strcmp(word, "mdwe"))
        failed |= prctl(65, 1, 0, 0, 0);
    if (!failed)
        execvp(words[2], words + 2);
    perror("confine");
    return 99;
}
