/* Says by which glibc the program runs: a test whose programs were all linked with this machine's own would prove little. */
#include <gnu/libc-version.h>
#include <stdio.h>

__attribute__((constructor)) static void say(void)
{
    fprintf(stderr, "by glibc %s\n", gnu_get_libc_version());
}

#if !__GLIBC_PREREQ(2, 35)
/* This machine's compiler may be newer than the library, and ask it where an exception is handled. There is none. */
int _dl_find_object(void *address, void *result);

int _dl_find_object(void *address, void *result)
{
    (void)address, (void)result;
    return -1;
}
#endif
