//! A part of the cgroup tree that belongs to a plain user, as systemd and containers give one: who may write to a `cgroup.procs`
//! above vrfrun's cgroup can leave it, by a write or by clone3(2) with CLONE_INTO_CGROUP.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::bind_on_use::world;
use super::guest_tests;
use crate::harness::judge::{Order, Outcome, root};

guest_tests! {
    a_user_leaves_by_a_cgroup_of_its_own,
    strict_refuses_a_user_who_can_leave,
    root_is_made_in_another_cgroup,
    a_descriptor_of_another_cgroup_leads_out,
}

const USER: u32 = 1000;

/// A cgroup with two below it, `from` and `to`; all of them are this user's.
struct Delegated(PathBuf);

impl Delegated {
    fn to(owner: u32) -> Self {
        let mounted = Command::new("findmnt").args(["-rnft", "cgroup2", "-o", "TARGET"]).output().expect("findmnt");
        let top = Path::new(String::from_utf8_lossy(&mounted.stdout).trim()).join("vrftest");
        for at in [top.clone(), top.join("from"), top.join("to")] {
            fs::create_dir(&at).expect("a cgroup");
            for file in ["", "cgroup.procs", "cgroup.threads"] {
                chown(at.join(file), Some(owner), Some(owner)).expect("its owner");
            }
        }
        Self(top)
    }

    /// Runs this from the one cgroup, with the other's name in its environment.
    fn order(&self, words: &[&str]) -> Order {
        let script = "echo 0 > $FROM/cgroup.procs && exec \"$@\"";
        let [from, to] = ["from", "to"].map(|name| self.0.join(name).display().to_string());
        let set = [format!("FROM={from}"), format!("TO={to}")];
        let before = ["env", &set[0], &set[1], "sh", "-c", script, "sh"];
        root([&before, words].concat())
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        let below = fs::read_dir(self.0.join("from")).into_iter().flatten().flatten();
        let ours: Vec<PathBuf> = below.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        for directory in ours.into_iter().chain([self.0.join("from"), self.0.join("to"), self.0.clone()]) {
            let _ = fs::remove_dir(directory);
        }
    }
}

const WRITES: &str = "echo 0 > $TO/cgroup.procs; on_use udp4 sendto";

/// A child that is made in the other cgroup (5.7). It sends, and so does its parent.
const CLONES: &str = "import ctypes, os, struct, subprocess
to = os.open(os.environ['TO'], os.O_RDONLY)
arguments = struct.pack('11Q', 0x200000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, to)
child = ctypes.CDLL(None, use_errno=True).syscall(435, arguments, len(arguments))
if child == 0: os.execvp('on_use', ['on_use', 'udp4', 'sendto'])
print('denied' if child < 0 else os.waitpid(child, 0)[1], flush=True)
";

fn a_user_leaves_by_a_cgroup_of_its_own() {
    let mut world = world();
    let vrfrun = ["vrfrun", "-m", "bpf", "-u", "1000:1000", "blue"];
    for (owner, outcome) in [(USER, Outcome::Leak), (0, Outcome::Blue)] {
        let delegated = Delegated::to(owner);
        let verdict = world.judge(&delegated.order(&[&vrfrun[..], &["sh", "-c", WRITES]].concat()));
        assert_eq!((verdict.code, verdict.outcome), (0, outcome), "{owner}: {verdict}");
        let clones = world.judge(&delegated.order(&[&vrfrun[..], &["python3", "-c", CLONES]].concat()));
        let expected = if owner == USER { (Outcome::Leak, "bound -\n0\n") } else { (Outcome::Closed, "denied\n") };
        assert_eq!((clones.outcome, &*clones.text()), expected, "{owner}: {clones}");
    }
}

fn strict_refuses_a_user_who_can_leave() {
    let mut world = world();
    let vrfrun = |user| ["vrfrun", "--strict", "-u", user, "blue"];
    let delegated = Delegated::to(USER);
    let refused = world.judge(&delegated.order(&[&vrfrun("1000:1000")[..], &["echo", "ran"]].concat()));
    refused.assert_says(125, "user 1000 may move its processes to the cgroup /vrftest");
    assert_eq!(refused.text(), "", "{refused}");
    let explained = ["vrfrun", "--explain", "--strict", "-u", "1000:1000", "blue"];
    let explained = world.judge(&delegated.order(&explained));
    assert!(explained.code == 125 && explained.text().contains("may move its processes"), "{explained}");
    // Another one has no right there.
    let other = world.judge(&delegated.order(&[&vrfrun("1001:1001")[..], &["sh", "-c", WRITES]].concat()));
    assert_eq!((other.code, other.outcome), (0, Outcome::Blue), "{other}");
    drop(delegated);
    let delegated = Delegated::to(0);
    let held = world.judge(&delegated.order(&[&vrfrun("1000:1000")[..], &["sh", "-c", WRITES]].concat()));
    assert_eq!((held.code, held.outcome), (0, Outcome::Blue), "{held}");
}

fn root_is_made_in_another_cgroup() {
    let mut world = world();
    let delegated = Delegated::to(0);
    let verdict = world.judge(&delegated.order(&["vrfrun", "-m", "bpf", "blue", "python3", "-c", CLONES]));
    assert_eq!((verdict.outcome, &*verdict.text()), (Outcome::Leak, "bound -\n0\n"), "{verdict}");
}

/// The kernel asks who opened the file, not who writes.
fn a_descriptor_of_another_cgroup_leads_out() {
    let mut world = world();
    let delegated = Delegated::to(0);
    let script =
        "exec 9>$TO/cgroup.procs; exec vrfrun --strict -u 1000:1000 blue sh -c 'echo 0 >&9; on_use udp4 sendto'";
    let verdict = world.judge(&delegated.order(&["sh", "-c", script]));
    assert_eq!((verdict.outcome, &*verdict.text()), (Outcome::Leak, "bound -\n"), "{verdict}");
}
