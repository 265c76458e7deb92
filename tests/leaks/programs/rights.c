/* SCM_RIGHTS. `rights give PATH` is a process outside that hands a datagram socket to whoever asks;
   `rights take PATH` asks and sends through it. */
#include "client.h"
#include <sys/un.h>

static struct msghdr message(struct iovec *data, void *control, size_t length)
{
    struct msghdr header = {.msg_iov = data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = length};
    return header;
}

static int give(int listener, int fd)
{
    char byte = 'x', control[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec data = {.iov_base = &byte, .iov_len = 1};
    struct msghdr header = message(&data, control, sizeof control);
    struct cmsghdr *rights = CMSG_FIRSTHDR(&header);

    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    return sendmsg(accept(listener, NULL, NULL), &header, 0) != 1;
}

static int take(int stream)
{
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec data = {.iov_base = &byte, .iov_len = 1};
    struct msghdr header = message(&data, control, sizeof control);
    struct sockaddr_in to = web_server();
    int fd;

    if (recvmsg(stream, &header, 0) != 1 || CMSG_FIRSTHDR(&header) == NULL) {
        perror("recvmsg");
        return 1;
    }
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof fd);
    return sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to) != 1;
}

int main(int argc, char **argv)
{
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    int unix_socket = socket(AF_UNIX, SOCK_STREAM, 0);

    if (argc < 3)
        return 2;
    strncpy(path.sun_path, argv[2], sizeof path.sun_path - 1);
    if (strcmp(argv[1], "take") == 0)
        return connect(unix_socket, (struct sockaddr *)&path, sizeof path) != 0 || take(unix_socket);
    unlink(argv[2]);
    if (bind(unix_socket, (struct sockaddr *)&path, sizeof path) != 0 || listen(unix_socket, 1) != 0)
        return 1;
    /* The parent returns when the socket is there to be connected to. */
    if (fork() != 0)
        return 0;
    return give(unix_socket, socket(AF_INET, SOCK_DGRAM, 0));
}
