/* Nobody but root may look into a process that is not dumpable: its /proc files belong to root. */
#include "client.h"
#include "socket.h"
#include <sys/prctl.h>

int main(void)
{
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        perror("PR_SET_DUMPABLE");
        return 1;
    }
    return print_greeting((int)socket_by_syscall(41, AF_INET, SOCK_STREAM, 0));
}
