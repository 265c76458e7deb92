/* Prints what a ring answers: to an operation that does nothing, and to the making of sockets, in this process and in
 * a child. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define OP_NOP 0
#define OP_SOCKET 45

/* The result of one operation on a ring of its own. */
static int result_of(int opcode, int family)
{
    struct io_uring_params params = {0};
    int ring = (int)syscall(SYS_io_uring_setup, 1, &params);
    struct io_uring_sqe *entry;
    char *submissions, *completions;

    if (ring < 0)
        return -errno;
    submissions = mmap(NULL, params.sq_off.array + params.sq_entries * sizeof(unsigned), PROT_READ | PROT_WRITE,
                       MAP_SHARED, ring, IORING_OFF_SQ_RING);
    completions = mmap(NULL, params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe),
                       PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
    entry = mmap(NULL, params.sq_entries * sizeof *entry, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
    if (submissions == MAP_FAILED || completions == MAP_FAILED || (void *)entry == MAP_FAILED)
        return -errno;
    memset(entry, 0, sizeof *entry);
    entry->opcode = (unsigned char)opcode;
    entry->fd = family;
    entry->off = SOCK_STREAM;
    ((unsigned *)(submissions + params.sq_off.array))[0] = 0;
    __atomic_store_n((unsigned *)(submissions + params.sq_off.tail), 1, __ATOMIC_RELEASE);
    if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
        return -errno;
    return ((struct io_uring_cqe *)(completions + params.cq_off.cqes))->res;
}

static void report(const char *what, int opcode, int family)
{
    int result = result_of(opcode, family);
    printf("%s %s\n", what, result < 0 ? strerrorname_np(-result) : "ok");
    fflush(stdout);
}

int main(void)
{
    report("nop", OP_NOP, 0);
    report("inet", OP_SOCKET, AF_INET);
    report("inet6", OP_SOCKET, AF_INET6);
    if (fork() == 0) {
        report("child's inet", OP_SOCKET, AF_INET);
        return 0;
    }
    wait(NULL);
    return 0;
}
