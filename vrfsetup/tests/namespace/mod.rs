//! A network namespace of the test's own, gone with the value, and vrfsetup in it. Needs root.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::process::{Child, Command, Output, Stdio};

/// The namespace: a process that sleeps in it holds it open.
pub struct Namespace(Child);

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
        Self(holder)
    }

    pub fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }

    /// The number in `net:[4026532008]`.
    pub fn inode(&self) -> u64 {
        std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(self.path()).expect("a namespace"))
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

    /// The rules of both families, as `ip -j -d rule` has them.
    pub fn rules(&self) -> String {
        self.ip("-j -d rule") + &self.ip("-j -d -6 rule")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
