/* Checks what the header promises and needs no VRF: errors, arguments, outputs left alone. Runs where `blue` is a
 * device that is no VRF. */
#ifndef _GNU_SOURCE /* C++ compilers define it */
#define _GNU_SOURCE
#endif
#include "check.h"
#include <net/if.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vrfshim.h>

static void names(void)
{
    const char *fifteen = "fifteen-letters", *sixteen = "sixteen-letters-";

    FAILS(ENODEV, vrf_socket("nowhere", AF_INET, SOCK_STREAM, 0));
    FAILS(ENODEV, vrf_socket("", AF_INET, SOCK_STREAM, 0));
    FAILS(ENODEV, vrf_socket(fifteen, AF_INET, SOCK_STREAM, 0));
    FAILS(ENAMETOOLONG, vrf_socket(sixteen, AF_INET, SOCK_STREAM, 0));
    FAILS(EINVAL, vrf_socket("blue", AF_INET, SOCK_STREAM, 0));
    FAILS(EINVAL, vrf_socket("lo", AF_INET6, SOCK_DGRAM, 0));
    FAILS(EINVAL, vrf_socket(NULL, AF_INET, SOCK_STREAM, 0));
    FAILS(ENODEV, vrf_set("nowhere"));
    FAILS(ENODEV, vrf_set(""));
    FAILS(ENAMETOOLONG, vrf_set(sixteen));
    FAILS(EINVAL, vrf_set("blue"));
    FAILS(ENODEV, vrf_set_thread("nowhere"));
    FAILS(ENAMETOOLONG, vrf_set_thread(sixteen));
    FAILS(EINVAL, vrf_set_thread("blue"));
    HOLDS(vrf_set(NULL) == 0 && vrf_set_thread(NULL) == 0);
}

static void families(void)
{
    int local = socket(AF_UNIX, SOCK_STREAM, 0);

    FAILS(EAFNOSUPPORT, vrf_socket("blue", AF_UNIX, SOCK_STREAM, 0));
    FAILS(EAFNOSUPPORT, vrf_socket("blue", AF_NETLINK, SOCK_RAW, 0));
    FAILS(EAFNOSUPPORT, vrf_bind_socket(local, "blue"));
    close(local);
}

static void binding(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    FAILS(ENODEV, vrf_bind_socket(fd, "nowhere"));
    FAILS(EINVAL, vrf_bind_socket(fd, "blue"));
    FAILS(EINVAL, vrf_bind_socket(fd, NULL));
    FAILS(ENAMETOOLONG, vrf_bind_socket(fd, "sixteen-letters-"));
    FAILS(EBADF, vrf_bind_socket(-1, "blue"));
    FAILS(EBADF, vrf_bind_socket(12345, "blue"));
    FAILS(ENOTSOCK, vrf_bind_socket(1, "blue"));
    close(fd);
}

static void questions(void)
{
    char name[IFNAMSIZ] = "untouched", device[IFNAMSIZ] = "";
    socklen_t size = sizeof device;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    FAILS(EINVAL, vrf_get(NULL, 0));
    FAILS(EINVAL, vrf_get(NULL, 16));
    FAILS(ERANGE, vrf_get(name, 0));
    FAILS(EINVAL, vrf_of_socket(fd, NULL, 16));
    FAILS(ERANGE, vrf_of_socket(fd, name, 0));
    FAILS(EBADF, vrf_of_socket(-1, name, sizeof name));
    FAILS(ENOTSOCK, vrf_of_socket(1, name, sizeof name));
    HOLDS(strcmp(name, "untouched") == 0);
    errno = 77;
    HOLDS(vrf_of_socket(fd, name, 1) == 0 && name[0] == '\0' && errno == 77);
    strcpy(name, "untouched");
    HOLDS(vrf_get(name, 1) == 0 && name[0] == '\0' && errno == 77);

    strcpy(name, "untouched");
    HOLDS(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "blue", 5) == 0);
    HOLDS(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &size) == 0 && !strcmp(device, "blue"));
    FAILS(EINVAL, vrf_of_socket(fd, name, sizeof name)); /* blue is here a device like any other */
    HOLDS(strcmp(name, "untouched") == 0);
    close(fd);
}

static void table(void)
{
    uint32_t number = 4711;

    FAILS(ENODEV, vrf_table("nowhere", &number));
    FAILS(EINVAL, vrf_table("blue", &number));
    FAILS(EINVAL, vrf_table(NULL, &number));
    FAILS(EINVAL, vrf_table("blue", NULL));
    FAILS(ENAMETOOLONG, vrf_table("sixteen-letters-", &number));
    HOLDS(number == 4711);
}

/* Linked and not asked for anything, the library changes nothing: sockets are unbound, errors are the kernel's. */
static void bystander(void)
{
    char device[IFNAMSIZ] = "untouched";
    socklen_t size = sizeof device;
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    HOLDS(fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &size) == 0 && size == 0);
    close(fd);
    FAILS(EINVAL, socket(AF_INET, 77, 0));
    FAILS(EAFNOSUPPORT, socket(12345, SOCK_STREAM, 0));
    FAILS(EBADF, (int)syscall(SYS_close, 12345));
    HOLDS(syscall(SYS_getpid) == (long)getpid());
}

/* A call that fails has opened nothing that stays. */
static void descriptors(void)
{
    int before = dup(0), after;

    close(before);
    names();
    after = dup(0);
    HOLDS(before == after);
    close(after);
}

/* Where libc's own socket() cannot be redirected: the whole process in a VRF is refused, its own sockets work. */
static void half(void)
{
    FAILS(EOPNOTSUPP, vrf_set("blue"));
    FAILS(EOPNOTSUPP, vrf_set_thread("blue"));
    HOLDS(vrf_set(NULL) == 0 && vrf_set_thread(NULL) == 0);
    FAILS(EINVAL, vrf_socket("blue", AF_INET, SOCK_STREAM, 0)); /* asked, and no VRF */
    bystander();
}

int main(int count, char **words)
{
    if (count > 1 && !strcmp(words[1], "half")) {
        half();
        printf("%d checks passed\n", checked);
        return 0;
    }
    bystander();
    names();
    families();
    binding();
    questions();
    table();
    descriptors();
    HOLDS(strncmp(vrf_version(), "0.", 2) == 0 && vrf_version() == vrf_version());
    printf("%d checks passed\n", checked);
    return 0;
}
