//! Forks a process that is nobody's child but init's: by one between, which ends at once.
//!
//! The one between needs no memory of its own, and to copy this process's is most of what a fork takes. On x86-64 it runs in
//! this process's, which waits for its end (CLONE_VM, CLONE_VFORK, as vfork(2)): so it is a few instructions that touch no
//! stack.

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// True in the orphan.
pub fn fork_orphan() -> nix::Result<bool> {
    let between = match fork()? {
        Some(between) => between,
        None => return Ok(true),
    };
    // It announces its end by no signal, and is shown to __WALL only.
    match waitpid(between, Some(WaitPidFlag::__WALL))? {
        WaitStatus::Exited(_, 0) => Ok(false),
        _ => Err(Errno::EAGAIN),
    }
}

/// The one between, None in the orphan.
#[cfg(target_arch = "x86_64")]
fn fork() -> nix::Result<Option<Pid>> {
    // Where the kernel writes the numbers of the two: a filter above can say that something was forked where nothing was.
    let mut numbers = [0u32; 2];
    let outcome: isize;
    // SAFETY: the one between changes `numbers` and registers that are named here, then ends or is the orphan, which has a copy
    // of all memory. No signal has a handler in vrfrun, which could run in it.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "cmp dword ptr [rdx], 0",
            "je 3f",
            // The one between.
            "mov eax, {clone}",
            "mov edi, {child_settid}",
            "syscall",
            "test rax, rax",
            "js 4f",
            "jnz 5f",
            "cmp dword ptr [r10], 0",
            "jne 2f",
            "4:",
            "mov edi, 1",
            "jmp 6f",
            "5:",
            "xor edi, edi",
            "6:",
            "mov eax, {exit}",
            "syscall",
            "ud2",
            "3:",
            "mov rax, {not_forked}",
            "2:",
            clone = const libc::SYS_clone,
            exit = const libc::SYS_exit,
            child_settid = const libc::CLONE_CHILD_SETTID,
            not_forked = const -(Errno::ENOSYS as i32),
            inlateout("rax") libc::SYS_clone as isize => outcome,
            inlateout("rdi") (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PARENT_SETTID) as usize => _,
            in("rsi") 0,
            in("rdx") &raw mut numbers[0],
            in("r10") &raw mut numbers[1],
            in("r8") 0,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    match outcome {
        0 => Ok(None),
        pid if pid > 0 => Ok(Some(Pid::from_raw(pid as libc::pid_t))),
        error => Err(Errno::from_raw(-error as i32)),
    }
}

/// The same with two copies.
#[cfg(not(target_arch = "x86_64"))]
fn fork() -> nix::Result<Option<Pid>> {
    use crate::sys::process::{exit, fork_unseen};
    use nix::unistd::ForkResult;

    match fork_unseen()? {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => match fork_unseen() {
            Ok(ForkResult::Child) => Ok(None),
            Ok(ForkResult::Parent { .. }) => exit(0),
            Err(_) => exit(1),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process;
    use std::io::{Read, Write};

    #[test]
    fn an_orphan_has_a_copy_of_everything_and_is_nobodys_child() {
        let (mut ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let (own, mut changed) = (std::process::id(), vec![1, 2, 3]);
        if fork_orphan().unwrap() {
            changed.push(4);
            let is_other = std::process::id() != own && changed.len() == 4;
            let _ = theirs.write_all(&[u8::from(is_other)]);
            process::exit(0);
        }
        drop(theirs);
        let mut said = Vec::new();
        ours.read_to_end(&mut said).unwrap();
        assert_eq!((said, changed.len()), (vec![1], 3));
        assert_eq!(waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG)), Err(Errno::ECHILD));
    }
}
