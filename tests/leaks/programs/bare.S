/* No libc at all: a static program of a few instructions that sends one datagram to the web server. */
        .globl _start
        .section .rodata
address:
        .short 2                        /* AF_INET */
        .byte 0, 7                      /* port 7, in network order */
        .byte 192, 0, 2, 80
        .zero 8
        .text
_start:
        mov $41, %eax                   /* socket(AF_INET, SOCK_DGRAM, 0) */
        mov $2, %edi
        mov $2, %esi
        xor %edx, %edx
        syscall
        test %eax, %eax
        js failed
        mov %eax, %edi
        mov $44, %eax                   /* sendto(fd, address, 1, 0, address, 16) */
        lea address(%rip), %rsi
        mov $1, %edx
        xor %r10d, %r10d
        lea address(%rip), %r8
        mov $16, %r9d
        syscall
        cmp $1, %eax
        jne failed
        xor %edi, %edi
        jmp leave
failed:
        mov $1, %edi
leave:
        mov $60, %eax
        syscall
        .section .note.GNU-stack, "", @progbits
