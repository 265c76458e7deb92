//! Kernels by feature: each feature that `lacks` can take from a kernel, by each mechanism. A program is in the VRF or does
//! not start, whatever is missing; and what a mechanism cannot do without is named, with the release that brought it.

mod scene;

use std::fmt::Write;

use scene::{EVERYBODY, Who, play};

/// Every mechanism, alone and with the gate, and the choice among them.
const MECHANISMS: [&str; 5] = ["-m bpf", "-m preload", "-m preload --no-supervisor", "-m seccomp", ""];

/// What a mechanism needs: (feature, who asks, for what, what is said).
const NEEDED: [(&str, Who, &str, &str); 25] = [
    ("seccomp-killed", Who::User, "-m preload", "a seccomp filter above ends who calls seccomp or pidfd_getfd"),
    ("pidfd_getfd-killed", Who::User, "-m seccomp", "a seccomp filter above ends who calls seccomp or pidfd_getfd"),
    ("bpf-killed", Who::Root, "-m bpf", "a seccomp filter above ends who calls bpf"),
    ("seccomp", Who::User, "-m preload", "a seccomp filter needs Linux 3.17"),
    ("seccomp", Who::User, "-m seccomp", "a supervisor (SECCOMP_RET_USER_NOTIF) needs Linux 5.0"),
    ("filter", Who::User, "-m preload", "a seccomp filter needs Linux 3.17"),
    ("filter", Who::User, "-m seccomp", "a supervisor (SECCOMP_RET_USER_NOTIF) needs Linux 5.0"),
    ("action", Who::User, "-m preload", "a supervisor (SECCOMP_RET_USER_NOTIF) needs Linux 5.0"),
    ("action", Who::User, "-m seccomp", "a supervisor (SECCOMP_RET_USER_NOTIF) needs Linux 5.0"),
    ("listener", Who::User, "-m preload", "a supervisor (SECCOMP_RET_USER_NOTIF) needs Linux 5.0"),
    ("listener", Who::User, "-m seccomp", "a supervisor (SECCOMP_RET_USER_NOTIF) needs Linux 5.0"),
    ("addfd", Who::User, "-m preload", "a supervisor (SECCOMP_IOCTL_NOTIF_ADDFD) needs Linux 5.9"),
    ("addfd", Who::User, "-m seccomp", "a supervisor (SECCOMP_IOCTL_NOTIF_ADDFD) needs Linux 5.9"),
    ("close_range", Who::User, "-m preload", "a supervisor (close_range) needs Linux 5.9"),
    ("close_range", Who::User, "-m seccomp", "a supervisor (close_range) needs Linux 5.9"),
    ("bind", Who::User, "-m preload", "an unprivileged SO_BINDTODEVICE needs Linux 5.7"),
    ("bind", Who::User, "-m seccomp", "an unprivileged SO_BINDTODEVICE needs Linux 5.7"),
    ("bind-option", Who::User, "-m preload", "a readable SO_BINDTODEVICE needs Linux 3.8"),
    ("bind-option", Who::User, "-m seccomp", "a readable SO_BINDTODEVICE needs Linux 3.8"),
    ("bound-option", Who::User, "-m preload", "a readable SO_BINDTODEVICE needs Linux 3.8"),
    ("bound-option", Who::User, "-m seccomp", "a readable SO_BINDTODEVICE needs Linux 3.8"),
    ("bound-option", Who::Root, "-m bpf", "a readable SO_BINDTODEVICE needs Linux 3.8"),
    ("unicast-if", Who::User, "-m seccomp", "IP_UNICAST_IF needs Linux 3.4"),
    ("unicast-if", Who::User, "-m preload", "IP_UNICAST_IF needs Linux 3.4"),
    ("bpf", Who::Root, "-m bpf", "a BPF program for a cgroup's sockets needs Linux 4.10"),
];

/// All that `lacks` knows, each once.
fn features() -> Vec<String> {
    let source = std::fs::read_to_string(scene::source("lacks.c")).unwrap();
    let names = source.lines().filter_map(|line| line.trim().strip_prefix("{\"")?.split('"').next());
    // PR_SET_MDWE came with Linux 6.3.
    let new_code = play(Who::Root, "lacks new-code true").code() == 0;
    let mut names: Vec<String> = names.map(str::to_owned).chain(new_code.then(|| "new-code".into())).collect();
    names.dedup();
    names
}

#[test]
fn whatever_is_missing_no_program_is_outside_the_vrf() {
    let features = features();
    assert!(features.len() > 30, "{features:?}");
    let (mut faults, mut blue) = (String::new(), 0);
    for (who, mechanism) in EVERYBODY.into_iter().flat_map(|who| MECHANISMS.map(|mechanism| (who, mechanism))) {
        let script = format!(
            "for feature in {}; do for program in probe probe-static; do
                 out=$(lacks $feature vrfrun {mechanism} --interface blue $program socket inet6 syscall 2>/dev/null)
                 echo $feature $program $? $out
             done; done",
            features.join(" ")
        );
        let seen = play(who, &script);
        let stdout = seen.stdout();
        assert_eq!(stdout.lines().count(), features.len() * 2, "{seen}");
        for line in stdout.lines() {
            match fault(line) {
                Some(fault) => drop(writeln!(faults, "{who:?} {mechanism}: {fault}: {line}")),
                None => blue += usize::from(line.contains(" blue")),
            }
        }
    }
    assert!(faults.is_empty(), "{faults}");
    // Most of it can be done without: of ten ways each.
    assert!(blue > features.len() * 5, "only {blue} programs were in the VRF");
}

/// What is wrong with `FEATURE PROGRAM STATUS [WAY DEVICE|ERRNO]...`, if anything is.
fn fault(line: &str) -> Option<&'static str> {
    let words: Vec<&str> = line.split(' ').collect();
    let sockets: Vec<&str> = words[3..].chunks(2).map(|pair| pair[pair.len() - 1]).collect();
    let is_closed = |socket: &&str| socket.starts_with('E');
    match words[2] {
        "125" if sockets.is_empty() => None,
        "125" => Some("it started, and did not get through"),
        "0" if !sockets.iter().all(|socket| *socket == "blue" || is_closed(socket)) => Some("outside the VRF"),
        "0" if sockets.len() == 3 && !sockets.iter().all(is_closed) => None,
        "0" => Some("it started, and has no socket at all"),
        _ => Some("a crash"),
    }
}

/// What vrfrun knows as features of a kernel, as it calls them.
fn known() -> Vec<String> {
    let source = std::fs::read_to_string("src/sys/feature.rs").unwrap();
    let name = |line: &str| {
        Some(line.trim().strip_prefix("Feature::")?.split_once(" => \"")?.1.strip_suffix("\",")?.to_owned())
    };
    source.lines().filter_map(name).collect()
}

#[test]
fn each_feature_is_taken_away_by_a_test() {
    let known = known();
    assert!(known.len() > 8, "{known:?}");
    let (taken, optional): (Vec<_>, Vec<_>) = known
        .iter()
        .partition(|name| NEEDED.iter().any(|needed| needed.3.starts_with(&format!("{name} needs Linux "))));
    // Nothing needs this one; without it there is no ring, which the next test asks for.
    assert_eq!(optional, ["a filter over io_uring"], "taken: {taken:?}");
}

#[test]
fn without_a_filter_over_io_uring_there_is_no_ring() {
    for (who, mechanism) in EVERYBODY.into_iter().flat_map(|who| ["-m preload", "-m seccomp"].map(|way| (who, way))) {
        let without = format!("lacks io_uring-filter vrfrun {mechanism} --interface blue probe uring socket");
        play(who, &without).prints("uring ENOSYS\nsocket blue\n");
    }
}

#[test]
fn what_is_missing_is_named_with_the_release_that_brought_it() {
    let mut faults = String::new();
    for (feature, who, options, words) in NEEDED {
        let explained = play(who, &format!("lacks {feature} vrfrun {options} --explain --interface blue"));
        let started = play(who, &format!("lacks {feature} vrfrun -v {options} --interface blue true"));
        if !explained.stdout().contains(words) {
            let _ = writeln!(faults, "--explain without {feature} does not say '{words}': {explained}");
        }
        if !started.stderr().contains(words) {
            let _ = writeln!(faults, "without {feature} '{words}' is not said: {started}");
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

/// Each call of bpf(2) is refused once, as by a kernel that does not know what is asked for.
#[test]
fn a_place_that_takes_no_program_is_named_with_the_release_that_brought_it() {
    let seen = play(
        Who::Root,
        "export CGROUP=$(findmnt -rnt cgroup2 -o TARGET | head -1)/places-$$
         mkdir $CGROUP; echo $$ >$CGROUP/cgroup.procs
         for call in $(seq 60); do
             strace -f -o /dev/null -e trace=bpf -e signal=none --inject=bpf:error=EINVAL:when=$call \
                 vrfrun -v -m bpf --interface blue probe socket 2>&1
             rmdir $CGROUP/vrfrun-* 2>/dev/null
         done
         echo $$ >$CGROUP/../cgroup.procs; rmdir $CGROUP",
    );
    let said = seen.stdout();
    assert!(said.lines().filter(|line| line.starts_with("socket ")).all(|line| line == "socket blue"), "{seen}");
    for (places, release) in [
        (&["sk_storage"][..], "5.10"),
        (&["connect4", "connect6", "bind4", "bind6"], "4.17"),
        (&["sendmsg4", "sendmsg6"], "4.18"),
        (&["egress"], "4.10"),
        (&["setsockopt"], "5.3"),
    ] {
        for place in places {
            assert!(said.contains(&format!("{place} (new in Linux {release}: Invalid argument)")), "{place}: {seen}");
        }
    }
}
