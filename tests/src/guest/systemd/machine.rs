//! A machine with a systemd: the world in its own network namespace, its units, and who is greeted by them.

use std::collections::BTreeSet;
use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::harness::judge::{Verdict, root};
use crate::harness::wait;
use crate::harness::world::plan::OWN4;
use crate::harness::world::{Domain, Kind, World};

/// Where the drop-ins and the tests' own units go.
pub const UNITS: &str = "/etc/systemd/system";

/// A world in the machine's own network namespace, where its services are. The units that tests make and start end with
/// it; what vrfsetup has made is for the test to undo.
pub struct Machine(World);

/// Builds it.
pub fn machine(kind: Kind) -> Machine {
    Machine(World::of_machine(kind).expect("a world"))
}

impl Deref for Machine {
    type Target = World;

    fn deref(&self) -> &World {
        &self.0
    }
}

impl DerefMut for Machine {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.0
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let systemctl = |words: &str| {
            // Units that never ran are none to end; what stays is found by who looks at what is left.
            let _ = Command::new("systemctl").args(words.split(' ')).stderr(Stdio::null()).status();
        };
        // networkd brings sockets of its own, and newer releases more of them.
        systemctl("stop ssh.service systemd-networkd* vrftest-*");
        let units = fs::read_dir(UNITS).into_iter().flatten().flatten();
        let is_ours = |path: &PathBuf| path.is_file() && path.to_string_lossy().contains("/vrftest-");
        let ours: Vec<PathBuf> = units.map(|unit| unit.path()).filter(is_ours).collect();
        ours.iter().for_each(|unit| drop(fs::remove_file(unit)));
        systemctl("reset-failed");
        if !ours.is_empty() {
            systemctl("daemon-reload");
        }
    }
}

/// Runs systemctl, which must end with this code.
#[track_caller]
pub fn systemctl(world: &mut World, code: i32, words: &str) -> Verdict {
    let verdict = world.judge(&root(["systemctl"].into_iter().chain(words.split_whitespace())));
    assert_eq!(verdict.code, code, "systemctl {words}: {verdict}");
    verdict
}

/// The domains from which this port of the machine's own address is answered with a greeting.
pub fn greeted(world: &mut World, port: u16) -> Vec<Domain> {
    let ask = format!("exec 3<>/dev/tcp/{OWN4}/{port} && head -n 1 <&3");
    let is_greeted = |domain: &Domain| {
        let words = world.at_peer(*domain, &["timeout", "600", "bash", "-c", &ask]);
        let verdict = world.judge(&root(&words));
        let refused = verdict.error_text().contains("Connection refused");
        assert!(verdict.code == 0 || refused, "{domain:?}: {verdict}");
        verdict.text().starts_with("SSH-2.0-")
    };
    Domain::ALL.into_iter().filter(is_greeted).collect()
}

/// Until ss(8) shows a listener at this port, in whatever domain.
pub fn wait_for_listener(port: u16) {
    wait::until(|| listeners(port), |listeners| !listeners.is_empty());
}

/// The numbers of the sockets that listen at this port, by ss(8).
fn listeners(port: u16) -> BTreeSet<String> {
    let shown = Command::new("ss").args(["-Hltne", &format!("sport = :{port}")]).output().expect("ss");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    shown.split_whitespace().filter_map(|word| word.strip_prefix("ino:")).map(str::to_owned).collect()
}

/// Has sshd read its files again, and waits until all of its listeners are others: it closes those that it has, in its own
/// time, before it makes new ones.
#[track_caller]
pub fn reload_sshd(world: &mut World) {
    let before = listeners(22);
    systemctl(world, 0, "reload ssh.service");
    wait::until(|| listeners(22), |now| now.len() == before.len() && now.is_disjoint(&before));
}

/// Until this command, which asks for the journal, shows these words: what somebody has said is there a moment later.
#[track_caller]
pub fn wait_for_words(world: &mut World, journal: &[&str], words: &str) {
    wait::until(|| (world.judge(&root(journal)).text(), words.to_owned()), |(said, words)| said.contains(words));
}

/// The release of systemd.
pub fn release() -> u32 {
    let said = Command::new("systemctl").arg("--version").output().expect("systemctl").stdout;
    let said = String::from_utf8_lossy(&said).into_owned();
    said.split_whitespace().nth(1).and_then(|release| release.parse().ok()).expect("a release")
}
