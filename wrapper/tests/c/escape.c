// Tries a program's own ways out of the device that its sockets are bound to, and prints what the kernel answers.
//
//     escape rebind OTHER          SO_BINDTODEVICE and SO_BINDTOIFINDEX: to OTHER, to nothing, to the same device
//     escape send DEVICE ADDRESS   a datagram with IP_PKTINFO for DEVICE
//     escape plain ADDRESS         a datagram
//     escape options               other options, one of them longer than a page
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *answer(int result) {
    return result < 0 ? strerrorname_np(errno) : "ok";
}

static const char *device_of(int fd) {
    static char name[IFNAMSIZ];
    socklen_t size = sizeof name;
    memset(name, 0, sizeof name);
    getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &size);
    return name[0] ? name : "-";
}

static void by_name(int fd, const char *what, const char *name, socklen_t size) {
    printf("name %s %s\n", what, answer(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, size)));
}

static void by_index(int fd, const char *what, int index) {
    printf("index %s %s\n", what, answer(setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &index, sizeof index)));
}

static void rebind(int fd, const char *other) {
    char own[IFNAMSIZ], longer[2 * IFNAMSIZ] = "";
    strcpy(own, device_of(fd));
    by_name(fd, "other", other, strlen(other));
    by_name(fd, "nothing", "", 0);
    by_name(fd, "part", own, strlen(own) - 1);
    snprintf(longer, sizeof longer, "%s0", own);
    by_name(fd, "longer", longer, sizeof longer);
    by_index(fd, "other", if_nametoindex(other));
    by_index(fd, "nothing", 0);
    by_name(fd, "same", own, strlen(own));
    by_name(fd, "same-padded", own, sizeof own);
    by_index(fd, "same", if_nametoindex(own));
    printf("bound %s\n", device_of(fd));
}

static void datagram(int fd, const char *device, const char *address) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(struct in_pktinfo))];
    } control;
    struct iovec part = {"hello", 5};
    struct msghdr message = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &part, .msg_iovlen = 1};
    inet_pton(AF_INET, address, &to.sin_addr);
    if (device) {
        struct in_pktinfo info = {.ipi_ifindex = if_nametoindex(device)};
        memset(&control, 0, sizeof control);
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        control.header.cmsg_level = IPPROTO_IP;
        control.header.cmsg_type = IP_PKTINFO;
        control.header.cmsg_len = CMSG_LEN(sizeof info);
        memcpy(CMSG_DATA(&control.header), &info, sizeof info);
    }
    printf("send %s %s\n", device ? device : "plain", answer(sendmsg(fd, &message, 0)));
}

static void options(int fd) {
    static char big[3 * 4096] = {0, 0, 1};
    int on = 1;
    printf("broadcast %s\n", answer(setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on)));
    printf("ttl %s\n", answer(setsockopt(fd, IPPROTO_IP, IP_TTL, &on, sizeof on)));
    printf("big %s\n", answer(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, big, sizeof big)));
    printf("none %s\n", answer(setsockopt(fd, SOL_SOCKET, SO_BROADCAST, NULL, 0)));
}

int main(int count, char **words) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0) {
        perror("socket");
        return 1;
    }
    if (count == 3 && strcmp(words[1], "rebind") == 0)
        rebind(fd, words[2]);
    else if (count == 4 && strcmp(words[1], "send") == 0)
        datagram(fd, words[2], words[3]);
    else if (count == 3 && strcmp(words[1], "plain") == 0)
        datagram(fd, NULL, words[2]);
    else if (count == 2 && strcmp(words[1], "options") == 0)
        options(fd);
    else
        return 2;
    return 0;
}
