//! Where two of vrfsetup's changing verbs meet: what is there before, the verbs, and how it ends as the kernel tells it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};

use super::sleeper::{Sleeper, output};
use super::stopped::{self, At, Stopped};
use super::verbs::{PID, ROLLBACK, START, UNCONFIRMED, ZONES};
use crate::guest::setup::state_here;
use crate::harness::process::remove_groups;
use crate::harness::vm::plan::DIRECTORY;
use crate::harness::wait;
use crate::harness::world::machine;

/// What two commands ended with and what is there then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// By which codes the commands ended.
    pub codes: [Option<i32>; 2],
    /// As ip(8), ss(8) and sockets tell it.
    pub state: String,
}

impl End {
    /// With the second command's code first.
    pub fn swapped(mut self) -> Self {
        self.codes.swap(0, 1);
        self
    }
}

const USERS: [&str; 2] = ["1000", "1001"];

/// What two commands meet in.
pub struct Scene {
    /// What `move` is about, where one of the commands is a move.
    pub sleeper: Option<Sleeper>,
    /// Those that commands name.
    users: Vec<&'static str>,
}

/// Runs something in a network namespace of its own that is set up as START says; in the machine's own where users are
/// concerned.
pub fn from_the_start(words: &[&str], run: impl FnOnce(&Scene) -> [Option<i32>; 2]) -> End {
    let is_said = |what: &str| words.iter().any(|words| words.contains(what));
    let is_machines = is_said("user ");
    if is_machines {
        machine::make_room().expect("room in the machine's own network namespace");
    } else {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
    }
    let mut ip = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().expect("ip");
    ip.stdin.take().expect("a pipe").write_all(START.as_bytes()).expect("a script");
    assert!(ip.wait().expect("ip").success());
    let users = USERS.into_iter().filter(|uid| is_said(uid)).collect();
    let scene = Scene { sleeper: is_said(PID).then(Sleeper::start), users };
    let codes = run(&scene);
    let mut state = state_here() + &scene.state();
    if is_said(ZONES) {
        state += &output("nft -s list ruleset");
    }
    if is_said(UNCONFIRMED) {
        // Whoever waits for a confirmation sees that there is none to wait for.
        let rolled_back = scene.vrfsetup(&[], ROLLBACK).stderr(Stdio::null()).status();
        assert!(rolled_back.is_ok_and(|status| matches!(status.code(), Some(0 | 1))));
        wait_for_watchers();
    }
    scene.end();
    if is_machines {
        // At once, which is much quicker than one by one.
        output("nft flush ruleset; ip link del group 7");
        let _ = fs::remove_dir_all("/run/vrfsetup/ports"); // most make none
        let _ = fs::remove_file("/etc/iproute2/rt_tables.d/vrf-violet.conf"); // there is no device of its name
    }
    machine::forget_world(is_machines).expect("what belongs to this network namespace");
    End { codes, state }
}

impl Scene {
    /// The command, behind the words of another one that runs it.
    pub fn vrfsetup(&self, before: &[&str], words: &str) -> Command {
        let pid = self.sleeper.as_ref().map(|sleeper| sleeper.pid().to_string()).unwrap_or_default();
        // All of these take the default route or a connection with them where there is one: none is here.
        stopped::vrfsetup(before, &words.replace(PID, &pid))
    }

    /// Starts it, and stops it when it has the lock and has read what is there.
    pub fn stop_before_first_change(&self, words: &str) -> Stopped {
        let at = match (words.split(' ').next(), &self.sleeper) {
            (Some("move"), Some(sleeper)) => At::File(format!("/proc/{0}/task/{0}/cgroup", sleeper.pid())),
            (Some("confirm"), _) => At::File(journal("pending").expect("what waits for its confirmation")),
            (Some("rollback"), _) => At::File(journal("last").expect("what can be undone")),
            _ => At::Journal,
        };
        Stopped::start(&at, |before| self.vrfsetup(before, words))
    }

    /// What it ended with.
    pub fn run(&self, words: &str) -> Option<i32> {
        self.vrfsetup(&[], words).status().expect("vrfsetup").code()
    }

    /// The device that a new socket of each user is bound to, and whether its packet to a neighbour of eth0 may leave.
    fn state(&self) -> String {
        let asked = |uid: &&str| {
            let asks = format!("setpriv --reuid={uid} --regid={uid} --clear-groups {DIRECTORY}/on_use udp4 sendto");
            format!("user {uid}: {}", output(&asks))
        };
        self.users.iter().map(asked).chain(self.sleeper.iter().map(Sleeper::state)).collect()
    }

    /// Takes out what does not end with the network namespace.
    fn end(self) {
        for uid in &self.users {
            assert_eq!(self.run(&format!("user --remove {uid}")), Some(0), "{uid}");
        }
        if self.sleeper.is_some() {
            drop(self.sleeper);
            remove_groups(Path::new("/sys/fs/cgroup"));
        }
    }
}

/// The journal of the change in this network namespace that is in this state.
fn journal(state: &str) -> Option<String> {
    let own = format!("netns-{}-", fs::metadata("/proc/thread-self/ns/net").ok()?.ino());
    let names = fs::read_dir("/run/vrfsetup").ok()?.flatten().map(|file| file.path().display().to_string());
    names.into_iter().find(|name| name.contains(&own) && name.ends_with(&format!(".{state}")))
}

/// They run in sessions of their own.
fn wait_for_watchers() {
    let is_there = || Command::new("pgrep").args(["-f", "vrfsetup __roll-back"]).stdout(Stdio::null()).status();
    wait::until(|| is_there().expect("pgrep"), |status| !status.success());
}

/// Exit codes, and the lines that only one of them has.
pub fn differences(met: &End, wanted: &End) -> String {
    let only = |one: &End, other: &End, mark: &str| {
        let lines = one.state.lines().filter(|line| !other.state.lines().any(|there| there == *line));
        lines.map(|line| format!("  {mark} {line}\n")).collect::<String>()
    };
    format!(": exit {:?}, not {:?}\n{}{}", met.codes, wanted.codes, only(met, wanted, "+"), only(wanted, met, "-"))
}
