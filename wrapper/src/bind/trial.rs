//! A temporary child process in which something is tried that cannot be undone, such as a seccomp filter.

use std::fs::File;
use std::io::{Read, Write};

use nix::fcntl::OFlag;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{ForkResult, pipe2};
use vrfbpf::set::Gaps;

use crate::bind::binding::Guard;
use crate::error::unavailable::Unavailable;
use crate::sys::process;

// The first byte of the report that the child sends through the pipe.
const CGROUP: u8 = b'c';
const SUPERVISOR: u8 = b's';
const GATE: u8 = b'g';
const NONE: u8 = b'n';
const OUTER: u8 = b'o';
const REFUSED: u8 = b'-';

/// Runs the trial in a child and returns what it found. A child that dies without one has failed.
pub fn try_in_child(trial: impl FnOnce() -> Result<Guard, Unavailable>) -> Result<Guard, Unavailable> {
    let (verdict, report) = pipe2(OFlag::O_CLOEXEC).map_err(Unavailable::kernel("make a pipe"))?;
    match process::fork().map_err(Unavailable::kernel("fork"))? {
        ForkResult::Child => {
            drop(verdict);
            let _ = File::from(report).write_all(&encode(&trial()));
            process::exit(0)
        }
        ForkResult::Parent { child } => {
            drop(report);
            let mut bytes = Vec::new();
            let read = File::from(verdict).read_to_end(&mut bytes);
            // ECHILD where the caller ignores SIGCHLD: the verdict has come through the pipe all the same.
            let _ = waitpid(child, Some(WaitPidFlag::__WALL));
            if read.is_ok() { decode(&bytes) } else { Err(died()) }
        }
    }
}

fn encode(outcome: &Result<Guard, Unavailable>) -> Vec<u8> {
    match outcome {
        Ok(Guard::Cgroup(gaps)) => {
            let errors = gaps.errors().into_iter().flat_map(i32::to_ne_bytes);
            std::iter::once(CGROUP).chain(errors).collect()
        }
        Ok(Guard::Supervisor) => vec![SUPERVISOR],
        Ok(Guard::Gate(why)) => [&[GATE], why.as_bytes()].concat(),
        Ok(Guard::None) => vec![NONE],
        Ok(Guard::Outer) => vec![OUTER],
        Err(Unavailable { why, hint }) => {
            [&[REFUSED], why.as_bytes(), &[0], hint.as_deref().unwrap_or_default().as_bytes()].concat()
        }
    }
}

fn decode(bytes: &[u8]) -> Result<Guard, Unavailable> {
    let (tag, rest) = bytes.split_first().ok_or_else(died)?;
    let text = String::from_utf8_lossy(rest);
    match *tag {
        CGROUP => gaps(rest).map(Guard::Cgroup).ok_or_else(died),
        SUPERVISOR => Ok(Guard::Supervisor),
        GATE => Ok(Guard::Gate(text.into())),
        NONE => Ok(Guard::None),
        OUTER => Ok(Guard::Outer),
        REFUSED => {
            let (why, hint) = text.split_once('\0').unwrap_or((&text, ""));
            Err(Unavailable { why: why.into(), hint: (!hint.is_empty()).then(|| hint.into()) })
        }
        _ => Err(died()),
    }
}

fn gaps(bytes: &[u8]) -> Option<Gaps> {
    let errors = bytes.chunks(size_of::<i32>()).map(|chunk| chunk.try_into().ok().map(i32::from_ne_bytes));
    Gaps::from_errors(&errors.collect::<Option<Vec<_>>>()?)
}

fn died() -> Unavailable {
    Unavailable::new("the trial of it died")
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;
    use vrfbpf::set::Place;

    #[test]
    fn a_reason_comes_back_whole() {
        for reason in [Unavailable::new("why"), Unavailable::new("why").hint("do this")] {
            assert_eq!(decode(&encode(&Err(reason.clone()))), Err(reason));
        }
    }

    #[test]
    fn a_guard_comes_back_whole() {
        let gate = || Guard::Gate("--no-supervisor".into());
        let mut gaps = Gaps::default();
        gaps.add(Place::Egress, Errno::EPERM);
        let whole = Guard::Cgroup(Gaps::default());
        for guard in [whole, Guard::Cgroup(gaps), Guard::Supervisor, gate(), Guard::None, Guard::Outer] {
            assert_eq!(decode(&encode(&Ok(guard.clone()))), Ok(guard));
        }
    }

    #[test]
    fn silence_is_no_proof() {
        assert_eq!(decode(b""), Err(died()));
        assert_eq!(decode(b"x"), Err(died()));
    }
}
