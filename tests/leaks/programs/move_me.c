/* Stands for a manager that moves a process out of its cgroup, as logind does with a login and dockerd with a
   container: `move_me serve FIFO` (root) moves the process whose number it reads to the root cgroup; `move_me ask
   FIFO ACK` is that process, and opens a socket afterwards. */
#include "client.h"
#include <fcntl.h>
#include <sys/stat.h>

static int serve(const char *fifo, const char *done)
{
    char number[32];
    int in, out;

    unlink(fifo);
    unlink(done);
    if (mkfifo(fifo, 0666) != 0 || mkfifo(done, 0666) != 0 || chmod(fifo, 0666) != 0 || chmod(done, 0666) != 0)
        return 1;
    if (fork() != 0)
        return 0;
    in = open(fifo, O_RDONLY);
    ssize_t length = read(in, number, sizeof number);
    out = open("/sys/fs/cgroup/cgroup.procs", O_WRONLY);
    /* Where cgroup v1 is used as well. */
    if (out < 0)
        out = open("/sys/fs/cgroup/unified/cgroup.procs", O_WRONLY);
    if (length <= 0 || out < 0 || write(out, number, (size_t)length) != length)
        return 1;
    return write(open(done, O_WRONLY), "x", 1) != 1;
}

int main(int argc, char **argv)
{
    char byte;

    if (argc < 4)
        return 2;
    if (strcmp(argv[1], "serve") == 0)
        return serve(argv[2], argv[3]);
    if (dprintf(open(argv[2], O_WRONLY), "%d", (int)getpid()) <= 0 || read(open(argv[3], O_RDONLY), &byte, 1) != 1) {
        perror("ask");
        return 1;
    }
    return print_greeting(socket(AF_INET, SOCK_STREAM, 0));
}
