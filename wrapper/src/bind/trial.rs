//! A throwaway child in which something is tried that cannot be taken back, such as a seccomp filter.

use std::fs::File;
use std::io::{Read, Write};

use nix::fcntl::OFlag;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{ForkResult, pipe2};

use crate::error::unavailable::Refusal;
use crate::sys::process;

const PROVED: u8 = b'+';

/// Runs the trial in a child and brings its verdict back. A child that dies without one has failed.
pub fn try_in_child(trial: impl FnOnce() -> Result<(), Refusal>) -> Result<(), Refusal> {
    let (verdict, report) = pipe2(OFlag::O_CLOEXEC).map_err(Refusal::kernel("make a pipe"))?;
    match process::fork().map_err(Refusal::kernel("fork"))? {
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

fn encode(outcome: &Result<(), Refusal>) -> Vec<u8> {
    match outcome {
        Ok(()) => vec![PROVED],
        Err(refusal) => format!("-{}\0{}", refusal.why, refusal.hint.as_deref().unwrap_or("")).into_bytes(),
    }
}

fn decode(bytes: &[u8]) -> Result<(), Refusal> {
    let (b'-', text) = bytes.split_first().map(|(b, text)| (*b, text)).unwrap_or((0, bytes)) else {
        return if bytes == [PROVED] { Ok(()) } else { Err(died()) };
    };
    let text = String::from_utf8_lossy(text);
    let (why, hint) = text.split_once('\0').unwrap_or((&text, ""));
    Err(Refusal { why: why.into(), hint: (!hint.is_empty()).then(|| hint.into()) })
}

fn died() -> Refusal {
    Refusal::new("the trial of it died")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_comes_back_whole() {
        for refusal in [Refusal::new("why"), Refusal::new("why").hint("do this")] {
            assert_eq!(decode(&encode(&Err(refusal.clone()))), Err(refusal));
        }
        assert_eq!(decode(&encode(&Ok(()))), Ok(()));
    }

    #[test]
    fn silence_is_no_proof() {
        assert_eq!(decode(b""), Err(died()));
        assert_eq!(decode(b"x"), Err(died()));
    }
}
