//! `vrfsetup user --etc` and `vrfsetup session --etc`, as docs/recipes.md has them, beside a systemd-resolved that answers from
//! outside: a login of the user asks the servers of its VRF, or is denied.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::guest_tests;
use super::logins::ssh;
use super::machine::{Machine, systemctl};
use super::session::{is_logged, with_sshd, without_sshd};
use crate::guest::setup::vrfsetup;
use crate::harness::judge::{Verdict, root};
use crate::harness::vm::plan::DIRECTORY;
use crate::harness::world::plan::{DNS4, WEB4};
use crate::harness::world::{Domain, World};

guest_tests! {
    a_login_of_a_user_reads_the_files_of_its_vrf_however_it_is_made,
    a_login_that_cannot_have_the_files_is_denied,
    a_covered_file_whose_name_another_takes_is_the_machines,
}

const OF_PAM: &str = "/etc/security/namespace.d/vrfsetup.conf";
const RESOLVED: &str = "/run/systemd/resolved.conf.d/vrftest.conf";
const PAGE: &str = include_str!("../../../../docs/recipes.md");
const LOOKS_UP: &str = "getent ahostsv4 www.vrf.test";

/// A file of the machine with this content, until this value goes: services and logins do not see what the world shows.
struct Kept {
    path: PathBuf,
    before: Option<Vec<u8>>,
}

impl Kept {
    fn with(path: &str, content: &str) -> Self {
        let path = PathBuf::from(path);
        let before = fs::read(&path).ok();
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(&path, content).expect("a file");
        Self { path, before }
    }

    /// Lines at the end of one of PAM's files, which is the distribution's where the machine has none of its own.
    fn with_lines(service: &str, lines: &str) -> Self {
        let path = format!("/etc/pam.d/{service}");
        let text =
            [&path, &format!("/usr/lib/pam.d/{service}")].into_iter().find_map(|path| fs::read_to_string(path).ok());
        Self::with(&path, &format!("{}\n{lines}", text.expect("PAM's file")))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = match &self.before {
            Some(before) => fs::write(&self.path, before),
            None => fs::remove_file(&self.path),
        };
    }
}

/// Files first: they go before the daemons are ended.
struct Logins {
    _files: Vec<Kept>,
    world: Machine,
}

impl Logins {
    /// Names are asked for by resolved in the default domain, and blue has a server of its own.
    fn new() -> Self {
        let resolved = format!("[Resolve]\nDNS={DNS4}\nDNSSEC=no\nDNSOverTLS=no\nLLMNR=no\nMulticastDNS=no\n");
        let files = vec![
            Kept::with(RESOLVED, &resolved),
            Kept::with("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: resolve [!UNAVAIL=return] dns\n"),
            Kept::with("/etc/vrf/blue/resolv.conf", &format!("nameserver {DNS4}\noptions timeout:30 attempts:1\n")),
        ];
        let mut world = with_sshd();
        // That of a test that has failed.
        run(&format!("{DIRECTORY}/vrfsetup user --remove user"));
        systemctl(&mut world, 0, "start systemd-resolved.service");
        run("install -d -o user -g user -m 700 /home/user/.ssh");
        Self { _files: files, world }
    }

    /// Runs a command line in a login of the user's by sshd, from red.
    fn log_in(&mut self, line: &str) -> Verdict {
        let words = ssh(&mut self.world, Domain::Red, line);
        run("install -o user -g user -m 600 /root/.ssh/authorized_keys /home/user/.ssh/authorized_keys");
        let words: Vec<String> = words.into_iter().map(|word| word.replace("root@", "user@")).collect();
        forget_answers(&mut self.world);
        self.world.judge(&root(&words))
    }

    fn su(&mut self, line: &str) -> Verdict {
        forget_answers(&mut self.world);
        self.world.judge(&root(["su", "-", "user", "-c", line]))
    }

    /// Logs out, with the user's systemd.
    fn end(&mut self) {
        systemctl(&mut self.world, 0, "stop user@1000.service");
    }
}

impl Drop for Logins {
    fn drop(&mut self) {
        run(&format!("{DIRECTORY}/vrfsetup user --remove user"));
        run("systemctl stop user@1000.service cron.service systemd-resolved.service");
        run("systemctl stop systemd-resolved-varlink.socket systemd-resolved-monitor.socket");
        let _ = fs::remove_dir_all("/home/user/.ssh");
        let _ = fs::remove_dir("/etc/vrf/blue");
    }
}

/// A unit that this release does not have is none that runs.
fn run(line: &str) {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().expect("a program"));
    let _ = command.args(words).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

fn forget_answers(world: &mut World) {
    let forgotten = world.judge(&root(["resolvectl", "flush-caches"]));
    assert_eq!(forgotten.code, 0, "{forgotten}");
}

/// The two lines of docs/recipes.md.
fn lines() -> String {
    let line = |end: &str| PAGE.lines().find(|line| line.starts_with("session required") && line.ends_with(end));
    let both = ["pam_namespace.so", "vrfsetup session --etc"].map(|end| line(end).expect("a line of the page"));
    format!("{}\n", both.join("\n").replace("/usr/sbin", DIRECTORY))
}

#[track_caller]
fn is_asked(verdict: &Verdict, domain: Domain) {
    assert!(verdict.code == 0 && verdict.text().contains(&WEB4.to_string()), "{verdict}");
    let other = if domain == Domain::Blue { Domain::Default } else { Domain::Blue };
    assert!(verdict.packets(domain) > 0 && verdict.packets(other) == 0, "{domain:?}: {verdict}");
}

fn a_login_of_a_user_reads_the_files_of_its_vrf_however_it_is_made() {
    let mut logins = Logins::new();
    let set = vrfsetup(&mut logins.world, 0, "user --etc user blue");
    assert!(set.text().contains("vrfsetup user 1000 blue --etc\n"), "{set}");
    assert!(set.text().contains("no login has the files yet"), "{set}");
    let found = vrfsetup(&mut logins.world, 3, "doctor");
    assert!(found.text().contains("no file of PAM calls vrfsetup session --etc"), "{found}");
    // Its sockets are in blue, and resolved's are not.
    is_asked(&logins.log_in(LOOKS_UP), Domain::Default);
    logins.end();
    let _lines = ["sshd", "su-l", "systemd-user", "cron"].map(|service| Kept::with_lines(service, &lines()));
    let found = vrfsetup(&mut logins.world, 3, "doctor");
    assert!(!found.text().contains("session --etc") && !found.text().contains("login-"), "{found}");
    is_asked(&logins.log_in(LOOKS_UP), Domain::Blue);
    is_asked(&logins.log_in(&by_systemd()), Domain::Blue);
    is_asked(&logins.su(LOOKS_UP), Domain::Blue);
    // A login from a login; and its vrfrun.
    is_asked(&logins.log_in(&format!("{DIRECTORY}/vrfrun blue {LOOKS_UP}")), Domain::Blue);
    // Others' are left as they are, by the same line; so is the machine.
    let words = ssh(&mut logins.world, Domain::Red, LOOKS_UP);
    forget_answers(&mut logins.world);
    is_asked(&logins.world.judge(&root(&words)), Domain::Default);
    let mounts = fs::read_to_string("/proc/1/mountinfo").expect("mounts");
    assert!(!mounts.contains("/etc/") && !mounts.contains("vrfsetup-login"), "{mounts}");
    is_asked(&by_cron(&mut logins.world), Domain::Blue);
    // Taken out, nothing is left, and its names are the machine's again.
    assert!(Path::new(OF_PAM).exists());
    let exported = vrfsetup(&mut logins.world, 0, "export").text();
    assert!(exported.contains("user = { vrf = \"blue\", etc = true }\n"), "{exported}");
    vrfsetup(&mut logins.world, 0, "user --remove user");
    assert!(!Path::new(OF_PAM).exists() && !Path::new("/run/vrfsetup-login").exists());
    is_asked(&logins.log_in(LOOKS_UP), Domain::Default);
    without_sshd(&mut logins.world);
}

/// A unit of the user's systemd, which tells nobody its end without a bus of the user's own.
fn by_systemd() -> String {
    let job = format!("systemd-run --user --quiet sh -c '{LOOKS_UP} >{ANSWER}; mv {ANSWER} {ANSWER}.done'");
    format!(
        "rm -f {ANSWER}.done; {job} && while ! test -e {ANSWER}.done; do sleep 0.2; done; cat {ANSWER}.done; rm {ANSWER}.done"
    )
}

const JOB: &str = "/etc/cron.d/vrftest";
const ANSWER: &str = "/tmp/vrftest-job";

/// The same by a job of cron, as at a boot.
fn by_cron(world: &mut World) -> Verdict {
    let job = format!("@reboot user {LOOKS_UP} >{ANSWER} && mv {ANSWER} {ANSWER}.done\n");
    let _job = Kept::with(JOB, &job);
    forget_answers(world);
    world.take().expect("the packets until now");
    let start = world.judge(&root(["true"]));
    assert_eq!(start.packets(Domain::Blue) + start.packets(Domain::Default), 0, "{start}");
    let done = format!("{ANSWER}.done");
    run("rm -f /run/crond.reboot");
    let line = format!("systemctl start cron.service; while ! test -e {done}; do sleep 0.2; done; cat {done}");
    let verdict = world.judge(&root(["sh", "-c", &line]));
    run("systemctl stop cron.service");
    let _ = fs::remove_file(done);
    verdict
}

fn a_login_that_cannot_have_the_files_is_denied() {
    let mut logins = Logins::new();
    // Nothing is changed where logins would be denied.
    fs::rename("/etc/vrf/blue/resolv.conf", "/etc/vrf/blue.conf").expect("a file");
    let refused = vrfsetup(&mut logins.world, 1, "user --etc user blue");
    refused
        .assert_says(1, "cannot give a login the files of VRF 'blue': no files for a login: names may not be resolved");
    assert!(!Path::new(OF_PAM).exists() && vrfsetup(&mut logins.world, 0, "user").text().is_empty());
    fs::rename("/etc/vrf/blue.conf", "/etc/vrf/blue/resolv.conf").expect("a file");
    vrfsetup(&mut logins.world, 0, "user --etc user blue");
    let all = lines();
    let own = all.lines().next_back().expect("a line");
    {
        let _line = Kept::with_lines("sshd", &format!("{own}\n"));
        is_denied(&mut logins, "it has no mount namespace of its own");
        let found = vrfsetup(&mut logins.world, 3, "doctor");
        assert!(found.text().contains("which denies each login of a user with --etc"), "{found}");
        // Nobody else is.
        let words = ssh(&mut logins.world, Domain::Red, LOOKS_UP);
        assert_eq!(logins.world.judge(&root(&words)).code, 0);
        // A mount namespace that was there before is not the login's own, whatever is mounted in it.
        let _line = Kept::with_lines("su", &format!("{own}\n"));
        for before in
            ["unshare --mount", "unshare --mount sh -c 'mount -t tmpfs x /run/vrfsetup-login && \"$@\"; exit 1' sh"]
        {
            let line = format!("mkdir -p /run/vrfsetup-login; {before} su user -c 'echo logged in'");
            let denied = logins.world.judge(&root(["sh", "-c", &line]));
            assert!(denied.code != 0 && !denied.text().contains("logged in"), "{denied}");
        }
    }
    let _lines = Kept::with_lines("sshd", &all);
    is_asked(&logins.log_in(LOOKS_UP), Domain::Blue);
    // The copy that an editor has beside a file stands over nothing.
    let copy = Kept::with("/etc/vrf/blue/.resolv.conf.swp", "");
    is_denied(&mut logins, "cannot put '/etc/vrf/blue/.resolv.conf.swp' over '/etc/.resolv.conf.swp'");
    let found = vrfsetup(&mut logins.world, 3, "doctor");
    assert!(found.text().contains("/etc/vrf/blue/.resolv.conf.swp stands over nothing"), "{found}");
    drop(copy);
    // PAM's file, changed by hand so that nobody can log in.
    let written = fs::read_to_string(OF_PAM).expect("PAM's file");
    fs::write(OF_PAM, written.replace(" tmpfs:", " nonsense:")).expect("PAM's file");
    let denied = logins.log_in("echo logged in");
    assert!(denied.code != 0 && !denied.text().contains("logged in"), "{denied}");
    let found = vrfsetup(&mut logins.world, 3, "doctor");
    assert!(found.text().contains("vrfsetup.conf is not as vrfsetup writes it"), "{found}");
    vrfsetup(&mut logins.world, 0, "user --refresh");
    assert_eq!(fs::read_to_string(OF_PAM).expect("PAM's file"), written);
    is_asked(&logins.log_in(LOOKS_UP), Domain::Blue);
    fs::rename("/etc/vrf/blue/resolv.conf", "/etc/vrf/blue.conf").expect("a file");
    is_denied(&mut logins, "names may not be resolved in 'blue'");
    fs::rename("/etc/vrf/blue.conf", "/etc/vrf/blue/resolv.conf").expect("a file");
    logins.world.ip("link del blue");
    is_denied(&mut logins, "cannot bind to VRF 'blue'");
    without_sshd(&mut logins.world);
}

const COVERED: &str = "/etc/vrftest.conf";

/// The kernel takes a mount away with the name that it stands upon.
fn a_covered_file_whose_name_another_takes_is_the_machines() {
    let mut logins = Logins::new();
    let _files = [Kept::with("/etc/vrf/blue/vrftest.conf", "the VRF's\n"), Kept::with(COVERED, "the machine's\n")];
    vrfsetup(&mut logins.world, 0, "user --etc user blue");
    let _lines = Kept::with_lines("su-l", &lines());
    let watch = format!("cat {COVERED}; while grep -q VRF {COVERED}; do sleep 0.1; done; cat {COVERED}");
    let mut login = logins.world.start(&root(["su", "-", "user", "-c", &watch]));
    login.wait_for("the VRF's");
    let another = format!("{COVERED}.new");
    fs::write(&another, "another\n").expect("a file");
    fs::rename(&another, COVERED).expect("its new name");
    let login = login.finish(&mut logins.world);
    assert_eq!((login.code, &*login.text()), (0, "the VRF's\nanother\n"), "{login}");
    // The next login has the VRF's again.
    let next = logins.su(&format!("cat {COVERED}"));
    assert_eq!((next.code, &*next.text()), (0, "the VRF's\n"), "{next}");
    without_sshd(&mut logins.world);
}

/// The log says why.
#[track_caller]
fn is_denied(logins: &mut Logins, why: &str) {
    let since = logins.world.judge(&root(["date", "+%s"])).text();
    let login = logins.log_in(&format!("echo logged in; {LOOKS_UP}"));
    assert!(login.code != 0 && !login.text().contains("logged in"), "{login}");
    assert_eq!((login.packets(Domain::Default), login.packets(Domain::Blue)), (0, 0), "{login}");
    is_logged(&mut logins.world, since.trim(), why);
}
