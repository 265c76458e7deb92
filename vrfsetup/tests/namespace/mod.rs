//! A network namespace of the test's own, gone with the value, and vrfsetup in it, with faults and without. Needs root.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod scene;

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A changing verb that has nothing to do.
pub const IDLE: &str = "del nosuch";
/// Kills `rules fix` when all is made and only its journal has yet to be put away.
pub const AT_ITS_END: &str = "rename:signal=SIGKILL:when=1";

/// The namespace: a process that sleeps in it holds it open.
pub struct Namespace {
    holder: Child,
    /// What is known of an earlier namespace that had its number.
    older: Vec<PathBuf>,
}

impl Namespace {
    /// A new one, with lo up.
    pub fn new() -> Self {
        let script = "ip link set lo up && echo up && exec sleep 600";
        let mut holder = Command::new("unshare");
        let mut holder = holder.args(["-n", "sh", "-c", script]).stdout(Stdio::piped()).spawn().expect("unshare");
        let mut line = String::new();
        let stdout = holder.stdout.take().expect("a pipe");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("a line");
        assert_eq!(line, "up\n", "a network namespace needs root");
        let mut namespace = Self { holder, older: Vec::new() };
        namespace.older = files(&namespace, "");
        namespace
    }

    pub fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.holder.id())
    }

    /// The number in `net:[4026532008]`.
    pub fn inode(&self) -> u64 {
        std::os::unix::fs::MetadataExt::ino(&fs::metadata(self.path()).expect("a namespace"))
    }

    /// A command in it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path())).arg("--").arg(program);
        command
    }

    /// Runs `ip …`, which must succeed; what it says.
    pub fn ip(&self, arguments: &str) -> String {
        let output = self.command("ip").args(arguments.split_whitespace()).output().expect("ip");
        assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Runs `vrfsetup -n …`.
    pub fn vrfsetup(&self, arguments: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vrfsetup"));
        command.args(["-n", &self.path()]).args(arguments.split_whitespace());
        command.output().expect("vrfsetup")
    }

    /// A setting by its file below /proc/sys, which shows that of the namespace of who reads it.
    pub fn sysctl(&self, key: &str) -> String {
        let output = self.command("cat").arg(format!("/proc/sys/{key}")).output().expect("cat");
        String::from_utf8(output.stdout).expect("text")
    }

    pub fn write_sysctl(&self, key: &str, value: &str) {
        let script = format!("echo {value} > /proc/sys/{key}");
        assert!(self.command("sh").args(["-c", &script]).status().expect("sh").success(), "{script}");
    }

    /// The rules of both families, as `ip -j -d rule` has them.
    pub fn rules(&self) -> String {
        self.ip("-j -d rule") + &self.ip("-j -d -6 rule")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[track_caller]
pub fn assert_says(output: &Output, code: i32, words: &str) {
    let said = text(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "{said}");
}

pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// Runs vrfsetup with a fault at one of its system calls.
pub fn faulty(namespace: &Namespace, inject: &str, words: &str) -> Output {
    let mut strace = namespace.command("strace");
    strace.args(["-qq", "-o", "/dev/null", "-e", &format!("inject={inject}"), env!("CARGO_BIN_EXE_vrfsetup")]);
    strace.args(words.split(' ')).output().expect("strace")
}

/// The files in /run/vrfsetup about this namespace that end so.
pub fn files(namespace: &Namespace, kind: &str) -> Vec<PathBuf> {
    let start = format!("netns-{}-", namespace.inode());
    let all = fs::read_dir("/run/vrfsetup").into_iter().flatten().flatten().map(|entry| entry.path());
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_its = |path: &PathBuf| name(path).starts_with(&start) && !namespace.older.contains(path);
    all.filter(|path| is_its(path) && name(path).ends_with(kind)).collect()
}

#[track_caller]
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    // The number of a namespace that is gone may be another test's for a while.
    let deadline = Instant::now() + Duration::from_secs(300);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} never came");
        sleep(Duration::from_millis(100));
    }
}
