/* A socket made in a signal handler, on an alternate stack. */
#include "client.h"
#include <signal.h>

static char stack[64 * 1024];
static volatile int fd = -1;

static void handler(int number)
{
    (void)number;
    fd = socket(AF_INET, SOCK_STREAM, 0);
}

int main(void)
{
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};

    sigaltstack(&alternate, NULL);
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    return print_greeting(fd);
}
