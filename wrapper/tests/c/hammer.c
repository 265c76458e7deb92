// Makes sockets as fast as it can while its supervisor is killed at some moment, and prints what the calls said that were
// neither a bound socket nor refused. Its first descriptors are taken, so that none of them can be a new socket.
//
//     hammer CLIENTS MICROSECONDS
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// The process of that name in this network namespace.
static pid_t supervisor(void) {
    DIR *all = opendir("/proc");
    char path[300], name[32];
    struct stat own, its;
    stat("/proc/self/net/dev", &own);
    for (struct dirent *one; all && (one = readdir(all));) {
        snprintf(path, sizeof path, "/proc/%s/comm", one->d_name);
        FILE *file = atoi(one->d_name) > 0 ? fopen(path, "r") : NULL;
        if (!file)
            continue;
        int is_named = fgets(name, sizeof name, file) && strcmp(name, "vrfrun: sockets\n") == 0;
        fclose(file);
        snprintf(path, sizeof path, "/proc/%s/net/dev", one->d_name);
        if (is_named && stat(path, &its) == 0 && its.st_ino == own.st_ino)
            return atoi(one->d_name);
    }
    return 0;
}

// Until no socket is to be had any more. Its last words, if it was told anything else.
static int client(void) {
    for (;;) {
        char name[IFNAMSIZ] = "";
        socklen_t size = sizeof name;
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0) {
            if (errno != ENOSYS)
                printf("%s\n", strerrorname_np(errno));
            return errno != ENOSYS;
        }
        if (fd < 3 || getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &size) != 0 || strcmp(name, "blue") != 0) {
            printf("socket is %d, bound to '%s'\n", fd, name);
            return 1;
        }
        close(fd);
    }
}

int main(int count, char **words) {
    pid_t victim = supervisor();
    int clients = count == 3 ? atoi(words[1]) : 0, status, failed = victim == 0 || clients == 0;
    if (failed) {
        printf("no supervisor, or no number of clients\n");
        return 1;
    }
    for (int i = 0; i < clients; i++)
        if (fork() == 0)
            exit(client());
    usleep((useconds_t)atoi(words[count - 1]));
    kill(victim, SIGKILL);
    while (wait(&status) > 0)
        failed |= status != 0;
    return failed;
}
