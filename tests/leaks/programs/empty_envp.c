/* execve(2) with no environment at all. */
#include "client.h"

int main(int argc, char **argv)
{
    char *nothing[] = {NULL};

    if (argc < 2)
        return 2;
    execve(argv[1], argv + 1, nothing);
    perror(argv[1]);
    return 127;
}
