/* What most people write first: socket() in a preloaded object, bound to $VRF. It is here to be shown leaking:
 * the C library's own sockets, its DNS queries among them, never come by. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int socket(int domain, int type, int protocol)
{
	int (*real)(int, int, int) = (int (*)(int, int, int))dlsym(RTLD_NEXT, "socket");
	const char *vrf = getenv("VRF");
	int fd = real(domain, type, protocol);

	if (fd >= 0 && vrf && (domain == AF_INET || domain == AF_INET6))
		setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, vrf, strlen(vrf) + 1);
	return fd;
}
