/* A library whose constructor opens a socket: it runs before the constructor of anything preloaded. */
#include <sys/socket.h>

int early_socket = -1;

__attribute__((constructor)) static void early(void)
{
    early_socket = socket(AF_INET, SOCK_STREAM, 0);
}
