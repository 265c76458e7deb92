//! What a process of one thread may do to itself: fork, leave, change its environment, name its descriptors.
//!
//! vrfrun starts no thread. Each function here relies on that, and so no caller needs to.

use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, RawFd};

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};

/// `fork(2)`.
pub fn fork() -> nix::Result<ForkResult> {
    clone(libc::SIGCHLD)
}

/// Forks a child that announces its end by no signal, and is shown to __WALL and __WCLONE only.
pub fn fork_unseen() -> nix::Result<ForkResult> {
    clone(0)
}

/// A child with a copy of all memory, which sends this signal at its end.
fn clone(signal: libc::c_int) -> nix::Result<ForkResult> {
    // The kernel writes the child's number here, in the child. A filter above can say that something was forked where nothing
    // was; the number of the process does not tell, as that of a new pid namespace's first one may be its parent's in another.
    let mut number: libc::pid_t = 0;
    let place = &raw mut number;
    let flags = signal | libc::CLONE_CHILD_SETTID;
    // SAFETY: clone(2) without a stack is fork(2), and vrfrun has one thread, so the child may do whatever the parent may. The
    // place is live; it is the fourth argument on some machines and the fifth on others, where the other one is not looked at.
    let forked =
        Errno::result(unsafe { libc::syscall(libc::SYS_clone, flags as usize, 0usize, 0usize, place, place) })?;
    // SAFETY: as above. Nobody but the kernel has written it.
    match (forked, unsafe { place.read_volatile() }) {
        (0, 0) => Err(Errno::ENOSYS),
        (0, _) => Ok(ForkResult::Child),
        (pid, _) => Ok(ForkResult::Parent { child: Pid::from_raw(pid as libc::pid_t) }),
    }
}

/// Whether a child gets through this work. A seccomp filter may end who makes a call, and not only fail it.
pub fn survives(work: impl FnOnce()) -> bool {
    match fork_unseen() {
        Ok(ForkResult::Child) => {
            // Nobody is to keep a dump of it.
            let _ = nix::sys::prctl::set_dumpable(false);
            work();
            exit(0)
        }
        Ok(ForkResult::Parent { child }) => {
            !matches!(waitpid(child, Some(WaitPidFlag::__WALL)), Ok(WaitStatus::Signaled(..)))
        }
        // The caller finds out what it can.
        Err(_) => true,
    }
}

/// Does work that may write where nobody reads any more: that fails, and no signal (SIGPIPE) comes of it.
pub fn without_sigpipe<T>(work: impl FnOnce() -> T) -> T {
    let pipe = SigSet::from(Signal::SIGPIPE);
    let mut before = SigSet::empty();
    let is_held = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&pipe), Some(&mut before)).is_ok();
    let outcome = work();
    if is_held && !before.contains(Signal::SIGPIPE) {
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the kernel reads a live set and a live time; nobody wants to know more of the signal. It takes one that has
        // come, and waits for none.
        unsafe { libc::sigtimedwait(pipe.as_ref(), std::ptr::null_mut(), &raw const now) };
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
    }
    outcome
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

/// Whether this process ignores the signal, as nohup(1) has it.
pub fn is_ignored(signal: Signal) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the kernel changes nothing and writes one live structure.
    let asked = unsafe { libc::sigaction(signal as libc::c_int, std::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: all zeros, which are a value of it, or what the kernel wrote.
    asked == 0 && unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// Ignores the signal, or has the kernel do what it does by itself.
pub fn set_ignored(signal: Signal, is_ignored: bool) {
    let handler = if is_ignored { SigHandler::SigIgn } else { SigHandler::SigDfl };
    // SAFETY: neither is a function of this process.
    let _ = unsafe { nix::sys::signal::signal(signal, handler) };
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
