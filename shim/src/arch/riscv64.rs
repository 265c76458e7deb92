//! riscv64.

use core::arch::asm;
use core::sync::atomic::AtomicU32;

/// mmap(2) with the offset in bytes (here 0).
pub(crate) const SYS_MMAP: usize = libc::SYS_mmap as usize;
/// riscv_flush_icache(2) of include/uapi/asm/unistd.h: on every processor that runs a thread of this process (4.15).
const SYS_RISCV_FLUSH_ICACHE: usize = 259;

/// Makes a system call and gives back what the kernel put into the register: a value or -errno.
///
/// # Safety
/// As for syscall(2): pointers among the arguments must be what the call takes them for.
#[inline(always)]
pub(crate) unsafe fn syscall(number: usize, args: [usize; 6]) -> isize {
    let result;
    // SAFETY: the kernel clobbers a0 only; what the call does to memory is the caller's promise.
    unsafe {
        asm!("ecall", in("a7") number, inlateout("a0") args[0] => result, in("a1") args[1], in("a2") args[2],
            in("a3") args[3], in("a4") args[4], in("a5") args[5], options(nostack))
    };
    result
}

/// socket(2) with `cookie` in a5, the sixth argument, which the kernel ignores and a seccomp filter sees.
#[inline(always)]
pub(crate) fn socket(domain: i32, kind: i32, protocol: i32, cookie: u64) -> isize {
    let result;
    // SAFETY: socket(2) touches no memory. a5 is wiped in the same breath: a later raw `ecall` of the program need not
    // write it, and must not pass the cookie by accident.
    unsafe {
        asm!("ecall", "li a5, 0", in("a7") libc::SYS_socket, inlateout("a0") domain as isize => result,
            in("a1") kind as isize, in("a2") protocol as isize, in("a3") 0, in("a4") 0, inlateout("a5") cookie => _,
            options(nostack, nomem))
    };
    result
}

/// Initial-exec TLS by hand: `#[thread_local]` is unstable, and the default model's call may allocate.
#[inline(always)]
pub(crate) fn thread_word() -> *const AtomicU32 {
    let word;
    // SAFETY: reads this object's own GOT entry and the thread pointer; the sum is this thread's word by the TLS ABI.
    unsafe {
        asm!("la.tls.ie {word}, vrfshim_thread_word", "add {word}, {word}, tp", word = out(reg) word,
            options(pure, readonly, nostack))
    };
    word
}

/// The code of a jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Jump {
    bytes: [u8; 20],
    len: usize,
}

// By t2, which linkers may use between any caller and callee, and from which a jump needs no landing pad (Zicfilp).
const JAL_ZERO: u32 = 0x0000_006f;
const AUIPC_T2: u32 = 0x0000_0397;
const JR_T2: u32 = 0x0003_8067;
const LD_T2_12_T2: u32 = 0x00c3_b383; // the eight bytes behind the jump

impl Jump {
    /// One jump where it reaches (1 MiB either way), two instructions for 2 GiB, else the address.
    pub(crate) fn new(from: usize, to: usize) -> Self {
        let mut bytes = [0; 20];
        let distance = (to as i64).wrapping_sub(from as i64);
        let far = distance.wrapping_add(0x800);
        let words = if (-(1 << 20)..1 << 20).contains(&distance) {
            [JAL_ZERO | jal(distance as u32), 0, 0]
        } else if (-(1 << 31)..1 << 31).contains(&far) {
            [AUIPC_T2 | far as u32 & 0xffff_f000, JR_T2 | (distance as u32) << 20, 0]
        } else {
            bytes[12..].copy_from_slice(&(to as u64).to_le_bytes());
            [AUIPC_T2, LD_T2_12_T2, JR_T2]
        };
        for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let len = if words[1] == 0 {
            4
        } else if words[2] == 0 {
            8
        } else {
            20
        };
        Self { bytes, len }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// The distance as a J-type instruction has it: bits 20, 10 to 1, 11 and 19 to 12.
const fn jal(distance: u32) -> u32 {
    (distance & 0x10_0000) << 11 | (distance & 0x7fe) << 20 | (distance & 0x800) << 9 | distance & 0xf_f000
}

/// The length of a leading `lpad`, the only place an indirect jump may land on in a guarded page.
pub(crate) fn landing_pad(code: [u8; 4]) -> usize {
    if u32::from_le_bytes(code) & 0xfff == 0x017 { 4 } else { 0 }
}

/// A processor may run instructions that it has fetched before they were written.
pub(crate) fn flush_code(start: usize, len: usize) {
    // SAFETY: changes no memory.
    unsafe { syscall(SYS_RISCV_FLUSH_ICACHE, [start, start + len, 0, 0, 0, 0]) };
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// `li a0, 1; ret`, and nops to 20 bytes.
    pub(crate) const ANSWER_ONE: [u8; 20] =
        [0x13, 0x05, 0x10, 0, 0x67, 0x80, 0, 0, 0x13, 0, 0, 0, 0x13, 0, 0, 0, 0x13, 0, 0, 0];

    /// `lpad 0`
    pub(crate) const LANDING_PAD: [u8; 4] = [0x17, 0, 0, 0];

    fn words(jump: Jump) -> Vec<u32> {
        jump.as_bytes().chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
    }

    #[test]
    fn a_near_jump_is_one_instruction() {
        // As `llvm-mc -triple=riscv64 -show-encoding` has `j 4096`, `j -4096` and `j 2054`.
        assert_eq!(words(Jump::new(0x1000, 0x2000)), [0x0000_106f]);
        assert_eq!(words(Jump::new(0x2000, 0x1000)), [0x800f_f06f]);
        assert_eq!(words(Jump::new(0x1000, 0x1806)), [0x0070_006f]);
    }

    #[test]
    fn a_jump_within_2_gib_is_two() {
        // `auipc t2, 0x12345; jr 0x678(t2)`, and a lower part that is negative.
        assert_eq!(words(Jump::new(0, 0x1234_5678)), [0x1234_5397, 0x6783_8067]);
        assert_eq!(words(Jump::new(0, 0x1234_5800)), [0x1234_6397, 0x8003_8067]);
        assert_eq!(words(Jump::new(0x1234_5678, 0))[0], 0xedcb_b397);
    }

    #[test]
    fn a_far_jump_carries_the_whole_address() {
        let jump = Jump::new(0, 0x0102_0304_0506_0708);
        assert_eq!(words(jump)[..3], [AUIPC_T2, LD_T2_12_T2, JR_T2]);
        assert_eq!(jump.as_bytes()[12..], [8, 7, 6, 5, 4, 3, 2, 1]);
    }
}
