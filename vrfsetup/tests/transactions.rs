//! A change is made whole or not at all: refused, killed or interrupted anywhere, and beside other runs. On this
//! machine's kernel, by `rules fix`, which needs no VRF; strace injects the faults, `ip -j` tells what is there.

mod namespace;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use namespace::Namespace;

/// More than `rules fix` makes of any of these calls.
const MANY: usize = 200;
/// A changing verb that has nothing to do.
const IDLE: &str = "del nosuch";
/// Kills `rules fix` when all is made and only its journal has yet to be put away.
const AT_ITS_END: &str = "rename:signal=SIGKILL:when=1";

#[track_caller]
fn assert_says(output: &Output, code: i32, words: &str) {
    let said = text(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "{said}");
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// Runs vrfsetup with a fault at one of its system calls.
fn faulty(namespace: &Namespace, inject: &str, words: &str) -> Output {
    let mut strace = namespace.command("strace");
    strace.args(["-qq", "-o", "/dev/null", "-e", &format!("inject={inject}"), env!("CARGO_BIN_EXE_vrfsetup")]);
    strace.args(words.split(' ')).output().expect("strace")
}

/// The files in /run/vrfsetup about this namespace that end so.
fn files(namespace: &Namespace, kind: &str) -> Vec<PathBuf> {
    let start = format!("netns-{}-", namespace.inode());
    let all = fs::read_dir("/run/vrfsetup").into_iter().flatten().flatten().map(|entry| entry.path());
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    all.filter(|path| name(path).starts_with(&start) && name(path).ends_with(kind)).collect()
}

#[test]
fn a_refusal_at_any_message_changes_nothing() {
    let namespace = Namespace::new();
    for words in ["rules fix", "rules undo"] {
        let before = namespace.rules();
        let mut undone = 0;
        for at in 1..MANY {
            let output = faulty(&namespace, &format!("sendto:error=EPERM:when={at}"), words);
            if output.status.success() {
                break;
            }
            assert_says(&output, 1, "Operation not permitted");
            undone += usize::from(text(&output).contains("nothing is changed"));
            assert_eq!(namespace.rules(), before, "{words}, message {at}: {}", text(&output));
            assert!(files(&namespace, ".journal").is_empty());
        }
        assert!(undone >= 4, "{words}: only {undone} changes were refused");
        assert_ne!(namespace.rules(), before);
    }
}

#[test]
fn after_a_kill_at_any_call_the_next_run_undoes_what_was_done() {
    let namespace = Namespace::new();
    let before = namespace.rules();
    // All files are open before the first step; a kill at one leaves nothing.
    for (call, least) in [("sendto", 1), ("write", 1), ("rename", 1), ("openat", 0)] {
        let mut halfway = 0;
        for at in 1..MANY {
            let output = faulty(&namespace, &format!("{call}:signal=SIGKILL:when={at}"), "rules fix");
            let is_complete = output.status.success();
            let journal = files(&namespace, ".journal").first().map(|path| fs::read_to_string(path).expect("text"));
            let is_halfway = journal.is_some_and(|journal| journal.contains("{\"step\":"));
            let next = namespace.vrfsetup(IDLE);
            assert_says(
                &next,
                0,
                if is_halfway { "('vrfsetup rules fix') was not finished and is rolled back" } else { "" },
            );
            assert_eq!(text(&next).lines().count(), 1 + usize::from(is_halfway), "{}", text(&next));
            halfway += usize::from(is_halfway);
            if !is_halfway && namespace.rules() != before {
                // All of it was done before the kill.
                assert_says(&namespace.vrfsetup("rollback"), 0, "is undone");
            }
            assert_eq!(namespace.rules(), before, "{call} {at}");
            if is_complete {
                break;
            }
        }
        assert!(halfway >= least, "{call}: never killed halfway");
    }
}

#[test]
fn a_rollback_that_is_killed_is_resumed() {
    let namespace = Namespace::new();
    let before = namespace.rules();
    for call in ["sendto", "write", "unlink"] {
        for at in 1..MANY {
            // The last write is the answer to the user; the change is complete then and undone by the verb.
            faulty(&namespace, AT_ITS_END, "rules fix");
            assert!(!files(&namespace, ".journal").is_empty() && namespace.rules() != before);
            let killed = faulty(&namespace, &format!("{call}:signal=SIGKILL:when={at}"), IDLE);
            let next = faulty(&namespace, &format!("{call}:signal=SIGKILL:when={}", at + 1), IDLE);
            let last = namespace.vrfsetup(IDLE);
            assert_says(&last, 0, "nothing to do");
            assert_eq!(namespace.rules(), before, "{call} {at}: {}{}", text(&killed), text(&next));
            assert!(files(&namespace, ".journal").is_empty());
            if killed.status.success() {
                assert!(at > 1, "{call}: never killed");
                break;
            }
        }
    }
}

#[test]
fn a_signal_at_any_message_undoes_what_was_done_and_is_named() {
    let namespace = Namespace::new();
    let before = namespace.rules();
    for signal in ["SIGINT", "SIGTERM", "SIGHUP"] {
        let mut ended = 0;
        for at in 1..MANY {
            let output = faulty(&namespace, &format!("sendto:signal={signal}:when={at}"), "rules fix");
            if output.status.success() {
                break;
            }
            assert_says(&output, 1, &format!("vrfsetup: ended by {signal}, nothing is changed\n"));
            assert_eq!(namespace.rules(), before, "{signal} {at}");
            assert!(files(&namespace, ".journal").is_empty());
            ended += 1;
        }
        assert!(ended > 8, "{signal}: ended only {ended} times");
        assert_says(&namespace.vrfsetup("rollback"), 0, "'vrfsetup rules fix' is undone");
        assert_eq!(namespace.rules(), before);
    }
}

#[test]
fn a_signal_that_the_caller_ignores_stays_ignored() {
    let namespace = Namespace::new();
    let inject = "inject=sendto:signal=SIGHUP:when=8";
    let mut shell = namespace.command("sh");
    let script = "trap '' HUP; exec strace -qq -o /dev/null -e \"$@\"";
    let output = shell.args(["-c", script, "sh", inject, env!("CARGO_BIN_EXE_vrfsetup"), "rules", "fix"]).output();
    assert_says(&output.expect("sh"), 0, "changed");
}

#[test]
fn a_run_that_waits_for_another_can_be_ended() {
    let namespace = Namespace::new();
    assert_says(&namespace.vrfsetup(IDLE), 0, "nothing to do");
    let before = namespace.rules();
    let [lock] = files(&namespace, ".lock").try_into().expect("a lock");
    let mut holder = Command::new("flock");
    let mut holder =
        holder.arg(&lock).args(["sh", "-c", "echo; exec sleep 60"]).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut [0]).expect("a line");
    let mut command = Command::new("timeout");
    command.args(["--signal=INT", "1", env!("CARGO_BIN_EXE_vrfsetup"), "-n", &namespace.path(), "rules", "fix"]);
    let output = command.args(["--confirm", "60"]).output().expect("timeout");
    // timeout(1) says 124 for a command that it has ended.
    assert_says(&output, 124, "vrfsetup: ended by SIGINT, nothing is changed");
    holder.kill().expect("kill");
    holder.wait().expect("wait");
    assert_eq!(namespace.rules(), before);
}

#[test]
fn the_last_change_is_undone_at_once() {
    let namespace = Namespace::new();
    let born = namespace.rules();
    assert_says(&namespace.vrfsetup("rollback"), 1, "vrfsetup: no change to undo");
    assert_says(&namespace.vrfsetup("rules fix"), 0, "changed");
    // What changes nothing is no change.
    assert_says(&namespace.vrfsetup("rules fix"), 0, "nothing to do");
    assert_says(&namespace.vrfsetup("rollback"), 0, "'vrfsetup -n");
    assert_eq!(namespace.rules(), born);
    assert_says(&namespace.vrfsetup("rollback"), 1, "no change to undo");
    assert_says(&namespace.vrfsetup("rules undo"), 0, "nothing to do");
    // One that waits for its confirmation.
    assert_says(&namespace.vrfsetup("rules fix --confirm 600"), 0, "unless 'vrfsetup confirm' comes first");
    assert_says(&namespace.vrfsetup("rollback"), 0, "is undone");
    assert_eq!(namespace.rules(), born);
    assert_says(&namespace.vrfsetup("confirm"), 1, "no change waits");
    wait_until("the watcher's end", || watchers(&namespace).is_empty());
    // One that was not finished.
    faulty(&namespace, AT_ITS_END, "rules fix");
    assert_ne!(namespace.rules(), born);
    assert_says(&namespace.vrfsetup("rollback"), 0, "was not finished and is rolled back");
    assert_eq!(namespace.rules(), born);
    // One that was confirmed.
    assert_says(&namespace.vrfsetup("rules fix --confirm 600"), 0, "changed");
    assert_says(&namespace.vrfsetup("confirm"), 0, "confirmed");
    assert_says(&namespace.vrfsetup("rollback"), 0, "is undone");
    assert_eq!(namespace.rules(), born);
}

#[test]
fn what_cannot_be_undone_is_named_and_tried_again() {
    let namespace = Namespace::new();
    namespace.ip("link add eth0 type veth peer name eth1");
    let born = namespace.rules();
    faulty(&namespace, AT_ITS_END, "rules fix");
    // Every message of the rollback is refused, so that all of it is left.
    let output = faulty(&namespace, "sendto:error=EPERM:when=1+", "rollback");
    assert_says(&output, 0, "was not finished; could not be undone: 'ip ");
    assert_ne!(namespace.rules(), born);
    assert_says(&namespace.vrfsetup("rollback"), 0, "'vrfsetup rules fix' is undone");
    assert_eq!(namespace.rules(), born);
    // The same where a change is refused first: from some message on all are.
    let refused = (1..MANY).map(|at| faulty(&namespace, &format!("sendto:error=EPERM:when={at}+"), "rules fix"));
    let output = refused.into_iter().find(|output| namespace.rules() != born || output.status.success()).unwrap();
    assert_says(&output, 1, "and these could not be undone: 'ip ");
    assert!(text(&output).contains("hint: vrfsetup rollback"), "{}", text(&output));
    assert_says(&namespace.vrfsetup("rollback"), 0, "is undone");
    assert_eq!(namespace.rules(), born);
}

#[test]
fn a_dead_watcher_blocks_nothing() {
    let namespace = Namespace::new();
    let born = namespace.rules();
    assert_says(&namespace.vrfsetup("rules fix --confirm 600"), 0, "changed");
    assert_says(&namespace.vrfsetup(IDLE), 1, "an earlier change waits for its confirmation");
    kill_watcher(&namespace);
    let next = namespace.vrfsetup(IDLE);
    assert_says(&next, 0, "was never confirmed and is rolled back");
    assert_eq!(namespace.rules(), born);
    // The user still may keep it, or undo it at once.
    for (verb, keeps) in [("confirm", true), ("rollback", false)] {
        assert_says(&namespace.vrfsetup("rules fix --confirm 600"), 0, "changed");
        kill_watcher(&namespace);
        assert_says(&namespace.vrfsetup(verb), 0, "");
        assert_eq!(namespace.rules() != born, keeps, "{verb}");
        assert_says(&namespace.vrfsetup("rules undo"), 0, "");
    }
}

#[test]
fn what_was_killed_halfway_is_not_kept_by_a_confirmation() {
    let namespace = Namespace::new();
    let born = namespace.rules();
    faulty(&namespace, AT_ITS_END, "rules fix --confirm 600");
    assert_ne!(namespace.rules(), born);
    assert_says(&namespace.vrfsetup("confirm"), 1, "was not finished and is rolled back");
    assert_eq!(namespace.rules(), born);
    // Where nobody comes, the watcher undoes it.
    faulty(&namespace, AT_ITS_END, "rules fix --confirm 1");
    wait_until("the rollback", || namespace.rules() == born && files(&namespace, ".journal").is_empty());
}

#[test]
fn doctor_names_a_change_that_nobody_has_ended_and_changes_nothing() {
    let namespace = Namespace::new();
    let doctor = |says: &str| {
        let rules = namespace.rules();
        assert_says(&namespace.vrfsetup("doctor"), 3, says);
        assert_eq!(namespace.rules(), rules);
    };
    faulty(&namespace, AT_ITS_END, "rules fix");
    doctor("the change 'vrfsetup rules fix' was not finished: part of it is made; fix: vrfsetup rollback\n");
    assert_says(&namespace.vrfsetup("rollback"), 0, "is rolled back");
    assert!(!text(&namespace.vrfsetup("doctor")).contains("was not finished"));
    assert_says(&namespace.vrfsetup("rules fix --confirm 600"), 0, "changed");
    doctor("rules fix --confirm 600' waits for its confirmation; fix: vrfsetup confirm\n");
    kill_watcher(&namespace);
    doctor("' was not confirmed, and nobody waits for that any more; fix: vrfsetup rollback\n");
    assert_says(&namespace.vrfsetup("rollback"), 0, "is undone");
    assert!(!text(&namespace.vrfsetup("doctor")).contains("confirm"));
}

#[test]
fn a_watcher_is_not_misled_by_a_later_change() {
    let namespace = Namespace::new();
    assert_says(&namespace.vrfsetup("rules fix --confirm 2"), 0, "changed");
    assert_says(&namespace.vrfsetup("confirm"), 0, "confirmed");
    let fixed = namespace.rules();
    assert_says(&namespace.vrfsetup("rules undo --confirm 600"), 0, "changed");
    let undone = namespace.rules();
    sleep(Duration::from_secs(4));
    assert_eq!(namespace.rules(), undone);
    assert_says(&namespace.vrfsetup("rollback"), 0, "is undone");
    assert_eq!(namespace.rules(), fixed);
}

#[test]
fn a_namespace_may_be_named_by_a_relative_path() {
    let namespace = Namespace::new();
    let born = namespace.rules();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vrfsetup"));
    command.current_dir("/proc/self").arg("-n").arg(format!("..{}", namespace.path().strip_prefix("/proc").unwrap()));
    assert_says(&command.args(["rules", "fix", "--confirm", "1"]).output().unwrap(), 0, "changed");
    assert_ne!(namespace.rules(), born);
    wait_until("the rollback", || namespace.rules() == born);
}

#[test]
fn verbs_at_once_end_as_one_after_the_other() {
    let namespace = Namespace::new();
    let born = namespace.rules();
    assert_says(&namespace.vrfsetup("rules fix"), 0, "changed");
    let fixed = namespace.rules();
    assert_says(&namespace.vrfsetup("rules undo"), 0, "changed");
    let verbs = ["rules fix", "rules undo", "rollback", "confirm", IDLE];
    for first in verbs {
        for second in verbs {
            let runs: Vec<_> = [first, second].map(|verb| start(&namespace, verb)).into_iter().collect();
            for (run, verb) in runs.into_iter().zip([first, second]) {
                let output = run.wait_with_output().expect("vrfsetup");
                let has_nothing = ["no change to undo", "no change waits"].iter().any(|no| text(&output).contains(no));
                assert!(output.status.success() || has_nothing, "{first} and {second}: {verb}: {}", text(&output));
            }
            let rules = namespace.rules();
            assert!(rules == born || rules == fixed, "{first} and {second}: {rules}");
            assert!(files(&namespace, ".journal").is_empty() && files(&namespace, ".pending").is_empty());
        }
    }
}

fn start(namespace: &Namespace, verb: &str) -> std::process::Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vrfsetup"));
    command.args(["-n", &namespace.path()]).args(verb.split(' ')).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("vrfsetup")
}

#[test]
fn journals_are_for_root_alone_and_can_be_read() {
    let namespace = Namespace::new();
    assert_says(&namespace.vrfsetup("rules fix"), 0, "changed");
    let [last] = files(&namespace, ".last").try_into().expect("a journal");
    let mode = |path: &std::path::Path| {
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).expect("a file").permissions()) & 0o777
    };
    assert_eq!((mode(&last), mode(last.parent().unwrap())), (0o600, 0o700));
    let journal = fs::read_to_string(last).expect("text");
    for words in ["vrfsetup -n ", "ip rule add pref 0 l3mdev protocol kernel", "ip rule del pref 0"] {
        assert!(journal.contains(words), "{words}: {journal}");
    }
}

#[test]
fn a_journal_that_was_cut_short_is_undone_as_far_as_it_goes() {
    let namespace = Namespace::new();
    let born = namespace.rules();
    faulty(&namespace, AT_ITS_END, "rules fix");
    let [journal] = files(&namespace, ".journal").try_into().expect("a journal");
    let mut whole = fs::read(&journal).expect("a journal");
    // A step that was never made: its line was not complete.
    whole.extend(b"{\"step\":{\"ip\":\"ip rule del pref 32766");
    fs::write(&journal, whole).expect("a journal");
    assert_says(&namespace.vrfsetup(IDLE), 0, "is rolled back");
    assert_eq!(namespace.rules(), born);
}

#[test]
fn what_was_known_of_namespaces_that_are_gone_is_removed() {
    let [gone, mounted, open] = [(); 3].map(|()| Namespace::new());
    let all = [&gone, &mounted, &open].map(|namespace| {
        assert_says(&namespace.vrfsetup("rules fix"), 0, "changed");
        assert!(files(namespace, "").len() >= 2, "{:?}", files(namespace, ""));
        files(namespace, "")
    });
    let name = format!("vrfsetup-test-{}", std::process::id());
    let ip = |words: &[&str]| assert!(Command::new("ip").args(words).status().expect("ip").success());
    ip(&["netns", "attach", &name, gone_pid(&mounted).as_str()]);
    let descriptor = fs::File::open(open.path()).expect("a namespace");
    drop((gone, mounted, open));
    wait_until("the sweep", || {
        assert_says(&Namespace::new().vrfsetup(IDLE), 0, "nothing to do");
        all[0].iter().all(|file| !file.exists())
    });
    let kept = all[1..].iter().flatten().all(|file| file.exists());
    ip(&["netns", "del", &name]);
    drop(descriptor);
    assert!(kept, "{all:?}");
    wait_until("the sweep", || {
        assert_says(&Namespace::new().vrfsetup(IDLE), 0, "nothing to do");
        all.iter().flatten().all(|file| !file.exists())
    });
}

/// The process that holds a namespace.
fn gone_pid(namespace: &Namespace) -> String {
    namespace.path().split('/').nth(2).expect("a pid").to_owned()
}

/// The processes that wait for a confirmation in this namespace.
fn watchers(namespace: &Namespace) -> Vec<String> {
    let journal = format!("netns-{}-", namespace.inode());
    let all = fs::read_dir("/proc").expect("/proc").flatten().map(|entry| entry.path());
    let is_one = |path: &PathBuf| {
        let line = fs::read(path.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains("__roll-back") && line.contains(&journal)
    };
    all.filter(is_one).map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect()
}

fn kill_watcher(namespace: &Namespace) {
    let watchers = watchers(namespace);
    assert_eq!(watchers.len(), 1, "{watchers:?}");
    assert!(Command::new("kill").args(["-KILL", &watchers[0]]).status().expect("kill").success());
    // A process that is being killed has no command line any more before it lets go of its lock.
    wait_until("its end", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", watchers[0])).unwrap_or_default();
        stat.rsplit(") ").next().is_none_or(|state| state.is_empty() || state.starts_with('Z'))
    });
}

#[track_caller]
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    // The number of a namespace that is gone may be another test's for a while.
    let deadline = Instant::now() + Duration::from_secs(300);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} never came");
        sleep(Duration::from_millis(100));
    }
}
