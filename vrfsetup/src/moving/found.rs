//! One process: its number, and what tells it from a later one of the same number.

use std::fs;

use crate::inspect::processes;

/// A process that was found. Its number is given to another one once it has gone; the moment at which it started is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since the machine did.
    pub started: u64,
}

impl Found {
    /// The process that has this number now, even if it is only there for its parent to ask for.
    pub fn of(pid: u32) -> Option<Self> {
        stat(pid).map(|stat| Self { pid, started: stat.started })
    }

    /// Whether it still has its number.
    pub fn is_same(&self) -> bool {
        Self::of(self.pid) == Some(*self)
    }

    /// A thread of it that runs: the main one unless that has ended, whose cgroup, files and namespaces nobody sees any more.
    /// None once all have ended.
    pub fn thread(&self) -> Option<Thread> {
        let number = processes::live_thread(self.pid)?;
        self.is_same().then_some(Thread { process: self.pid, number })
    }

    /// Whether it is a thread of the kernel's. What it does is nobody's program, and it has no sockets that a VRF could hold.
    pub fn is_kernels(&self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.is_kernels && stat.started == self.started)
    }

    /// Whether another process has its number now.
    pub fn has_successor(&self) -> bool {
        Self::of(self.pid).is_some_and(|now| now != *self)
    }
}

/// A thread of a process. Once it has ended, its number is given to another one, also one of another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thread {
    /// The number of its process.
    pub process: u32,
    /// Its own, which is the same if it is the main one.
    pub number: u32,
}

impl Thread {
    /// Its directory below /proc as long as it is one of this process, unlike that of its number alone.
    pub fn directory(self) -> String {
        format!("{}/task/{}", self.process, self.number)
    }
}

/// What /proc/PID/stat says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The number of its parent.
    pub parent: u32,
    /// As [`Found::started`].
    pub started: u64,
    /// As [`Found::is_kernels`].
    pub is_kernels: bool,
}

const PF_KTHREAD: u64 = 0x0020_0000;

/// Reads it.
pub fn stat(pid: u32) -> Option<Stat> {
    parse(&String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/stat")).ok()?))
}

/// A process's name may have brackets and spaces in it.
fn parse(stat: &str) -> Option<Stat> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(1);
    // The fourth field of all, the ninth, and the 22nd.
    let (parent, flags) = (fields.next()?.parse().ok()?, fields.nth(4)?.parse::<u64>().ok()?);
    Some(Stat { parent, started: fields.nth(12)?.parse().ok()?, is_kernels: flags & PF_KTHREAD != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_is_no_field() {
        let line = "7 (a) R 1) x) S 4 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 12345 1 2";
        assert_eq!(parse(line), Some(Stat { parent: 4, started: 12345, is_kernels: false }));
        assert_eq!((parse(""), parse("7 (a) S 4 7 7")), (None, None));
    }

    #[test]
    fn a_thread_of_the_kernels_is_told_from_a_process() {
        let line = "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 3 0 0 20 0 1 0 1 0 0";
        assert_eq!(parse(line), Some(Stat { parent: 0, started: 1, is_kernels: true }));
        assert!(!Found::of(std::process::id()).unwrap().is_kernels());
    }

    #[test]
    fn this_process_runs_and_is_not_one_that_started_earlier() {
        let own = Found::of(std::process::id()).unwrap();
        let main = Thread { process: own.pid, number: own.pid };
        assert_eq!((own.thread(), own.has_successor()), (Some(main), false));
        let earlier = Found { started: 0, ..own };
        assert_eq!((earlier.thread(), earlier.is_same(), earlier.has_successor()), (None, false, true));
    }

    #[test]
    fn a_process_that_only_waits_for_its_parent_has_no_thread() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let found = Found::of(child.id()).unwrap();
        while found.thread().is_some() {
            std::thread::yield_now();
        }
        assert!(found.is_same());
        child.wait().unwrap();
        assert!(!found.is_same() && !found.has_successor());
    }
}
