//! `vrfsetup watch` on this machine's kernel: rules need no VRF.

mod namespace;

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use namespace::{Namespace, assert_says, wait_until};

/// Longer than a loaded machine takes for anything here.
const PATIENCE: Duration = Duration::from_secs(300);

/// A running `vrfsetup watch`.
struct Watch {
    child: Child,
    lines: Receiver<String>,
}

impl Watch {
    /// Starts it, and waits until it only waits for changes.
    fn start(mut command: Command, options: &str) -> Self {
        let mut child = command.arg("watch").args(options.split_whitespace()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = read(child.stdout.take().unwrap());
        wait_until("the watch", || is_idle(child.id()));
        Self { child, lines }
    }

    fn inside(namespace: &Namespace, options: &str) -> Self {
        Self::start(vrfsetup(namespace), options)
    }

    #[track_caller]
    fn says(&self, expected: &[&str]) {
        let lines: Vec<String> = expected.iter().map(|_| self.lines.recv_timeout(PATIENCE).expect("a line")).collect();
        assert_eq!(lines, expected);
    }

    /// Ends it, which must be a success; what it had still said.
    #[track_caller]
    fn end(mut self, signal: Signal) -> Vec<String> {
        self.kill(signal);
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        self.lines.iter().collect()
    }

    fn kill(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn vrfsetup(namespace: &Namespace) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vrfsetup"));
    command.args(["-n", &namespace.path()]);
    command
}

fn read(stdout: ChildStdout) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    lines
}

/// Whether it has read all that there is: it waits for signals, for reports, and for the end of its reader.
fn is_idle(pid: u32) -> bool {
    polls(pid, 3)
}

/// Whether it sleeps in a poll(2) of that many files without a time limit.
fn polls(pid: u32, files: u8) -> bool {
    let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    let words: Vec<&str> = call.split(' ').collect();
    words.first() == Some(&libc::SYS_poll.to_string().as_str())
        && words.get(2) == Some(&format!("{files:#x}").as_str())
        && words.get(3).is_some_and(|limit| limit.ends_with("ffffffff"))
}

#[test]
fn each_rule_that_comes_or_goes_has_its_line() {
    let namespace = Namespace::new();
    let watch = Watch::inside(&namespace, "");
    namespace.ip("rule add pref 7 iif lo fwmark 0x1 lookup 99");
    watch.says(&["rule added (ipv4) 7: from all iif lo fwmark 0x1 lookup 99"]);
    namespace.ip("-6 rule add pref 7 to 2001:db8::/32 unreachable");
    watch.says(&["rule added (ipv6) 7: from all to 2001:db8::/32 unreachable"]);
    namespace.ip("rule del pref 7");
    watch.says(&["rule deleted (ipv4) 7: from all iif lo fwmark 0x1 lookup 99"]);
    namespace.ip("-6 rule del pref 7");
    watch.says(&["rule deleted (ipv6) 7: from all to 2001:db8::/32 unreachable"]);
    // What is no VRF's is no line, nor is what another namespace has.
    namespace.ip("link add here type veth peer name there");
    namespace.ip("link set here up");
    namespace.ip("route add blackhole default table 77");
    Namespace::new().ip("rule add pref 7 lookup 98");
    namespace.ip("rule add pref 7 lookup 99");
    watch.says(&["rule added (ipv4) 7: from all lookup 99"]);
    assert_eq!(watch.end(Signal::SIGINT), [""; 0]);
}

#[test]
fn what_vrfsetup_changes_is_told_in_json_too() {
    let namespace = Namespace::new();
    let watch = Watch::inside(&namespace, "-j");
    assert_says(&namespace.vrfsetup("rules fix"), 0, "changed");
    // The local rule moves by way of another preference: a look in between sees it there, and a later one that it is gone.
    let mut events: Vec<serde_json::Value> = Vec::new();
    let count = |events: &[serde_json::Value], is_it: &dyn Fn(&serde_json::Value) -> bool| {
        events.iter().filter(|event| is_it(event)).count()
    };
    let passing = |events: &[serde_json::Value], what: &str| {
        count(events, &|event| event["priority"] == 1 && event["event"] == what)
    };
    while count(&events, &|event| event["priority"] == 0) < 8
        || passing(&events, "rule-added") != passing(&events, "rule-deleted")
    {
        let line = watch.lines.recv_timeout(PATIENCE).expect("a line");
        events.push(serde_json::from_str(&line).expect("an object"));
    }
    for family in ["inet", "inet6"] {
        let told = |what: &str, rule: &str| {
            let is_it = |event: &&serde_json::Value| {
                event["family"] == family && event["event"] == what && event["rule"] == rule && event["priority"] == 0
            };
            events.iter().filter(is_it).count()
        };
        // The local rule is made again behind the two others.
        let [l3mdev, unreachable] = ["0: from all l3mdev", "0: from all l3mdev unreachable"];
        let local = "0: from all lookup local";
        let all = [("rule-added", l3mdev), ("rule-added", unreachable), ("rule-added", local), ("rule-deleted", local)];
        assert_eq!(all.map(|(what, rule)| told(what, rule)), [1; 4], "{events:?}");
    }
    assert_eq!(watch.end(Signal::SIGTERM), [""; 0]);
}

#[test]
fn with_initial_it_begins_with_what_is_there() {
    let namespace = Namespace::new();
    let watch = Watch::inside(&namespace, "--initial");
    watch.says(&[
        "rule added (ipv4) 0: from all lookup local",
        "rule added (ipv4) 32766: from all lookup main",
        "rule added (ipv4) 32767: from all lookup default",
        "rule added (ipv6) 0: from all lookup local",
        "rule added (ipv6) 32766: from all lookup main",
    ]);
    namespace.ip("rule add pref 7 lookup 99");
    watch.says(&["rule added (ipv4) 7: from all lookup 99"]);
    assert_eq!(watch.end(Signal::SIGTERM), [""; 0]);
}

#[test]
fn a_plain_user_may_watch() {
    let namespace = Namespace::new();
    let directory = tempfile_for_all();
    let mut command = namespace.command("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(directory.path().join("vrfsetup"));
    let watch = Watch::start(command, "");
    namespace.ip("rule add pref 7 lookup 99");
    watch.says(&["rule added (ipv4) 7: from all lookup 99"]);
    assert_eq!(watch.end(Signal::SIGTERM), [""; 0]);
}

/// The program where everybody may run it: a build directory may be closed to others.
fn tempfile_for_all() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_vrfsetup"), directory.path().join("vrfsetup")).unwrap();
    directory
}

/// While it is stopped more is reported than its socket holds.
#[test]
fn what_overflows_is_not_missed() {
    const RULES: usize = 8000;
    let namespace = Namespace::new();
    let watch = Watch::inside(&namespace, "");
    watch.kill(Signal::SIGSTOP);
    let script: String = (1..=RULES).map(|at| format!("rule add pref {at} lookup 99\n")).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, script).unwrap();
    namespace.ip(&format!("-batch {}", file.path().display()));
    watch.kill(Signal::SIGCONT);
    watch.says(&["overflow: reports were lost, the difference follows"]);
    for at in 1..=RULES {
        watch.says(&[&format!("rule added (ipv4) {at}: from all lookup 99")]);
    }
    assert_eq!(watch.end(Signal::SIGTERM), [""; 0]);
}

/// An emulated VRF comes whole and goes whole, by vrfsetup and by what takes its port away.
#[test]
fn an_emulated_vrf_is_told_as_one() {
    let namespace = Namespace::new();
    namespace.ip("link add eth0 type veth peer name far0");
    namespace.ip("link set eth0 up");
    namespace.ip("addr add 192.0.2.1/24 dev eth0");
    let watch = Watch::inside(&namespace, "");
    assert_says(&namespace.vrfsetup("add blue --table 10 --port eth0 --emulate"), 0, "");
    let of_vrf = || loop {
        let line = watch.lines.recv_timeout(PATIENCE).expect("a line");
        if !line.starts_with("rule ") {
            return line;
        }
    };
    let next = |expected: &[&str]| expected.iter().for_each(|expected| assert_eq!(of_vrf(), *expected));
    let come =
        ["vrf blue added, emulated, table 10", "vrf blue up", "vrf blue sealed (ipv4)", "vrf blue sealed (ipv6)"];
    next(&[&come[..], &["port eth0 attached to blue"]].concat());
    namespace.ip("-6 route del unreachable default table 10");
    next(&["vrf blue unsealed (ipv6)"]);
    assert_says(&namespace.vrfsetup("add blue --table 10 --port eth0 --emulate"), 0, "");
    next(&["vrf blue sealed (ipv6)"]);
    assert_says(&namespace.vrfsetup("rules fix"), 0, "");
    namespace.ip("link set eth0 down");
    next(&["vrf blue down"]);
    namespace.ip("link set eth0 up");
    next(&["vrf blue up"]);
    assert_says(&namespace.vrfsetup("del blue"), 0, "");
    next(&["port eth0 detached from blue", "vrf blue deleted, table 10"]);
    assert_says(&namespace.vrfsetup("add red --table 20 --port eth0 --emulate"), 0, "");
    let come = ["vrf red added, emulated, table 20", "vrf red up", "vrf red sealed (ipv4)", "vrf red sealed (ipv6)"];
    next(&[&come[..], &["port eth0 attached to red"]].concat());
    namespace.ip("link del eth0");
    next(&["port eth0 detached from red", "vrf red deleted, table 20"]);
    let left = watch.end(Signal::SIGTERM);
    assert!(left.iter().all(|line| line.starts_with("rule ")), "{left:?}");
}

/// Its lines fill a pipe that nobody reads: it ends nevertheless.
#[test]
fn a_signal_ends_what_waits_for_its_reader() {
    let namespace = Namespace::new();
    let rules: String = (1..=2000).map(|at| format!("rule add pref {at} lookup 99\n")).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, rules).unwrap();
    namespace.ip(&format!("-batch {}", file.path().display()));
    let mut child = vrfsetup(&namespace).args(["watch", "--initial"]).stdout(Stdio::piped()).spawn().unwrap();
    // A poll(2) of the signals and of standard output.
    wait_until("a full pipe", || polls(child.id(), 2));
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_closed_pipe_ends_it_silently_and_a_full_disk_does_not() {
    let namespace = Namespace::new();
    let mut command = vrfsetup(&namespace);
    let mut child = command.arg("watch").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the watch", || is_idle(child.id()));
    // Nothing is to be written, and it ends nevertheless.
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_says(&output, 0, "");
    assert!(output.stderr.is_empty(), "{output:?}");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = vrfsetup(&namespace).args(["watch", "--initial"]).stdout(full).output().unwrap();
    assert_says(&output, 1, "vrfsetup: cannot use 'standard output': No space left on device");
}
