//! x86-64 (not x32).

use core::arch::asm;
use core::sync::atomic::AtomicU32;

/// mmap(2) with the offset in bytes (here 0).
pub(crate) const SYS_MMAP: usize = libc::SYS_mmap as usize;

/// Makes a system call and gives back what the kernel put into the register: a value or -errno.
///
/// # Safety
/// As for syscall(2): pointers among the arguments must be what the call takes them for.
#[inline(always)]
pub(crate) unsafe fn syscall(number: usize, args: [usize; 6]) -> isize {
    let result;
    // SAFETY: the kernel clobbers rax, rcx and r11 only; what the call does to memory is the caller's promise.
    unsafe {
        asm!("syscall", inlateout("rax") number => result, in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
            in("r10") args[3], in("r8") args[4], in("r9") args[5], lateout("rcx") _, lateout("r11") _,
            options(nostack))
    };
    result
}

/// socket(2) with `cookie` in r9, the sixth argument, which the kernel ignores and a seccomp filter sees.
#[inline(always)]
pub(crate) fn socket(domain: i32, kind: i32, protocol: i32, cookie: u64) -> isize {
    let result;
    // SAFETY: socket(2) touches no memory. r9 is wiped in the same breath: nothing between here and a later raw
    // `syscall` instruction of the program has to write it, and the program must not pass the cookie by accident.
    unsafe {
        asm!("syscall", "xor r9d, r9d", inlateout("rax") libc::SYS_socket => result, in("rdi") domain as isize,
            in("rsi") kind as isize, in("rdx") protocol as isize, in("r10") 0, in("r8") 0, inlateout("r9") cookie => _,
            lateout("rcx") _, lateout("r11") _, options(nostack, nomem))
    };
    result
}

/// Initial-exec TLS by hand: `#[thread_local]` is unstable, and the default model would call `__tls_get_addr`, which
/// may allocate.
#[inline(always)]
pub(crate) fn thread_word() -> *const AtomicU32 {
    let word;
    // SAFETY: reads the thread pointer and this object's own GOT entry; the sum is this thread's word by the TLS ABI.
    unsafe {
        asm!("mov {word}, qword ptr fs:[0]", "add {word}, qword ptr [rip + vrfshim_thread_word@GOTTPOFF]",
            word = out(reg) word, options(pure, readonly, nostack))
    };
    word
}

/// The code of a jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Jump {
    bytes: [u8; 14],
    len: usize,
}

impl Jump {
    /// `jmp rel32` where it reaches. It is exactly as long as the `mov $41, %eax` at the head of glibc's `__socket`, so
    /// that a thread inside the system call behind it comes back to code that is still there. Otherwise
    /// `jmp *0(%rip)` and the address.
    pub(crate) fn new(from: usize, to: usize) -> Self {
        let mut bytes = [0; 14];
        if let Ok(offset) = i32::try_from((to as i64).wrapping_sub(from as i64 + 5)) {
            bytes[0] = 0xe9;
            bytes[1..5].copy_from_slice(&offset.to_le_bytes());
            return Self { bytes, len: 5 };
        }
        bytes[..2].copy_from_slice(&[0xff, 0x25]);
        bytes[6..].copy_from_slice(&(to as u64).to_le_bytes());
        Self { bytes, len: 14 }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// The length of a leading `endbr64`, the only place an indirect branch may land on under CET.
pub(crate) fn landing_pad(code: [u8; 4]) -> usize {
    if code == [0xf3, 0x0f, 0x1e, 0xfa] { 4 } else { 0 }
}

/// Instruction fetch sees every store on this machine.
pub(crate) fn flush_code(_start: usize, _len: usize) {}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// `mov $1, %eax; ret`, and nops to 16 bytes.
    pub(crate) const ANSWER_ONE: [u8; 16] =
        [0xb8, 1, 0, 0, 0, 0xc3, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90];

    /// `endbr64`
    pub(crate) const LANDING_PAD: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];

    #[test]
    fn a_near_jump_is_five_bytes_and_relative_to_its_end() {
        assert_eq!(Jump::new(0x1000, 0x2000).as_bytes(), [0xe9, 0xfb, 0x0f, 0, 0]);
        assert_eq!(Jump::new(0x2000, 0x1000).as_bytes(), [0xe9, 0xfb, 0xef, 0xff, 0xff]);
    }

    #[test]
    fn a_jump_beyond_two_gigabytes_carries_the_whole_address() {
        let far = [0xff, 0x25, 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1];
        assert_eq!(Jump::new(0x1000, 0x0102_0304_0506_0708).as_bytes(), far);
        assert_eq!(Jump::new(0, 0x8000_0004).as_bytes().len(), 5, "the last address that a rel32 reaches");
        assert_eq!(Jump::new(0, 0x8000_0005).as_bytes().len(), 14);
    }
}
