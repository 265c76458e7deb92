/* Asks for SO_BINDTODEVICE itself, as chrony, traceroute and mtr do, and gives up if it is refused. */
#include "client.h"

int main(int argc, char **argv)
{
    const char *device = argc > 1 ? argv[1] : "blue";
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) != 0) {
        perror("SO_BINDTODEVICE");
        return 1;
    }
    return print_greeting(fd);
}
