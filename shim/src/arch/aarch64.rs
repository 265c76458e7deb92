//! aarch64.

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
    // SAFETY: the kernel clobbers x0 only; what the call does to memory is the caller's promise.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") args[0] => result, in("x1") args[1], in("x2") args[2],
            in("x3") args[3], in("x4") args[4], in("x5") args[5], options(nostack))
    };
    result
}

/// socket(2) with `cookie` in x5, the sixth argument, which the kernel ignores and a seccomp filter sees.
#[inline(always)]
pub(crate) fn socket(domain: i32, kind: i32, protocol: i32, cookie: u64) -> isize {
    let result;
    // SAFETY: socket(2) touches no memory. x5 is wiped in the same breath: a later raw `svc` of the program need not
    // write it, and must not pass the cookie by accident.
    unsafe {
        asm!("svc 0", "mov x5, xzr", in("x8") libc::SYS_socket, inlateout("x0") domain as isize => result,
            in("x1") kind as isize, in("x2") protocol as isize, in("x3") 0, in("x4") 0, inlateout("x5") cookie => _,
            options(nostack, nomem))
    };
    result
}

/// Initial-exec TLS by hand: `#[thread_local]` is unstable, and the default model's descriptors may allocate.
#[inline(always)]
pub(crate) fn thread_word() -> *const AtomicU32 {
    let word;
    // SAFETY: reads the thread pointer and this object's own GOT entry; the sum is this thread's word by the TLS ABI.
    unsafe {
        asm!("mrs {word}, tpidr_el0", "adrp {offset}, :gottprel:vrfshim_thread_word",
            "ldr {offset}, [{offset}, :gottprel_lo12:vrfshim_thread_word]", "add {word}, {word}, {offset}",
            word = out(reg) word, offset = out(reg) _, options(pure, readonly, nostack))
    };
    word
}

/// The code of a jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Jump {
    bytes: [u8; 16],
    len: usize,
}

const LDR_X17_8: u32 = 0x5800_0051; // the eight bytes behind the next instruction
const BR_X17: u32 = 0xd61f_0220;
const B: u32 = 0x1400_0000;

impl Jump {
    /// One branch where it reaches (128 MiB either way): a thread inside the system call behind it comes back to code
    /// that is still there. Otherwise x17, which linkers may use between any caller and callee, and the address.
    pub(crate) fn new(from: usize, to: usize) -> Self {
        let mut bytes = [0; 16];
        let words = (to as i64).wrapping_sub(from as i64) >> 2;
        if (-(1 << 25)..1 << 25).contains(&words) {
            bytes[..4].copy_from_slice(&(B | words as u32 & 0x03ff_ffff).to_le_bytes());
            return Self { bytes, len: 4 };
        }
        bytes[..4].copy_from_slice(&LDR_X17_8.to_le_bytes());
        bytes[4..8].copy_from_slice(&BR_X17.to_le_bytes());
        bytes[8..].copy_from_slice(&(to as u64).to_le_bytes());
        Self { bytes, len: 16 }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// The length of a leading `bti c`, the only place an indirect branch may land on in a guarded page.
pub(crate) fn landing_pad(code: [u8; 4]) -> usize {
    if u32::from_le_bytes(code) == 0xd503_245f { 4 } else { 0 }
}

/// Data and instruction caches are apart: writes back the one and empties the other, word by word, whatever the lines'
/// length is.
pub(crate) fn flush_code(start: usize, len: usize) {
    for word in (start & !3..start + len).step_by(4) {
        // SAFETY: cache maintenance changes no memory, and the address is mapped.
        unsafe { asm!("dc cvau, {0}", "dsb ish", "ic ivau, {0}", "dsb ish", "isb", in(reg) word, options(nostack)) };
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// `mov w0, #1; ret`, and nops to 16 bytes.
    pub(crate) const ANSWER_ONE: [u8; 16] =
        [0x20, 0, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6, 0x1f, 0x20, 0x03, 0xd5, 0x1f, 0x20, 0x03, 0xd5];

    /// `bti c`
    pub(crate) const LANDING_PAD: [u8; 4] = [0x5f, 0x24, 0x03, 0xd5];

    #[test]
    fn a_near_jump_is_one_branch() {
        assert_eq!(Jump::new(0x1000, 0x2000).as_bytes(), (B | 0x400).to_le_bytes());
        assert_eq!(Jump::new(0x2000, 0x1000).as_bytes(), (B | 0x03ff_fc00).to_le_bytes());
    }

    #[test]
    fn a_far_jump_carries_the_whole_address() {
        assert_eq!(Jump::new(0, 1 << 27).as_bytes().len(), 16);
        assert_eq!(Jump::new(0, (1 << 27) - 4).as_bytes().len(), 4);
        assert_eq!(Jump::new(0, 0x0102_0304_0506_0708).as_bytes()[8..], [8, 7, 6, 5, 4, 3, 2, 1]);
    }
}
