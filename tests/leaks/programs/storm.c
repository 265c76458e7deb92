/* A signal every 200 µs, without SA_RESTART, while raw socket calls wait for whoever answers them: a call may end
   with EINTR, never with a socket outside the VRF. A slow machine may answer none of 200 calls in that time: the signals
   then come half as often, until one is answered. */
#include "client.h"
#include "socket.h"
#include <signal.h>
#include <sys/time.h>

static void handler(int number)
{
    (void)number;
}

int main(void)
{
    struct itimerval never = {0};
    struct sigaction action = {.sa_handler = handler};
    struct sockaddr_in to = web_server();
    int made = 0, interrupted = 0;

    sigaction(SIGALRM, &action, NULL);
    for (int pause = 200; made == 0 && pause < 1000000; pause *= 2) {
        struct itimerval often = {{0, pause}, {0, pause}};

        setitimer(ITIMER_REAL, &often, NULL);
        for (int round = 0; round < 200; round++) {
            long fd = socket_by_syscall(41, AF_INET, SOCK_DGRAM, 0);

            interrupted += fd < 0 && errno == EINTR;
            if (fd >= 0) {
                made += sendto((int)fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to) == 1;
                close((int)fd);
            }
        }
    }
    setitimer(ITIMER_REAL, &never, NULL);
    printf("%d sent, %d interrupted\n", made, interrupted);
    return made == 0;
}
