/* connect(AF_UNSPEC) dissolves an association; the binding must outlive it. */
#include "client.h"

int main(void)
{
    struct sockaddr_in to = web_server();
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0 || connect(fd, &nobody, sizeof nobody) != 0 ||
        connect(fd, (struct sockaddr *)&to, sizeof to) != 0 || send(fd, "x", 1, 0) != 1) {
        perror("reconnect");
        return 1;
    }
    return print_line(fd);
}
