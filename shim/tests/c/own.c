/* Calls the C library's own socket(), past the symbols that stand before it, as the library does itself; and says what came. */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int main(void)
{
    void *library = dlopen("libc.so.6", RTLD_LAZY);
    int (*own)(int, int, int) = NULL;

    if (library == NULL)
        return 2;
    *(void **)&own = dlsym(library, "socket");
    if (own == NULL)
        return 3;
    printf("%s\n", own(AF_INET, SOCK_DGRAM, 0) < 0 ? strerror(errno) : "made");
    return 0;
}
