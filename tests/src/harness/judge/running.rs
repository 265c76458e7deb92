//! A command's process in the world, from its start to the verdict.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::order::Order;
use super::verdict::{Verdict, answers, outcome};
use crate::harness::world::World;

/// How long the dead may wait for process 1.
const BURIED: Duration = Duration::from_secs(20);

/// A command that has been started.
#[derive(Debug)]
pub struct Running {
    child: Child,
    words: Vec<OsString>,
    deadline: Instant,
    stdout: File,
    stderr: File,
}

impl Running {
    /// Starts the command with its own process group and output files.
    pub(super) fn spawn(world: &World, order: &Order) -> io::Result<Self> {
        // Files, not pipes: a process that outlives the command must not keep the judge waiting.
        let (stdout, stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
        let mut path = world.bin().as_os_str().to_owned();
        path.push(":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        let (program, arguments) = order.words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new("env");
        // env(1) finds the program in the new PATH; execvp in this process would use the old one.
        command.arg(program).args(arguments);
        command.env_clear().env("PATH", path).env("HOME", "/tmp").env("LC_ALL", "C.UTF-8");
        command.envs(order.environment.iter().cloned()).current_dir("/tmp");
        command.stdin(Stdio::null()).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
        command.process_group(0);
        if let Some(id) = order.user {
            command.uid(id).gid(id);
        }
        let child = command.spawn()?;
        Ok(Self { child, words: order.words.clone(), deadline: Instant::now() + order.limit, stdout, stderr })
    }

    /// Its process id, which is the program's own once vrfrun has replaced itself.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, as Ctrl-C does.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn interrupt(&self) {
        self.signal(Signal::SIGINT);
    }

    /// Asks it to end, as an init does: daemons then take along what they have left in /run.
    ///
    /// # Panics
    /// As [`Self::interrupt`].
    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Lets it do nothing until [`Self::resume`].
    ///
    /// # Panics
    /// As [`Self::interrupt`].
    pub fn hold(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// As [`Self::interrupt`].
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let group = Pid::from_raw(self.child.id() as i32);
        killpg(group, signal).unwrap_or_else(|error| panic!("{:?}: {error}", self.words));
    }

    /// What it has written to stdout so far.
    ///
    /// # Panics
    /// When the file cannot be read.
    pub fn output(&mut self) -> Vec<u8> {
        read_all(&mut self.stdout).unwrap_or_else(|error| panic!("{:?}: {error}", self.words))
    }

    /// Waits until stdout holds `text`.
    ///
    /// # Panics
    /// When it does not come in time.
    pub fn wait_for(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.output()).contains(text) {
            self.wait_more(&format!("never said '{text}'"));
        }
    }

    /// Waits until something is so that comes of it while it runs.
    ///
    /// # Panics
    /// When it does not come in time.
    pub fn wait_until(&mut self, what: &str, is_so: impl Fn() -> bool) {
        while !is_so() {
            self.wait_more(&format!("has run without {what}"));
        }
    }

    fn wait_more(&mut self, complaint: &str) {
        let ended = matches!(self.child.try_wait(), Ok(Some(_)));
        let said = String::from_utf8_lossy(&read_all(&mut self.stderr).unwrap_or_default()).into_owned();
        assert!(!ended && Instant::now() < self.deadline, "{:?} {complaint}\n{said}", self.words);
        std::thread::sleep(Duration::from_millis(10));
    }

    /// Waits for its end and judges it.
    ///
    /// # Panics
    /// As [`World::judge`].
    pub fn finish(&mut self, world: &mut World) -> Verdict {
        let status = self.wait();
        // The last packets of a program that has just ended are on their way through softirqs.
        std::thread::sleep(Duration::from_millis(20));
        let tallies = world.take().unwrap_or_else(|error| panic!("{:?}: {error}", self.words));
        let stdout = self.output();
        Verdict {
            outcome: outcome([tallies[0].packets(), tallies[1].packets(), tallies[2].packets()]),
            answers: answers(&stdout),
            tallies,
            code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()),
            stdout,
            stderr: read_all(&mut self.stderr).unwrap_or_default(),
        }
    }

    fn wait(&mut self) -> ExitStatus {
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return status,
                Ok(None) if Instant::now() < self.deadline => std::thread::sleep(Duration::from_millis(5)),
                state => {
                    // Already gone is as good as killed.
                    let _ = killpg(Pid::from_raw(self.child.id() as i32), Signal::SIGKILL);
                    let said = read_all(&mut self.stderr).unwrap_or_default();
                    panic!("{:?} did not end in time: {state:?}\n{}", self.words, String::from_utf8_lossy(&said));
                }
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that gave up in the middle must not leave its program behind.
        if matches!(self.child.try_wait(), Ok(None)) {
            let group = Pid::from_raw(self.child.id() as i32);
            let _ = killpg(group, Signal::SIGKILL);
            let _ = self.child.wait();
            // Its children end in their own time. On a machine whose process 1 takes no note of that they are dead all the same.
            let deadline = Instant::now() + BURIED;
            while killpg(group, None).is_ok() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

fn read_all(file: &mut File) -> io::Result<Vec<u8>> {
    // The writer shares this file's offset, so reading through it would move where the writer writes.
    let mut own = File::open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file)))?;
    let mut content = Vec::new();
    own.rewind()?;
    own.read_to_end(&mut content)?;
    Ok(content)
}
