//! The mount namespace of the program's own: made, and tried in a child process first where it is not known to do.

use std::ffi::CStr;
use std::fs::File;
use std::io::{Read, Write};

use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{ForkResult, getgid, getuid, pipe2};

use crate::error::Error;
use crate::etc::mounted;
use crate::sys::kernel::{self, errno_of};
use crate::sys::process;

/// The whole answer of a child in which it worked.
const DONE: &[u8] = b"done";

/// Why something did not work.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason.
    pub why: String,
    /// What helps.
    pub hint: Option<String>,
}

/// Tries in a child process, whose end undoes it, what changes namespaces. None if it works.
pub fn refusal(attempt: impl FnOnce() -> Result<(), Error>) -> Option<Refusal> {
    let failed = |tried: &str, errno: nix::errno::Errno| Refusal {
        why: format!("cannot {tried}: {}", errno.desc()),
        hint: None,
    };
    let (verdict, report) = match pipe2(OFlag::O_CLOEXEC) {
        Ok(ends) => ends,
        Err(errno) => return Some(failed("make a pipe", errno)),
    };
    match process::fork() {
        Err(errno) => Some(failed("fork", errno)),
        Ok(ForkResult::Child) => {
            drop(verdict);
            let _ = File::from(report).write_all(&encode(attempt()));
            process::exit(0)
        }
        Ok(ForkResult::Parent { child }) => {
            drop(report);
            let mut answer = Vec::new();
            let read = File::from(verdict).read_to_end(&mut answer);
            // ECHILD where the caller ignores SIGCHLD: the answer has come through the pipe all the same.
            let _ = waitpid(child, Some(WaitPidFlag::__WALL));
            decode(&if read.is_ok() { answer } else { Vec::new() })
        }
    }
}

fn encode(outcome: Result<(), Error>) -> Vec<u8> {
    match outcome {
        Ok(()) => DONE.into(),
        Err(error) => format!("{error}\0{}", error.hint().unwrap_or_default()).into_bytes(),
    }
}

fn decode(answer: &[u8]) -> Option<Refusal> {
    if answer == DONE {
        return None;
    }
    let text = String::from_utf8_lossy(answer);
    let (why, hint) = text.split_once('\0').unwrap_or(("the trial of it died", ""));
    Some(Refusal { why: why.into(), hint: (!hint.is_empty()).then(|| hint.into()) })
}

/// A mount namespace of our own, from which nothing gets out; through a user namespace where there is no right to one.
pub fn enter(is_root: bool) -> Result<(), Error> {
    let before = mounted::namespace()?;
    let forbidden = |tried: &str| {
        let tried = tried.to_owned();
        |errno| Error::Etc { tried, errno, hint: Some(namespace_hint()) }
    };
    if is_root {
        unshare(CloneFlags::CLONE_NEWNS).map_err(forbidden("make a mount namespace"))?;
    } else {
        let (uid, gid) = (getuid(), getgid());
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).map_err(forbidden("make a user namespace"))?;
        let write = |path: &str, text: String| {
            let done =
                std::fs::OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
            done.map_err(|error| errno_of(&error)).map_err(forbidden(&format!("write {path}")))
        };
        write("/proc/self/setgroups", "deny".into())?;
        write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
        write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
    }
    let flags = MsFlags::MS_REC | MsFlags::MS_SLAVE;
    mount(None::<&CStr>, c"/", None::<&CStr>, flags, None::<&CStr>).map_err(forbidden("keep mounts to the program"))?;
    mounted::is_private(before)
}

fn namespace_hint() -> String {
    let is_set = |path: &str, value: u8| kernel::read(path).is_ok_and(|text| text.first() == Some(&value));
    if is_set("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", b'1') {
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or vrfrun --no-etc …".into()
    } else if is_set("/proc/sys/kernel/unprivileged_userns_clone", b'0') {
        "sysctl -w kernel.unprivileged_userns_clone=1, or vrfrun --no-etc …".into()
    } else {
        "vrfrun --no-etc …".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    #[test]
    fn what_works_in_the_child_changes_nothing_here() {
        let before = mounted::namespace().unwrap();
        assert_eq!(refusal(|| Ok(())), None);
        let why = refusal(|| Err(Error::Etc { tried: "mount".into(), errno: Errno::EPERM, hint: Some("this".into()) }));
        let expected = Refusal { why: "cannot mount: Operation not permitted".into(), hint: Some("this".into()) };
        assert_eq!(why, Some(expected));
        assert!(refusal(|| process::exit(0)).is_some(), "silence is no proof");
        assert_eq!(mounted::namespace().unwrap(), before);
    }
}
