//! i386: for 32-bit programs on an x86-64 kernel (4.3 and later, where socket(2) has a number of its own).

use core::arch::{asm, global_asm};
use core::sync::atomic::AtomicU32;

/// mmap(2) with the offset in pages (here 0).
pub(crate) const SYS_MMAP: usize = libc::SYS_mmap2 as usize;

/// Makes a system call and gives back what the kernel put into the register: a value or -errno.
///
/// # Safety
/// As for syscall(2): pointers among the arguments must be what the call takes them for.
#[inline]
pub(crate) unsafe fn syscall(number: usize, [a, b, c, d, e, f]: [usize; 6]) -> isize {
    unsafe extern "C" {
        fn vrfshim_syscall(number: usize, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize;
    }
    // SAFETY: the caller's promise.
    unsafe { vrfshim_syscall(number, a, b, c, d, e, f) }
}

/// socket(2) with as much of `cookie` as fits in ebp, the sixth argument. ebp is the caller's again afterwards.
#[inline]
pub(crate) fn socket(domain: i32, kind: i32, protocol: i32, cookie: u64) -> isize {
    let args = [domain as usize, kind as usize, protocol as usize, 0, 0, cookie as usize];
    // SAFETY: socket(2) touches no memory.
    unsafe { syscall(libc::SYS_socket as usize, args) }
}

// A function of its own: the compiler does not give ebx and ebp away to `asm!`.
global_asm!(
    ".pushsection .text.vrfshim_syscall,\"ax\",@progbits",
    ".hidden vrfshim_syscall",
    ".globl vrfshim_syscall",
    ".type vrfshim_syscall, @function",
    "vrfshim_syscall:",
    "push ebp",
    "push ebx",
    "push esi",
    "push edi",
    "mov eax, [esp + 20]",
    "mov ebx, [esp + 24]",
    "mov ecx, [esp + 28]",
    "mov edx, [esp + 32]",
    "mov esi, [esp + 36]",
    "mov edi, [esp + 40]",
    "mov ebp, [esp + 44]",
    "int 0x80",
    "pop edi",
    "pop esi",
    "pop ebx",
    "pop ebp",
    "ret",
    ".size vrfshim_syscall, . - vrfshim_syscall",
    ".popsection",
);

/// Initial-exec TLS by hand: `#[thread_local]` is unstable, and the default model calls `___tls_get_addr`, which may
/// allocate.
#[inline]
pub(crate) fn thread_word() -> *const AtomicU32 {
    let word;
    // SAFETY: finds this object's own GOT and reads an entry; with the thread pointer it is this thread's word by the
    // TLS ABI. The call takes one word of stack and gives it back.
    unsafe {
        asm!("call 2f", "2: pop {word}", "3: addl $_GLOBAL_OFFSET_TABLE_+(3b-2b), {word}",
            "movl vrfshim_thread_word@GOTNTPOFF({word}), {word}", "addl %gs:0, {word}",
            word = out(reg) word, options(pure, readonly, att_syntax))
    };
    word
}

/// The code of a jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Jump([u8; 5]);

impl Jump {
    /// `jmp rel32`, which reaches everything.
    pub(crate) fn new(from: usize, to: usize) -> Self {
        let mut bytes = [0xe9, 0, 0, 0, 0];
        bytes[1..].copy_from_slice(&to.wrapping_sub(from).wrapping_sub(5).to_le_bytes());
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The length of a leading `endbr32`, the only place an indirect branch may land on under CET.
pub(crate) fn landing_pad(code: [u8; 4]) -> usize {
    if code == [0xf3, 0x0f, 0x1e, 0xfb] { 4 } else { 0 }
}

/// Instruction fetch sees every store on this machine.
pub(crate) fn flush_code(_start: usize, _len: usize) {}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// `mov $1, %eax; ret`, and nops to 16 bytes.
    pub(crate) const ANSWER_ONE: [u8; 16] =
        [0xb8, 1, 0, 0, 0, 0xc3, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90];

    /// `endbr32`
    pub(crate) const LANDING_PAD: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfb];

    #[test]
    fn a_jump_is_relative_to_its_end() {
        assert_eq!(Jump::new(0x1000, 0x2000).as_bytes(), [0xe9, 0xfb, 0x0f, 0, 0]);
        assert_eq!(Jump::new(0xffff_f000, 0x1000).as_bytes(), [0xe9, 0xfb, 0x1f, 0, 0]);
    }
}
