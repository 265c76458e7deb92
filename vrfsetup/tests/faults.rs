//! A change is made whole or not at all: refused, killed or interrupted anywhere. On this machine's kernel, by `rules
//! fix`, which needs no VRF; strace injects the faults, `ip -j` tells what is there.

mod namespace;

use std::fs;
use std::process::{Command, Stdio};

use namespace::{AT_ITS_END, IDLE, Namespace, assert_says, faulty, files, text, wait_until};

/// More than `rules fix` makes of any of these calls.
const MANY: usize = 200;

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

/// By the number of the system call that it is in: a run sleeps only between two looks at the lock of another.
fn sleeps(pid: &str) -> bool {
    let call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    let number = call.split(' ').next().and_then(|number| number.parse().ok());
    [libc::SYS_nanosleep, libc::SYS_clock_nanosleep].map(Some).contains(&number)
}

#[test]
fn a_run_that_waits_for_another_can_be_ended() {
    let namespace = Namespace::new();
    assert_says(&namespace.vrfsetup(IDLE), 0, "nothing to do");
    let before = namespace.rules();
    let [lock] = files(&namespace, ".lock").try_into().expect("a lock");
    // Without a child, which would outlive flock(1), and with it the test.
    let mut holder = Command::new("flock");
    let mut holder = holder
        .arg("--no-fork")
        .arg(&lock)
        .args(["sh", "-c", "echo; exec sleep 1000"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut [0]).expect("a line");
    let mut command = Command::new(env!("CARGO_BIN_EXE_vrfsetup"));
    command.args(["-n", &namespace.path(), "rules", "fix", "--confirm", "60"]);
    let waits = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("vrfsetup");
    let pid = waits.id().to_string();
    wait_until("the one that waits", || sleeps(&pid));
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
    let output = waits.wait_with_output().expect("vrfsetup");
    assert_says(&output, 1, "vrfsetup: ended by SIGINT, nothing is changed");
    holder.kill().expect("kill");
    holder.wait().expect("wait");
    assert_eq!(namespace.rules(), before);
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
