/* Sixteen threads that make sockets at the same time; each must be in the VRF. */
#include "client.h"
#include <pthread.h>
#include <stdlib.h>

#define THREADS 16
#define ROUNDS 20

static void *ask(void *unused)
{
    struct sockaddr_in to = web_server();
    long failed = 0;

    (void)unused;
    for (int round = 0; round < ROUNDS; round++) {
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        failed += fd < 0 || sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to) != 1;
        close(fd);
    }
    return (void *)failed;
}

int main(void)
{
    pthread_t threads[THREADS];
    long failed = 0;
    void *result;

    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, ask, NULL) != 0)
            return 1;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &result);
        failed += (long)result;
    }
    printf("%ld of %d failed\n", failed, THREADS * ROUNDS);
    return failed != 0;
}
