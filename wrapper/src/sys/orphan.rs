//! Forks a process that is nobody's child but init's: by one between, which ends at once.
#![forbid(unsafe_code)]

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};

use crate::sys::process::{exit, fork_unseen};

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
fn fork() -> nix::Result<Option<Pid>> {
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
    use std::io::{Read, Write};

    /// Of the orphan only: under `cargo test` other tests of this process have children, and hold locks, so that the orphan
    /// allocates nothing.
    #[test]
    fn an_orphan_has_a_copy_of_everything_and_is_nobodys_child() {
        let (mut ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let (own, mut changed) = (std::process::id(), [1, 2, 3]);
        if fork_orphan().unwrap() {
            changed[0] = 4;
            let is_other = std::process::id() != own && changed == [4, 2, 3];
            let _ = theirs.write_all(&if is_other { std::process::id() } else { 0 }.to_ne_bytes());
            exit(0);
        }
        drop(theirs);
        let mut said = Vec::new();
        ours.read_to_end(&mut said).unwrap();
        let orphan = i32::from_ne_bytes(said.try_into().unwrap());
        assert!(orphan > 0 && changed == [1, 2, 3]);
        let outcome = waitpid(Pid::from_raw(orphan), Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG));
        assert_eq!(outcome, Err(Errno::ECHILD));
    }
}
