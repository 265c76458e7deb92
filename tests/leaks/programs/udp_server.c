/* A UDP server's socket, bound to the wildcard address, that sends and receives without ever being connected. */
#include "client.h"

int main(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(7777)}, to = web_server();
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (bind(fd, (struct sockaddr *)&any, sizeof any) != 0 ||
        sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to) != 1) {
        perror("server");
        return 1;
    }
    return print_line(fd);
}
