/* Asks for libc's socket() by version: an unversioned interposer is not found that way. */
#define _GNU_SOURCE
#include "client.h"
#include <dlfcn.h>

int main(void)
{
    int (*versioned)(int, int, int);

    *(void **)&versioned = dlvsym(RTLD_DEFAULT, "socket", "GLIBC_2.2.5");
    if (versioned == NULL) {
        fprintf(stderr, "dlvsym: %s\n", dlerror());
        return 1;
    }
    return print_greeting(versioned(AF_INET, SOCK_STREAM, 0));
}
