/* TCP Fast Open: the first datum travels with sendto(), which connects. */
#include "client.h"

int main(void)
{
    struct sockaddr_in to = web_server();
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&to, sizeof to) != 1) {
        perror("sendto");
        return 1;
    }
    return print_line(fd);
}
