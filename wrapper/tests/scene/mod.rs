//! The scene of these tests: namespaces of their own, in which two veths, `blue` and `red`, stand in for VRF devices,
//! and in which `vrfrun` and the programs of `c/` are on the PATH. One shell script is played in it.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod given;
mod product;

use std::fmt::{self, Display, Formatter};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Where the products are seen in the scene: plain users can get there, wherever the build is.
pub const STAGE: &str = "/mnt";
/// The plain user: `nobody`.
const USER: &str = "65534";
/// A script that takes longer hangs.
const PATIENCE: &str = "600";

/// Who plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Root with every capability.
    Root,
    /// A plain user without any.
    User,
}

/// Both.
pub const EVERYBODY: [Who; 2] = [Who::Root, Who::User];

/// Plays a script as root.
pub fn root(script: &str) -> Seen {
    play(Who::Root, script)
}

/// Plays a script as a plain user.
pub fn user(script: &str) -> Seen {
    play(Who::User, script)
}

/// Plays a script (sh) with these arguments.
pub fn play(who: Who, script: &str) -> Seen {
    finish(stage(who, "").arg(script))
}

/// Plays a script after root has changed the scene.
pub fn play_after(setting: &str, who: Who, script: &str) -> Seen {
    finish(stage(who, setting).arg(script))
}

/// The command that sets the scene; the script is its next argument. It becomes the script's shell.
pub fn stage(who: Who, setting: &str) -> Command {
    assert!(nix::unistd::geteuid().is_root(), "these tests make namespaces and devices: run them as root (make test)");
    let become_them = match who {
        Who::Root => String::new(),
        Who::User => format!("setpriv --reuid {USER} --regid {USER} --clear-groups --inh-caps=-all "),
    };
    let setting = format!(
        "mount --bind {product} {STAGE}; export PATH={STAGE}:$PATH; cd /
         ip link add blue type veth peer name far; ip link add red type veth peer name away
         for device in lo blue far red away; do ip link set $device up; done
         {setting}
         exec {become_them}sh -c \"$1\"",
        product = product::directory().display(),
    );
    let mut command = Command::new("timeout");
    command.args(["-s", "KILL", PATIENCE, "unshare", "--net", "--mount", "sh", "-ec"]).arg(setting).arg("sh");
    command.stdin(Stdio::null());
    command
}

fn finish(command: &mut Command) -> Seen {
    Seen(command.output().unwrap_or_else(|error| panic!("{command:?}: {error}")))
}

/// What was seen of the play.
#[derive(Debug)]
pub struct Seen(Output);

impl Seen {
    /// The exit status; -1 where a signal ended it.
    pub fn code(&self) -> i32 {
        self.0.status.code().unwrap_or(-1)
    }

    pub fn signal(&self) -> Option<i32> {
        self.0.status.signal()
    }

    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// It ended well, and printed exactly this.
    #[track_caller]
    pub fn prints(&self, expected: &str) {
        assert_eq!((self.code(), self.stdout().as_str()), (0, expected), "{self}");
    }

    /// It ended with this status, and said these words on stderr.
    #[track_caller]
    pub fn fails(&self, code: i32, words: &str) {
        assert_eq!(self.code(), code, "{self}");
        assert!(self.stderr().contains(words), "'{words}' is not in stderr\n{self}");
    }
}

impl Display for Seen {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nstdout: {}\nstderr: {}", self.0.status, self.stdout(), self.stderr())
    }
}

/// A file beside the tests.
pub fn source(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c").join(name)
}
