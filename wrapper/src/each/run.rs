//! Starts the command in one VRF after the other, so many at a time, and waits for all of them.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::mem;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use crate::each::job::{End, Job, SOURCES};
use crate::each::output::Output;
use crate::each::queue::{Queue, To};
use crate::each::signals::Signals;
use crate::error::Error;

/// How long a reader is waited for who takes nothing, once a signal has come (milliseconds).
const PATIENCE: u16 = 1000;

/// Runs it everywhere. Returns the largest exit status; a signal that ended vrfrun counts as 128 and its number.
pub fn run(vrfs: Vec<OsString>, limit: usize, output: Output, start: impl Fn(&OsString) -> i32) -> Result<i32, Error> {
    let signals = Signals::hold().map_err(Error::kernel("hold signals back"))?;
    let (waiting, jobs, queue) = (vrfs.into(), Vec::new(), Queue::default());
    let mut run = Run { waiting, limit, jobs, signals, output, queue, is_ending: false, worst: 0, failure: None };
    loop {
        run.fill(&start);
        if run.jobs.is_empty() && run.queue.is_empty() {
            return run.failure.map_or(Ok(run.worst), Err);
        }
        run.step();
    }
}

struct Run {
    waiting: VecDeque<OsString>,
    limit: usize,
    jobs: Vec<Job>,
    signals: Signals,
    output: Output,
    queue: Queue,
    is_ending: bool,
    worst: i32,
    /// Why vrfrun gave up.
    failure: Option<Error>,
}

impl Run {
    fn fill(&mut self, start: impl Fn(&OsString) -> i32) {
        while self.jobs.len() < self.limit {
            let Some(vrf) = self.waiting.front() else { return };
            match Job::start(vrf.clone(), &self.signals, &start) {
                Ok(job) => {
                    self.waiting.pop_front();
                    self.jobs.push(job);
                }
                Err(error) if self.jobs.is_empty() => return self.give_up(error),
                // There cannot be more at a time: the next one starts when one has ended.
                Err(_) => self.limit = self.jobs.len(),
            }
        }
    }

    /// Waits until something happens, and does what follows from it. The commands wait for who reads what they say.
    fn step(&mut self) {
        let done = match self.queue.source() {
            Some(reader) => self.write(reader),
            None => self.wait().map(|events| self.look(&events)),
        };
        match done {
            Ok(()) | Err(Errno::EINTR) => {}
            Err(errno) => {
                self.give_up(Error::Kernel { tried: "wait for processes".into(), errno });
                self.jobs.drain(..).for_each(|mut job| _ = job.finish());
                self.show_no_more();
            }
        }
        while let Some(signal) = self.signals.next() {
            self.worst = self.worst.max(128 + signal as i32);
            self.is_ending = true;
            self.stop(signal);
        }
    }

    /// Waits until the reader takes something or a signal comes.
    fn write(&mut self, reader: PollFd) -> nix::Result<()> {
        let patience = if self.is_ending { PollTimeout::from(PATIENCE) } else { PollTimeout::NONE };
        let mut sources = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN), reader];
        if poll(&mut sources, patience)? == 0 {
            self.show_no_more();
        } else if sources[1].any().unwrap_or(true) {
            if let Err(errno) = self.queue.write() {
                self.give_up(Error::Kernel { tried: "write to standard output".into(), errno });
            }
        }
        Ok(())
    }

    fn show_no_more(&mut self) {
        [To::Stdout, To::Stderr].into_iter().for_each(|to| self.queue.give_up(to));
    }

    /// Of each job: whether it has ended, and which of its streams can be read.
    fn wait(&self) -> nix::Result<Vec<[bool; SOURCES]>> {
        let mut sources = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        sources.extend(self.jobs.iter().flat_map(Job::sources));
        poll(&mut sources, PollTimeout::NONE)?;
        let happened = |at: usize| sources[at].any().unwrap_or(true);
        Ok((0..self.jobs.len()).map(|job| [1, 2, 3].map(|source| happened(job * SOURCES + source))).collect())
    }

    fn look(&mut self, events: &[[bool; SOURCES]]) {
        for (mut job, event) in mem::take(&mut self.jobs).into_iter().zip(events) {
            let end = advance(&mut job, event);
            match end {
                Some(end) => {
                    self.output.end(&mut job, &end, &mut self.queue);
                    self.worst = self.worst.max(end.status);
                }
                None => {
                    self.output.progress(&mut job, &mut self.queue);
                    self.jobs.push(job);
                }
            }
        }
    }

    /// The first reason is said, at the end.
    fn give_up(&mut self, error: Error) {
        self.failure.get_or_insert(error);
        self.stop(Signal::SIGTERM);
    }

    /// Starts no more, and passes the signal on to those that run.
    fn stop(&mut self, signal: Signal) {
        self.waiting.clear();
        self.jobs.iter().for_each(|job| job.signal(signal));
    }
}

/// Reads what can be read; how the job ended, if it has.
fn advance(job: &mut Job, [has_ended, on_stdout, on_stderr]: &[bool; SOURCES]) -> Option<End> {
    if *on_stdout {
        job.stdout.read();
    }
    if *on_stderr {
        job.stderr.read();
    }
    has_ended.then(|| job.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    use std::ffi::CString;
    use std::os::fd::AsRawFd;

    /// Runs a shell script in place of a command in three VRFs; its `$0` is the VRF.
    fn play(limit: usize, script: &str) -> Result<i32, Error> {
        let vrfs = ["black", "blue", "red"].map(OsString::from).to_vec();
        let script = CString::new(script).unwrap();
        run(vrfs, limit, Output::Json, |vrf| {
            let vrf = CString::new(vrf.as_encoded_bytes()).unwrap();
            let Err(_) = nix::unistd::execv(c"/bin/sh", &[c"sh", c"-c", &script, &vrf]);
            1
        })
    }

    #[test]
    fn the_worst_status_is_returned() {
        assert_eq!(play(9, r#"[ "$0" != blue ] || exit 7; [ "$0" != red ] || exit 3"#).unwrap(), 7);
        assert_eq!(play(9, r#"[ "$0" != blue ] || kill -9 $$"#).unwrap(), 137);
        assert_eq!(play(1, "! read line").unwrap(), 0, "standard input is empty");
    }

    #[test]
    fn all_run_at_once_or_as_many_as_may() {
        let directory = std::env::temp_dir().join(format!("vrfrun-each-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let at = directory.display();
        // Each waits for all others.
        let meet = format!(r#"cd {at}; : >here-$0; while [ "$(ls here-* | wc -l)" != 3 ]; do sleep .01; done"#);
        assert_eq!(play(3, &meet).unwrap(), 0);
        let alone = format!("cd {at}; mkdir alone && sleep .05 && rmdir alone");
        assert_eq!(play(1, &alone).unwrap(), 0);
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn what_a_command_leaves_running_is_not_waited_for() {
        // What they leave waits for the end of a pipe, which comes after.
        let (end, held) = nix::unistd::pipe().unwrap();
        fcntl(&held, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        let script = format!("cat <&{} >/dev/null & exit 5", end.as_raw_fd());
        assert_eq!(play(3, &script).unwrap(), 5);
        drop(held);
    }
}
