/* A library of the program whose constructor opens a socket: it runs before those of preloaded objects. */
#include <stdio.h>
#include <sys/socket.h>

__attribute__((constructor)) static void start(void)
{
    char device[17] = "";
    socklen_t len = 16;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &len);
    printf("early %s\n", device);
}
