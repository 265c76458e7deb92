/* PR_SET_MDWE (6.3): no page may become executable any more, so libc's code cannot be patched by mprotect.
   It is inherited; the program runs its arguments under it. */
#include "client.h"
#include <sys/prctl.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    /* An older kernel has no such rule: the program then runs without. */
    if (prctl(PR_SET_MDWE, 1, 0, 0, 0) != 0)
        perror("PR_SET_MDWE");
    execvp(argv[1], argv + 1);
    perror(argv[1]);
    return 127;
}
