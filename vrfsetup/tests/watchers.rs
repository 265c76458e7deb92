//! What becomes of a change once it is made: rolled back, confirmed or not, beside other runs and after namespaces that
//! are gone. On this machine's kernel, by `rules fix`, which needs no VRF.

mod namespace;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};

use namespace::{AT_ITS_END, IDLE, Namespace, assert_says, faulty, files, text, wait_until};

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

/// The watcher leaves its cgroup, and makes no file where there is no hierarchy (cgroup v1 has none at the top).
#[test]
fn a_watcher_makes_no_file_where_there_are_no_cgroups() {
    let namespace = Namespace::new();
    let script = "mount -t tmpfs none /sys/fs/cgroup; mkdir /sys/fs/cgroup/systemd; \"$@\"; ls -AR /sys/fs/cgroup";
    let mut inside = Command::new("unshare");
    inside.args(["-m", "sh", "-ec", script, "sh", env!("CARGO_BIN_EXE_vrfsetup"), "-n", &namespace.path()]);
    let output = inside.args(["rules", "fix", "--confirm", "600"]).output().expect("unshare");
    assert!(text(&output).ends_with("/sys/fs/cgroup:\nsystemd\n\n/sys/fs/cgroup/systemd:\n"), "{}", text(&output));
    assert_says(&namespace.vrfsetup("confirm"), 0, "confirmed");
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

/// One doctor that looks while another does: each sees the same, and only a change keeps both from looking.
#[test]
fn doctors_at_once_see_what_one_alone_sees() {
    let namespace = Namespace::new();
    let at_once = |says: &str| {
        // A thread that fails fails the scope.
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_says(&namespace.vrfsetup("doctor"), 3, says));
            }
        });
    };
    let hold =
        |how| Flock::lock(fs::File::open(&files(&namespace, ".lock")[0]).expect("the lock"), how).expect("flock");
    faulty(&namespace, AT_ITS_END, "rules fix");
    at_once("was not finished");
    // As long as another looks.
    let looks = hold(FlockArg::LockShared);
    at_once("was not finished");
    drop(looks);
    let change = hold(FlockArg::LockExclusive);
    assert!(!text(&namespace.vrfsetup("doctor")).contains("was not finished"));
    drop(change);
    assert_says(&namespace.vrfsetup("rollback"), 0, "is rolled back");
    assert_says(&namespace.vrfsetup("rules fix --confirm 600"), 0, "changed");
    at_once("waits for its confirmation");
    kill_watcher(&namespace);
    at_once("nobody waits for that any more");
    assert_says(&namespace.vrfsetup("rollback"), 0, "is undone");
}

#[test]
fn a_watcher_is_not_misled_by_a_later_change() {
    const TIME: Duration = Duration::from_secs(8);
    let namespace = Namespace::new();
    assert_says(&namespace.vrfsetup(&format!("rules fix --confirm {}", TIME.as_secs())), 0, "changed");
    let made = Instant::now();
    // It sees what has become of its change only when its time is over.
    let [first] = watchers(&namespace).try_into().expect("a watcher");
    signal("-STOP", &first);
    assert_says(&namespace.vrfsetup("confirm"), 0, "confirmed");
    let fixed = namespace.rules();
    assert_says(&namespace.vrfsetup("rules undo --confirm 600"), 0, "changed");
    let undone = namespace.rules();
    sleep(TIME.saturating_sub(made.elapsed()));
    signal("-CONT", &first);
    wait_until("the first watcher's end", || !watchers(&namespace).contains(&first));
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
    assert_says(&command.args(["rules", "fix", "--confirm", "1"]).output().unwrap(), 0, "changed:\n");
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

#[test]
fn what_an_earlier_sweep_left_without_its_lock_is_removed_as_well() {
    let [gone, living] = [(); 2].map(|()| Namespace::new());
    let [left, kept] = [&gone, &living].map(|namespace| {
        assert_says(&namespace.vrfsetup("rules fix"), 0, "changed");
        files(namespace, ".lock").iter().for_each(|lock| fs::remove_file(lock).expect("a lock"));
        assert!(!files(namespace, "").is_empty());
        files(namespace, "")
    });
    drop(gone);
    wait_until("the sweep", || {
        assert_says(&Namespace::new().vrfsetup(IDLE), 0, "nothing to do");
        left.iter().all(|file| !file.exists())
    });
    assert!(kept.iter().all(|file| file.exists()), "{kept:?}");
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

fn signal(which: &str, pid: &str) {
    assert!(Command::new("kill").args([which, pid]).status().expect("kill").success());
}

fn kill_watcher(namespace: &Namespace) {
    let watchers = watchers(namespace);
    assert_eq!(watchers.len(), 1, "{watchers:?}");
    signal("-KILL", &watchers[0]);
    // A process that is being killed has no command line any more before it lets go of its lock.
    wait_until("its end", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", watchers[0])).unwrap_or_default();
        stat.rsplit(") ").next().is_none_or(|state| state.is_empty() || state.starts_with('Z'))
    });
}
