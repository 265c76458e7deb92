/* socket(2) by the system call instruction, past libc's socket(); errno is set as libc would. */
#ifndef SOCKET_H
#define SOCKET_H

#include <errno.h>

#ifdef __aarch64__
static inline long socket_by_syscall(long number, long domain, long type, long protocol)
{
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = domain, x1 __asm__("x1") = type;
    register long x2 __asm__("x2") = protocol;

    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    if (x0 >= 0)
        return x0;
    errno = (int)-x0;
    return -1;
}
#endif

#ifdef __riscv
static inline long socket_by_syscall(long number, long domain, long type, long protocol)
{
    register long a7 __asm__("a7") = number, a0 __asm__("a0") = domain, a1 __asm__("a1") = type;
    register long a2 __asm__("a2") = protocol;

    __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2) : "memory");
    if (a0 >= 0)
        return a0;
    errno = (int)-a0;
    return -1;
}
#endif

#ifdef __x86_64__
/* `number` is SYS_socket, or that of the x32 table. The registers of the three unused arguments stay as they are. */
static inline long socket_by_syscall(long number, long domain, long type, long protocol)
{
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(domain), "S"(type), "d"(protocol)
                     : "rcx", "r11", "memory");
    if (result >= 0)
        return result;
    errno = (int)-result;
    return -1;
}
#endif

#if defined(__x86_64__) || defined(__i386__)
/* The i386 table's socket (359), which a 64-bit program reaches as well. */
static inline int socket_by_int80(int domain, int type, int protocol)
{
    int result;

    __asm__ volatile("int $0x80" : "=a"(result) : "0"(359), "b"(domain), "c"(type), "d"(protocol) : "memory");
    if (result >= 0)
        return result;
    errno = -result;
    return -1;
}
#endif

#endif
