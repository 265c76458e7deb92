//! What a process of one thread may do to itself: fork, leave, change its environment, name its descriptors.
//!
//! vrfrun starts no thread. Each function here relies on that, and so no caller needs to.

use std::ffi::{OsStr, OsString};
use std::os::fd::{BorrowedFd, RawFd};

use nix::errno::Errno;
use nix::unistd::{ForkResult, Pid, getpid};

/// `fork(2)`.
pub fn fork() -> nix::Result<ForkResult> {
    let parent = getpid();
    // SAFETY: vrfrun has one thread, so the child may do whatever the parent may.
    unsafe { nix::unistd::fork() }.and_then(|forked| is_forked(parent, forked))
}

/// Forks a child that announces its end by no signal, and is shown to __WALL and __WCLONE only.
pub fn fork_unseen() -> nix::Result<ForkResult> {
    let parent = getpid();
    // SAFETY: clone(2) with no flags and no stack is fork(2), and vrfrun has one thread.
    let forked = match Errno::result(unsafe { libc::syscall(libc::SYS_clone, 0, 0, 0, 0, 0) })? {
        0 => ForkResult::Child,
        pid => ForkResult::Parent { child: Pid::from_raw(pid as libc::pid_t) },
    };
    is_forked(parent, forked)
}

/// A kernel cannot, but a filter above can say so where nothing was forked.
fn is_forked(parent: Pid, forked: ForkResult) -> nix::Result<ForkResult> {
    match forked {
        ForkResult::Child if getpid() == parent => Err(Errno::ENOSYS),
        forked => Ok(forked),
    }
}

/// Lets everybody else who can run go before this process, from now on.
pub fn go_last() {
    // SAFETY: numbers only; whether it helped does not matter.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, 19);
        libc::sched_yield();
    }
}

/// Ends a child without running the parent's exit handlers a second time.
pub fn exit(status: i32) -> ! {
    // SAFETY: runs nothing, and does not come back.
    unsafe { libc::_exit(status) }
}

/// Sets a variable of the environment, or removes it. An environment may hold a name twice, and setenv(3) changes the
/// first only: all of them go before the new one comes.
pub fn set_variable(name: &OsStr, value: Option<&OsString>) {
    // SAFETY: vrfrun has one thread, and nothing reads the environment meanwhile.
    unsafe {
        std::env::remove_var(name);
        if let Some(value) = value {
            std::env::set_var(name, value);
        }
    }
}

/// A descriptor by its number. A number that is none makes the call that is given it fail with EBADF.
pub fn descriptor<'a>(number: RawFd) -> BorrowedFd<'a> {
    assert!(number >= 0, "a descriptor is not negative");
    // SAFETY: not -1; nothing closes it meanwhile, for vrfrun has one thread and asks about what it has inherited.
    unsafe { BorrowedFd::borrow_raw(number) }
}
