/* Another preloaded library that interposes socket(), as torsocks and proxychains do. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <sys/socket.h>

int socket(int domain, int type, int protocol)
{
    int (*next)(int, int, int);
    *(void **)&next = dlsym(RTLD_NEXT, "socket");
    printf("foreign\n");
    return next(domain, type, protocol);
}
