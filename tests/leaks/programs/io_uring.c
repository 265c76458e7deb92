/* IORING_OP_SOCKET (5.19): a socket that no seccomp filter sees. */
#include "client.h"
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define OP_SOCKET 45

int main(void)
{
    struct io_uring_params params = {0};
    int ring = (int)syscall(SYS_io_uring_setup, 4, &params);
    struct io_uring_sqe *entries;
    char *submissions, *completions;
    struct io_uring_cqe *done;
    size_t queue;

    if (ring < 0) {
        perror("io_uring_setup");
        return 1;
    }
    queue = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    submissions = mmap(NULL, queue, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    completions = mmap(NULL, params.cq_off.cqes + params.cq_entries * sizeof *done, PROT_READ | PROT_WRITE,
                       MAP_SHARED, ring, IORING_OFF_CQ_RING);
    entries = mmap(NULL, params.sq_entries * sizeof *entries, PROT_READ | PROT_WRITE, MAP_SHARED, ring,
                   IORING_OFF_SQES);
    if (submissions == MAP_FAILED || completions == MAP_FAILED || (void *)entries == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    memset(entries, 0, sizeof *entries);
    entries[0].opcode = OP_SOCKET;
    entries[0].fd = AF_INET;
    entries[0].off = SOCK_STREAM;
    ((unsigned *)(submissions + params.sq_off.array))[0] = 0;
    __atomic_store_n((unsigned *)(submissions + params.sq_off.tail), 1, __ATOMIC_RELEASE);
    if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0) {
        perror("io_uring_enter");
        return 1;
    }
    done = (struct io_uring_cqe *)(completions + params.cq_off.cqes);
    if (done->res < 0)
        errno = -done->res;
    return print_greeting(done->res);
}
