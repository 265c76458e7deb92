//! `vrfsetup session` under logind, as docs/recipes.md has it: logins by sshd, su and cron in the VRF or denied, and who
//! tries to have it otherwise.

use std::fs;
use std::path::{Path, PathBuf};

use super::guest_tests;
use super::logins::ssh;
use super::machine::{Machine, machine, systemctl, wait_for_listener, wait_for_words};
use crate::guest::setup::vrfsetup;
use crate::harness::judge::{Verdict, root, user};
use crate::harness::vm::plan::DIRECTORY;
use crate::harness::wait;
use crate::harness::world::plan::WEB4;
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    a_login_by_sshd_is_in_the_vrf_with_all_that_it_starts,
    a_login_by_sshd_is_denied_where_it_cannot_be_bound,
    a_session_that_is_not_the_logins_own_is_left_alone,
    what_a_user_says_in_pams_environment_is_not_believed,
    a_job_of_cron_is_in_the_vrf_where_it_has_a_session,
}

const PAGE: &str = include_str!("../../../../docs/recipes.md");

/// A line at the end of one of PAM's files, until this value goes.
pub(super) struct Pam {
    path: PathBuf,
    before: String,
}

impl Pam {
    /// The line of docs/recipes.md.
    pub(super) fn bound(service: &str) -> Self {
        let line = PAGE.lines().find(|line| line.starts_with("session required pam_exec.so")).expect("the line");
        Self::with(service, &format!("{}\n", line.replace("/usr/sbin", DIRECTORY).replace("mgmt", "blue")))
    }

    pub(super) fn with(service: &str, lines: &str) -> Self {
        let path = Path::new("/etc/pam.d").join(service);
        let before = fs::read_to_string(&path).expect("PAM's file");
        fs::write(&path, format!("{before}\n{lines}")).expect("PAM's file");
        Self { path, before }
    }
}

impl Drop for Pam {
    fn drop(&mut self) {
        fs::write(&self.path, &self.before).expect("PAM's file");
    }
}

/// What a login shell runs first.
const PROFILE: &str = "/etc/profile.d/vrftest.sh";

pub(super) fn fetch() -> String {
    format!("curl -sS -m 600 http://{WEB4}/")
}

/// A world whose sshd answers in red.
pub(super) fn with_sshd() -> Machine {
    let mut world = machine(Kind::Vrfs);
    vrfsetup(&mut world, 0, "unit red ssh.service");
    systemctl(&mut world, 0, "restart ssh.service");
    wait_for_listener(22);
    world
}

pub(super) fn without_sshd(world: &mut World) {
    vrfsetup(world, 0, "unit red ssh.service --remove");
}

/// Runs a command line in a login of root's by sshd, from red.
fn login(world: &mut World, line: &str) -> Verdict {
    let words = ssh(world, Domain::Red, line);
    world.judge(&root(&words))
}

#[track_caller]
fn is_answered(verdict: &Verdict, by: Domain) {
    assert_eq!((verdict.code, verdict.answers.as_slice()), (0, [by].as_slice()), "{verdict}");
}

fn a_login_by_sshd_is_in_the_vrf_with_all_that_it_starts() {
    let mut world = with_sshd();
    is_answered(&login(&mut world, &fetch()), Domain::Default);
    let _pam = Pam::bound("sshd");
    assert!(!vrfsetup(&mut world, 0, "show -j").text().contains("session"), "nobody is logged in");
    // What is started in it, by another way or as another user, and su(1), which stays in the session that it is in.
    let (fetch, program) = (fetch(), format!("{DIRECTORY}/vrfsetup"));
    let ways = ["", "setsid -w ", "runuser -u nobody -- ", "env -i ", &format!("{DIRECTORY}/vrfrun blue ")];
    let lines = ways.map(|way| format!("{way}{fetch}")).join(" && ");
    let verdict = login(&mut world, &format!("{lines} && su - root -c '{fetch}'"));
    is_answered(&verdict, Domain::Blue);
    assert_eq!(verdict.text(), "blue\n".repeat(6), "{verdict}");
    assert_eq!(verdict.packets(Domain::Default), 0, "{verdict}");
    is_answered(&forwarded(&mut world), Domain::Blue);
    let others = ["red", "default"].map(|other| format!("{DIRECTORY}/vrfrun {other} {fetch}; echo status $?"));
    let refused = login(&mut world, &others.join("; "));
    assert_eq!((refused.text().as_str(), refused.answers.len()), ("status 125\nstatus 125\n", 0), "{refused}");
    // Root and a plain user are told where they are.
    let found = login(&mut world, &format!("{program} identify -j && runuser -u nobody -- {program} identify -j"));
    assert_eq!(found.text().matches(r#""vrf":"blue","mechanism":"session""#).count(), 2, "{found}");
    // The connection of the login is not in the VRF, and nothing that doctor has to name.
    let found = login(&mut world, &format!("{program} doctor -j; {program} show blue --sockets"));
    assert!(!found.text().contains("stray-sockets") && !found.text().contains("OUTSIDE"), "{found}");
    assert!(found.text().contains(":22 "), "sshd's socket is not shown: {found}");
    let listed = login(&mut world, &format!("{program} pids blue"));
    assert!(listed.text().contains("sshd") && !listed.text().contains("systemd"), "{listed}");
    // What process 1 starts is not in the login, nor is another login of the same user by another service.
    for away in ["", "su - root -c "] {
        let quoted = if away.is_empty() { fetch.clone() } else { format!("{away}'{fetch}'") };
        is_answered(&login(&mut world, &format!("systemd-run --quiet --wait --pipe {quoted}")), Domain::Default);
    }
    without_sshd(&mut world);
}

fn a_login_by_sshd_is_denied_where_it_cannot_be_bound() {
    let mut world = with_sshd();
    let pam = Pam::bound("sshd");
    // A login whose VRF goes away has no other one.
    let cut = login(&mut world, &format!("ip link del blue; {}", fetch()));
    assert_ne!(cut.code, 0, "{cut}");
    assert_eq!((cut.answers.as_slice(), cut.packets(Domain::Default)), ([].as_slice(), 0), "{cut}");
    is_denied(&mut world, "no interface 'blue'");
    world.ip("link add blue type dummy");
    is_denied(&mut world, "'blue' exists and is not a VRF");
    let found = vrfsetup(&mut world, 3, "doctor");
    assert!(found.text().contains("denies every login"), "{found}");
    // The console is the way in: its file has no such line.
    // login(1) drops what was typed before its shell is there.
    fs::write(PROFILE, "echo logged in as $USER; exit\n").expect("a profile");
    let console = world.judge(&root(["script", "-qec", "login -f root", "/dev/null"]));
    fs::remove_file(PROFILE).expect("the profile");
    assert!(console.text().contains("logged in as root"), "{console}");
    world.ip("link del blue");
    drop(pam);
    is_answered(&login(&mut world, &fetch()), Domain::Default);
    without_sshd(&mut world);
}

/// Neither a shell, nor a command, nor a forwarded connection; and the log says why.
#[track_caller]
fn is_denied(world: &mut World, why: &str) {
    let since = world.judge(&root(["date", "+%s"])).text();
    let command = login(world, &format!("echo logged in; {}", fetch()));
    assert!(command.code != 0 && !command.text().contains("logged in"), "{command}");
    for verdict in [&command, &forwarded(world)] {
        assert_eq!((verdict.answers.as_slice(), verdict.packets(Domain::Default)), ([].as_slice(), 0), "{verdict}");
    }
    is_logged(world, since.trim(), why);
}

/// Asks by a connection that sshd forwards for a login.
fn forwarded(world: &mut World) -> Verdict {
    let mut words = ssh(world, Domain::Red, "");
    words.pop();
    let target = words.pop().expect("a target");
    words.extend(["-W", &format!("{WEB4}:80"), &target].map(str::to_owned));
    let line = format!("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout 600 {}", words.join(" "));
    world.judge(&root(["sh", "-c", &line]))
}

#[track_caller]
pub(super) fn is_logged(world: &mut World, since: &str, why: &str) {
    wait_for_words(world, &["journalctl", "--no-pager", "-t", "vrfsetup", "--since", &format!("@{since}")], why);
}

fn a_session_that_is_not_the_logins_own_is_left_alone() {
    let mut world = machine(Kind::Vrfs);
    let _pam = Pam::bound("su-l");
    is_answered(&world.judge(&root(["su", "-", "root", "-c", &fetch()])), Domain::Blue);
    // su without a dash opens a session that is not bound; in it is the shell that tries to have another one bound.
    let tried = format!("su - root -c true && echo bound; {}", fetch());
    let verdict = world.judge(&root(["su", "root", "-c", &tried]));
    assert!(!verdict.text().contains("bound"), "{verdict}");
    is_answered(&verdict, Domain::Default);
    // By hand, as root and as a plain user, in a service's cgroup, in a session, and where a container hides the path.
    let program = format!("{DIRECTORY}/vrfsetup");
    let by_hand = format!("env PAM_TYPE=open_session {program} session blue");
    for (line, code, why) in [
        (by_hand.clone(), 1, "it has no cgroup of its own"),
        (format!("su root -c '{by_hand}; exit $?'"), 1, "has other processes"),
        (format!("su root -c 'unshare --cgroup {by_hand}'"), 1, "it has no cgroup of its own"),
        (format!("env PAM_TYPE=open_session {program} -n /proc/1/ns/net session blue"), 2, "another network namespace"),
        (format!("{program} session blue"), 2, "this is for pam_exec"),
        (format!("env PAM_TYPE=auth {program} session blue"), 2, "this is for pam_exec"),
    ] {
        let refused = world.judge(&root(["sh", "-c", &line]));
        refused.assert_says(code, why);
    }
    world.judge(&user(["env", "PAM_TYPE=open_session", &program, "session", "blue"])).assert_says(1, "cannot bind");
    is_answered(&world.judge(&root(["sh", "-c", &fetch()])), Domain::Default);
    assert_eq!(vrfsetup(&mut world, 0, "pids blue").text(), "");
}

fn what_a_user_says_in_pams_environment_is_not_believed() {
    let mut world = machine(Kind::Vrfs);
    let file = world.directory().join("environment");
    let read = format!("session required pam_env.so readenv=1 envfile={}\n", file.display());
    fs::write(&file, "").expect("a file");
    let _read = Pam::with("su-l", &read);
    let _pam = Pam::bound("su-l");
    is_answered(&world.judge(&root(["su", "-", "root", "-c", &fetch()])), Domain::Blue);
    for kind in ["close_session", "open_session"] {
        fs::write(&file, format!("PAM_TYPE={kind}\n")).expect("a file");
        let denied = world.judge(&root(["su", "-", "root", "-c", &fetch()]));
        assert!(denied.code != 0 && denied.text().is_empty() && denied.answers.is_empty(), "{kind}: {denied}");
    }
}

const JOB: &str = "/etc/cron.d/vrftest";
const ANSWER: &str = "/run/vrftest-job";
const CRON_PROCESSES: &str = "/sys/fs/cgroup/system.slice/cron.service/cgroup.procs";

fn a_job_of_cron_is_in_the_vrf_where_it_has_a_session() {
    let mut world = machine(Kind::Vrfs);
    fs::write(JOB, format!("@reboot root {} -o {ANSWER} && sync {ANSWER}\n", fetch())).expect("a job");
    let since = world.judge(&root(["date", "+%s"])).text();
    let pam = Pam::bound("cron");
    // Jobs are in the service's own cgroup as Debian has it, and with them all others.
    start_cron(&mut world);
    let since = format!("@{}", since.trim());
    let said = || world.judge(&root(["journalctl", "-t", "vrfsetup", "--since", &since])).text();
    wait::until(said, |said| said.contains("it has no cgroup of its own, but is in '/system.slice/cron.service'"));
    // Cron itself is left.
    wait::until(|| fs::read_to_string(CRON_PROCESSES).unwrap_or_default(), |pids| pids.lines().count() == 1);
    systemctl(&mut world, 0, "stop cron.service");
    assert_eq!(fs::read_to_string(ANSWER).ok(), None, "the job has run");
    drop(pam);
    let _session = Pam::with("cron", "session required pam_systemd.so\n");
    let _pam = Pam::bound("cron");
    start_cron(&mut world);
    wait::until(|| fs::read_to_string(ANSWER).unwrap_or_default(), |answer| answer.trim() == "blue");
    systemctl(&mut world, 0, "stop cron.service");
    [JOB, ANSWER].into_iter().for_each(|file| fs::remove_file(file).expect("a file"));
}

/// As at a boot: jobs of `@reboot` are run.
fn start_cron(world: &mut World) {
    let _ = fs::remove_file("/run/crond.reboot");
    systemctl(world, 0, "start cron.service");
}
