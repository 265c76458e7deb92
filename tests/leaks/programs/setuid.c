/* Installed set-uid or with a file capability, it is AT_SECURE: the loader ignores LD_PRELOAD. */
#include "client.h"
#include <sys/auxv.h>

int main(void)
{
    fprintf(stderr, "secure: %lu, effective uid: %d\n", getauxval(AT_SECURE), (int)geteuid());
    return print_greeting(socket(AF_INET, SOCK_STREAM, 0));
}
