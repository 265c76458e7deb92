//! A network namespace with a few devices, for one command. Needs no root where user namespaces are allowed.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::ffi::OsStr;
use std::process::{Command, Output};

/// Two veths, `blue` and `red`, which stand in for VRF devices.
pub const DEVICES: &str = "ip link add blue type veth peer name far; ip link add red type veth peer name away";

/// A command that runs after `setup` (shell) in new user, mount and network namespaces, as their root.
pub fn command(setup: &str, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "--mount", "sh", "-ec"]).arg(format!("{setup}; exec \"$@\"")).arg("sh");
    command.arg(program);
    command
}

/// The same without capabilities.
pub fn unprivileged(setup: &str, program: impl AsRef<OsStr>) -> Command {
    let mut command = command(setup, "setpriv");
    command.args(["--bounding-set=-all", "--inh-caps=-all"]).arg(program);
    command
}

/// What a command printed on stdout; it must succeed.
pub fn stdout(command: &mut Command) -> String {
    let output = run(command);
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

pub fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}
