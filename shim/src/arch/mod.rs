//! What differs between machines: system calls, the thread's word, and the jump that is written over libc's `socket`.
//!
//! Each file offers the same items:
//! - `syscall(number, args)`: any system call, all six arguments.
//! - `socket(domain, kind, protocol, cookie)`: socket(2) with the cookie as sixth argument, wiped afterwards.
//! - `thread_word()`: the calling thread's own word, in static TLS, so that nothing allocates it on first use.
//! - `Jump::new(from, to)`: code that continues at `to`; `landing_pad(code)`: leading bytes that must stay.
//! - `flush_code(start, len)`: makes written code visible to instruction fetch.

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
#[cfg_attr(target_arch = "x86", path = "x86.rs")]
#[cfg_attr(target_arch = "riscv64", path = "riscv64.rs")]
mod machine;

pub(crate) use machine::*;

// The thread's word, to which `thread_word()` finds the way.
core::arch::global_asm!(
    ".pushsection .tbss.vrfshim,\"awT\",@nobits",
    ".hidden vrfshim_thread_word",
    ".globl vrfshim_thread_word",
    ".type vrfshim_thread_word, @object",
    ".size vrfshim_thread_word, 4",
    ".p2align 2",
    "vrfshim_thread_word: .zero 4",
    ".popsection",
);
