//! `vrfsetup session` beside `vrfsetup del`: the VRF is deleted while a login is put into it, and the login is denied or cut
//! off, but never in the default domain.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::guest_tests;
use super::logins::ssh;
use super::machine::Machine;
use super::session::{Pam, fetch, with_sshd, without_sshd};
use crate::guest::setup::vrfsetup;
use crate::harness::judge::{Running, Verdict, root};
use crate::harness::vm::plan::DIRECTORY;
use crate::harness::wait;
use crate::harness::world::Domain;

guest_tests! {
    a_login_whose_vrf_is_deleted_meanwhile_is_never_in_the_default_domain,
}

/// What PAM runs: it stops, and becomes vrfsetup when it goes on. A tracer that had started it would be in the login's
/// cgroup, which must be the login's own.
const HOOK: &str = "/run/vrftest-session";
const PID: &str = "/run/vrftest-session-pid";
const LOG: &str = "/run/vrftest-session-log";

fn a_login_whose_vrf_is_deleted_meanwhile_is_never_in_the_default_domain() {
    let mut world = with_sshd();
    let hook = format!(
        "#!/bin/sh\n[ $PAM_TYPE = open_session ] || exit 0\necho $$ >{PID}.new; mv {PID}.new {PID}\nkill -STOP $$\nexec {DIRECTORY}/vrfsetup session blue\n"
    );
    fs::write(HOOK, hook).expect("a script");
    fs::set_permissions(HOOK, fs::Permissions::from_mode(0o755)).expect("its mode");
    let pam = Pam::with("sshd", &format!("session required pam_exec.so {HOOK}\n"));
    let (verdict, _) = login(&mut world, None);
    assert_eq!((verdict.code, verdict.answers.as_slice()), (0, [Domain::Blue].as_slice()), "{verdict}");
    // Before it looks for the VRF, and before each program, whose index of the VRF is the one that it has read.
    let calls = fs::read_to_string(LOG).expect("strace's log");
    let count = |call: &str| calls.lines().filter(|line| line.starts_with(&format!("{call}("))).count();
    let (messages, programs) = (count("sendto"), count("bpf"));
    assert!(messages > 2 && programs > 8, "{calls}");
    let mut denied = 0;
    for (call, at) in [("sendto", 1), ("sendto", messages), ("bpf", 1), ("bpf", programs / 2), ("bpf", programs)] {
        let (verdict, is_stopped) = login(&mut world, Some((call, at)));
        assert!(is_stopped, "{call} {at}: {verdict}");
        assert_ne!(verdict.code, 0, "{call} {at}: {verdict}");
        assert_eq!(
            (verdict.answers.as_slice(), verdict.packets(Domain::Default)),
            ([].as_slice(), 0),
            "{call} {at}: {verdict}"
        );
        denied += usize::from(!verdict.text().contains("logged in"));
        vrfsetup(&mut world, 0, "rollback");
    }
    assert!(denied > 0, "no login was denied");
    drop(pam);
    [HOOK, PID, LOG].into_iter().for_each(|file| fs::remove_file(file).expect("the file"));
    without_sshd(&mut world);
}

/// A login that asks for its domain. VRF blue is deleted when the call of vrfsetup comes; whether it came.
fn login(world: &mut Machine, at: Option<(&str, usize)>) -> (Verdict, bool) {
    let _ = fs::remove_file(PID);
    let words = ssh(world, Domain::Red, &format!("echo logged in; {}", fetch()));
    let mut login: Running = world.start(&root(&words));
    login.wait_until("PAM's call", || state(PID).starts_with('T'));
    let pid = fs::read_to_string(PID).expect("its number").trim().to_owned();
    let mut tracer = trace(&pid, at);
    go_on(&pid);
    let is_stopped = at.is_some() && {
        // Not as it was when strace came.
        let is_there = || {
            let log = fs::read_to_string(LOG).unwrap_or_default();
            log.split_once("--- SIGSTOP {").is_some_and(|(_, rest)| rest.contains("stopped by SIGSTOP"))
        };
        login.wait_until("the call", is_there);
        vrfsetup(world, 0, "del blue");
        go_on(&pid);
        true
    };
    let verdict = login.finish(world);
    tracer.wait().expect("strace");
    (verdict, is_stopped)
}

/// Its state in /proc, and empty while there is none.
fn state(file: &str) -> String {
    let pid = fs::read_to_string(file).unwrap_or_default();
    let stat = fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat")).unwrap_or_default();
    stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned()).unwrap_or_default()
}

fn go_on(pid: &str) {
    kill(Pid::from_raw(pid.parse().expect("a number")), Signal::SIGCONT).expect("a signal");
}

/// Attaches strace(1), which ends with the process.
fn trace(pid: &str, at: Option<(&str, usize)>) -> Child {
    let _ = fs::remove_file(LOG);
    let mut strace = Command::new("strace");
    strace.args(["-o", LOG, "-e", "trace=sendto,bpf", "-p", pid]).stderr(Stdio::null());
    if let Some((call, at)) = at {
        strace.args(["-e", &format!("inject={call}:signal=SIGSTOP:when={at}")]);
    }
    let tracer = strace.spawn().expect("strace");
    let is_traced = || fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    wait::until(is_traced, |status| status.contains(&format!("\nTracerPid:\t{}\n", tracer.id())));
    tracer
}
