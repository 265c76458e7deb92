/*
 * libvrfshim: sockets in Linux VRFs, without privileges from Linux 5.7 on.
 *
 *     if (vrf_set("blue") < 0)
 *         err(1, "blue");
 *
 * From there on every inet socket of the process is in VRF blue or is not made at all, the sockets by which libc asks
 * the DNS included. See vrfshim(3), and pkg-config vrfshim.
 *
 * Linking this library, static or shared, interposes socket(), connect(), syscall() and setsockopt(): its definitions
 * take the place of libc's in the whole program. When it is loaded it also redirects libc's own calls of socket(), by a
 * jump written over the head of that function. Until vrf_set() or vrf_set_thread() is called, all of these do what
 * libc's did, but for two things: setsockopt() succeeds for SO_BINDTODEVICE with the device that the socket is bound to
 * already, where the kernel says EPERM; and connect() to AF_UNSPEC leaves a datagram socket bound that was put into its
 * VRF by this library or by vrfrun's supervisor.
 *
 * What makes system calls without libc is not reached: assembly, Go without cgo, io_uring. vrfrun(1) stops those.
 *
 * Every function returns -1 and sets errno on failure, and then has changed nothing: outputs are written on success
 * only. On success errno is left alone. No function allocates or locks. All may be called from any thread and from
 * signal handlers.
 *
 * With musl the library must be linked or preloaded, not opened by dlopen().
 *
 * Written by cbindgen from shim/src/capi.rs: change it there.
 */


#ifndef VRFSHIM_H
#define VRFSHIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Makes a socket in a VRF: socket(2) with one more argument.
 *
 * Asks the kernel each time whether `vrf` is one. Where many sockets of one VRF are made, vrf_set_thread() and plain
 * socket() cost less.
 *
 * Returns a descriptor, or -1 with errno: what socket(2) says, and
 *   ENODEV        there is no such device
 *   EINVAL        the device is not a VRF, or `vrf` is NULL
 *   ENAMETOOLONG  `vrf` has IFNAMSIZ (16) bytes or more
 *   EAFNOSUPPORT  `domain` is not AF_INET, AF_INET6 or AF_SMC: no VRF routes it
 *   EPERM         vrfrun binds sockets to another VRF by BPF or a supervisor, or Linux is older than 5.7; in both cases
 *                 without CAP_NET_RAW
 * Thread-safe, async-signal-safe. Since 0.1.
 */
int vrf_socket(const char *vrf, int domain, int type, int protocol);

/**
 * Puts a socket that exists into a VRF. To the VRF that it is in already: success, nothing changes.
 *
 * For sockets that are not connected yet; an established TCP connection stalls. A datagram or raw socket sends
 * multicast by the VRF from then on: another interface for it is to be chosen afterwards. One that was bound to another
 * device is unbound for a moment. A TCP socket is to have no port yet: the kernel keeps that in the domain in which it was
 * bound, complains of it in its log when the socket listens, and Linux 7.2 may panic where others have the port.
 *
 * Returns 0, or -1 with errno:
 *   ENODEV        there is no such device
 *   EINVAL        the device is not a VRF, or `vrf` is NULL
 *   ENAMETOOLONG  `vrf` has IFNAMSIZ (16) bytes or more
 *   EAFNOSUPPORT  the socket is not of AF_INET, AF_INET6 or AF_SMC
 *   EPERM         the socket is bound to another device, or Linux is older than 5.7; in both cases without CAP_NET_RAW
 *   EBADF, ENOTSOCK
 * Thread-safe, async-signal-safe. Since 0.1.
 */
int vrf_bind_socket(int fd, const char *vrf);

/**
 * Puts every inet socket that the process makes from now on into a VRF, in all threads, libc's own DNS sockets
 * included: the setrtable(2) of BSD.
 *
 * NULL ends it: the process is again where it began, which under vrfrun is vrfrun's VRF. Sockets that exist stay
 * where they are. A thread that called vrf_set_thread() keeps its own choice. fork() inherits the choice, execve()
 * does not; a child of vfork() would change its parent's.
 *
 * Once it is set no socket leaves the VRF: if the VRF is deleted or renamed, socket(2) fails with ENODEV.
 *
 * Returns 0, or -1 with errno, and nothing has changed:
 *   ENODEV        there is no such device
 *   EINVAL        the device is not a VRF
 *   ENAMETOOLONG  `vrf` has IFNAMSIZ (16) bytes or more
 *   EPERM         as for vrf_socket()
 *   EOPNOTSUPP    the sockets that libc makes for itself could not be redirected when the library was loaded
 *   ENOMEM        the process has named 1,024 VRFs
 *   and what socket(2) says to the socket by which the VRF is tried (EMFILE ...)
 * Thread-safe, async-signal-safe. Since 0.1.
 */
int vrf_set(const char *vrf);

/**
 * Puts every inet socket that the calling thread makes from now on into a VRF, whatever vrf_set() says.
 *
 * NULL ends it: vrf_set()'s choice holds again. Threads that it starts do not inherit the choice; fork() does. Code
 * that runs on another thread for this one (getaddrinfo_a(), thread pools) is not covered: use vrf_set().
 *
 * Returns 0, or -1 with errno as vrf_set() does, and nothing has changed.
 * Thread-safe, async-signal-safe (a handler changes the thread it runs on). Since 0.1.
 */
int vrf_set_thread(const char *vrf);

/**
 * Names the VRF in which the calling thread's next inet socket will be: the thread's own choice, else the process's,
 * else the one it was started in by vrfrun. An empty string if none: sockets are where the kernel puts them.
 *
 * Returns 0, or -1 with errno, and `ret_name` is as it was:
 *   ERANGE       `size` is less than the name and its NUL; IFNAMSIZ (16) is always enough
 *   EINVAL       `ret_name` is NULL
 *   ENETUNREACH  the library was preloaded without a VRF, and inet sockets are refused
 *   and, where no choice was made, what socket(2) says to the socket by which the kernel is asked (EMFILE ...)
 * Thread-safe, async-signal-safe. Since 0.1.
 */
int vrf_get(char *ret_name, size_t size);

/**
 * Names the VRF that a socket is in, also if it is bound to a port of it. An empty string if it is bound to nothing.
 *
 * Returns 0, or -1 with errno, and `ret_name` is as it was:
 *   ERANGE  `size` is less than the name and its NUL; IFNAMSIZ (16) is always enough
 *   EINVAL  the socket is bound to a device that is neither a VRF nor a port of one, or `ret_name` is NULL
 *   ENODEV  the device it is bound to is gone
 *   EBADF, ENOTSOCK
 * Thread-safe, async-signal-safe. Since 0.1.
 */
int vrf_of_socket(int fd, char *ret_name, size_t size);

/**
 * Tells the routing table of a VRF.
 *
 * Returns 0, or -1 with errno, and `ret_table` is as it was:
 *   ENODEV        there is no such device
 *   EINVAL        the device is not a VRF, or an argument is NULL
 *   ENAMETOOLONG  `vrf` has IFNAMSIZ (16) bytes or more
 *   and what socket(2) says to the netlink socket by which the kernel is asked (EMFILE ...)
 * Thread-safe, async-signal-safe. Since 0.1.
 */
int vrf_table(const char *vrf, uint32_t *ret_table);

/**
 * The version of the library, such as "0.1.0". Never NULL; the string is constant.
 * Thread-safe, async-signal-safe. Since 0.1.
 */
const char *vrf_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* VRFSHIM_H */
