//! libvrfshim: binds every inet socket of the process it is loaded into to a VRF.
//!
//! Preloaded by vrfrun it takes its orders from the environment (`start`); linked by a C program it takes them through
//! the functions of include/vrfshim.h. Either way a socket is in the VRF when the program first sees it, or the call
//! fails. It runs in other people's processes, in constructors, signal handlers and forked children: nothing here
//! allocates, locks, logs, panics or calls into libc on the way of a socket, and the object needs no other library.
//!
//! The path of one call: `exports` (C symbols) → `hook` (what to do) → `current` (which VRF) → `sys` (the kernel).
//! `constructor` redirects libc's own calls there too: `libc_object` and `elf` find them, `patch` rewrites them.
#![cfg_attr(panic = "abort", no_std)] // tests are built with unwinding, and so with std

mod answer;
mod arch;
mod capi;
mod choice;
mod constructor;
mod current;
mod elf;
mod environment;
mod exports;
mod hook;
mod interface;
mod libc_object;
mod link;
mod name;
mod names;
mod patch;
mod start;
#[cfg(all(test, target_arch = "x86_64"))] // emulated machines would take an hour
mod stress;
mod sys;

/// No input leads here; if one did, a process that stops is better than a socket in the wrong VRF.
#[cfg(panic = "abort")]
#[panic_handler]
fn panicked(_: &core::panic::PanicInfo) -> ! {
    // While nothing can panic the linker drops all this: tests/object.rs looks for these very words.
    let _ = sys::write_pieces(libc::STDERR_FILENO, [b"libvrfshim: internal error\n", b"", b""]);
    sys::exit(125)
}

// The core library comes compiled for unwinding and names this function in its tables, which nobody reads here. Hidden,
// or it would take the place of the real one in programs that link Rust's standard library dynamically.
#[cfg(panic = "abort")]
core::arch::global_asm!(".weak rust_eh_personality", ".hidden rust_eh_personality", "rust_eh_personality: .byte 0");
