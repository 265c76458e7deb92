//! Runs a command in the world and says, from the packets alone, in which domain it was.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::world::peers::Tally;
use crate::world::{Domain, World};

/// The plain user of the world.
const USER: u32 = 1000;
/// No command of the tests needs longer, even in an emulated machine.
const LIMIT: Duration = Duration::from_secs(30);

/// Where a command's packets went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of them by blue, at least one.
    Blue,
    /// None at all.
    Closed,
    /// At least one by another domain.
    Leak,
}

/// A command to be judged.
#[derive(Clone, Debug)]
pub struct Order {
    words: Vec<OsString>,
    user: Option<u32>,
    environment: Vec<(OsString, OsString)>,
    limit: Duration,
}

/// What a command did.
#[derive(Debug)]
pub struct Verdict {
    /// The judgement.
    pub outcome: Outcome,
    /// Domains whose name stood alone on a line of stdout (quotes aside): whose answers came.
    pub answers: Vec<Domain>,
    /// What reached each domain's peer, in the order of [`Domain::ALL`].
    pub tallies: [Tally; 3],
    /// The exit code; `128 + signal` for one that was killed, as shells have it.
    pub code: i32,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

/// A command line, as root.
pub fn root<W: AsRef<OsStr>>(words: impl IntoIterator<Item = W>) -> Order {
    Order {
        words: words.into_iter().map(|word| word.as_ref().to_owned()).collect(),
        user: None,
        environment: Vec::new(),
        limit: LIMIT,
    }
}

/// A command line, as a plain user without any capability.
pub fn user<W: AsRef<OsStr>>(words: impl IntoIterator<Item = W>) -> Order {
    Order { user: Some(USER), ..root(words) }
}

impl Order {
    /// With one more variable in its environment.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// With another limit than 30 s.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }
}

impl World {
    /// Runs a command to its end and judges it.
    ///
    /// # Panics
    /// When it cannot be started, does not end in time, or the packets could not be counted.
    pub fn judge(&mut self, order: &Order) -> Verdict {
        self.start(order).finish(self)
    }

    /// Starts a command and returns while it runs.
    ///
    /// # Panics
    /// When it cannot be started or earlier packets could not be counted.
    pub fn start(&mut self, order: &Order) -> Running {
        // What an earlier command left on its way is not this one's.
        self.take().unwrap_or_else(|error| panic!("before {:?}: {error}", order.words));
        Running::spawn(self, order).unwrap_or_else(|error| panic!("cannot run {:?}: {error}", order.words))
    }
}

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
    fn spawn(world: &World, order: &Order) -> io::Result<Self> {
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
        let group = Pid::from_raw(self.child.id() as i32);
        killpg(group, Signal::SIGINT).unwrap_or_else(|error| panic!("{:?}: {error}", self.words));
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
            let ended = matches!(self.child.try_wait(), Ok(Some(_)));
            let said = String::from_utf8_lossy(&read_all(&mut self.stderr).unwrap_or_default()).into_owned();
            assert!(!ended && Instant::now() < self.deadline, "{:?} never said '{text}'\n{said}", self.words);
            std::thread::sleep(Duration::from_millis(10));
        }
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
            let _ = killpg(Pid::from_raw(self.child.id() as i32), Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

impl Verdict {
    /// Asserts that it was in blue, got blue's answer and succeeded.
    ///
    /// # Panics
    /// Otherwise, with all that is known.
    #[track_caller]
    pub fn assert_blue(&self) {
        assert_eq!((self.code, self.outcome), (0, Outcome::Blue), "{self}");
        assert_eq!(self.answers, [Domain::Blue], "{self}");
    }

    /// Asserts that it failed and no packet left anywhere.
    ///
    /// # Panics
    /// Otherwise, with all that is known.
    #[track_caller]
    pub fn assert_closed(&self) {
        assert_ne!(self.code, 0, "{self}");
        assert_eq!(self.outcome, Outcome::Closed, "{self}");
    }

    /// Asserts an exit code and words on stderr.
    ///
    /// # Panics
    /// Otherwise, with all that is known.
    #[track_caller]
    pub fn assert_says(&self, code: i32, words: &str) {
        assert_eq!(self.code, code, "{self}");
        assert!(self.error_text().contains(words), "'{words}' is not in stderr\n{self}");
    }

    /// Its standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Its standard error as text.
    pub fn error_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// How many packets left by a domain.
    pub fn packets(&self, domain: Domain) -> u64 {
        self.tallies[domain as usize].packets()
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(formatter, "{:?}, exit code {}, answers {:?}", self.outcome, self.code, self.answers)?;
        for (domain, tally) in Domain::ALL.iter().zip(&self.tallies) {
            writeln!(formatter, "{}: {:?}, served {:?}", domain.name(), tally.flows, tally.served)?;
        }
        write!(formatter, "stdout:\n{}\nstderr:\n{}", self.text(), self.error_text())
    }
}

fn outcome([default, blue, red]: [u64; 3]) -> Outcome {
    match (default + red, blue) {
        (0, 0) => Outcome::Closed,
        (0, _) => Outcome::Blue,
        _ => Outcome::Leak,
    }
}

/// Whose name stands alone on a line.
fn answers(stdout: &[u8]) -> Vec<Domain> {
    let lines: Vec<&[u8]> = stdout.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).collect();
    let said = |domain: &Domain| {
        let (bare, quoted) = (domain.name(), format!("\"{}\"", domain.name()));
        lines.iter().any(|line| *line == bare.as_bytes() || *line == quoted.as_bytes())
    };
    Domain::ALL.into_iter().filter(said).collect()
}

fn read_all(file: &mut File) -> io::Result<Vec<u8>> {
    // The writer shares this file's offset, so reading through it would move where the writer writes.
    let mut own = File::open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file)))?;
    let mut content = Vec::new();
    own.rewind()?;
    own.read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_packet_elsewhere_is_a_leak_whatever_blue_answered() {
        assert_eq!(outcome([1, 20, 0]), Outcome::Leak);
        assert_eq!(outcome([0, 20, 1]), Outcome::Leak);
        assert_eq!(outcome([0, 1, 0]), Outcome::Blue);
        assert_eq!(outcome([0, 0, 0]), Outcome::Closed);
    }

    #[test]
    fn an_answer_is_a_line_of_its_own_not_a_word_in_an_error() {
        assert_eq!(answers(b"blue\n"), [Domain::Blue]);
        assert_eq!(answers(b"\"red\"\n"), [Domain::Red]);
        assert_eq!(answers(b"cannot bind to VRF 'blue'\n"), []);
    }
}
