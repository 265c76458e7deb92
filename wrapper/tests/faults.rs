//! Fault injection: each system call between vrfrun's start and the program's is made to fail, one at a time. At no
//! point does the program start unbound, and nothing is left behind.
//!
//! `make test` injects one error at each call; with VRFRUN_FAULTS=all in the environment it is each of several.

mod scene;

use std::collections::BTreeMap;
use std::fmt::Write;

use scene::{Who, play_after};

/// A scratch folder for everybody.
const SETTING: &str = "mount -t tmpfs tmpfs /srv; chmod 777 /srv";
const PROGRAM: &str = "probe socket inet6";
const ERRORS: [&str; 4] = ["EPERM", "ENOMEM", "EINTR", "EIO"];
/// One scene plays so many injections: each takes a few hundredths of a second, and a scene has less than a minute.
const PER_SCENE: usize = 80;

#[test]
fn bpf_never_starts_a_program_unbound() {
    every_call_fails_in_its_turn(Who::Root, "-m bpf");
}

#[test]
fn strict_never_starts_a_program_unbound() {
    every_call_fails_in_its_turn(Who::Root, "--strict");
}

#[test]
fn preload_never_starts_a_program_unbound() {
    every_call_fails_in_its_turn(Who::User, "-m preload --dns 192.0.2.53");
}

#[test]
fn the_gate_never_lets_a_program_start_unbound() {
    every_call_fails_in_its_turn(Who::User, "-m preload --no-supervisor");
}

#[test]
fn seccomp_never_starts_a_program_unbound() {
    every_call_fails_in_its_turn(Who::Root, "-m seccomp --dns 192.0.2.53");
}

#[test]
fn auto_never_starts_a_program_unbound() {
    every_call_fails_in_its_turn(Who::Root, "");
}

fn every_call_fails_in_its_turn(who: Who, options: &str) {
    let run = format!("vrfrun {options} --interface blue {PROGRAM}");
    let calls = calls_before_the_program(who, &run);
    assert!(calls.len() > 30, "{options}: only {} calls were seen", calls.len());
    let is_whole = std::env::var_os("VRFRUN_FAULTS").is_some_and(|value| value == "all");
    let injections: Vec<String> = calls
        .iter()
        .enumerate()
        .flat_map(|(number, (name, when))| {
            let errors = if is_whole { &ERRORS[..] } else { &ERRORS[number % 2..][..1] };
            errors.iter().map(move |error| format!("{name}:error={error}:when={when}"))
        })
        .collect();
    let mut faults = String::new();
    let mut refused = 0;
    for part in injections.chunks(PER_SCENE) {
        let seen = play_after(SETTING, who, &inject(&run, part));
        let lines: Vec<String> = seen.stdout().lines().map(str::to_owned).collect();
        assert_eq!((seen.code(), lines.len()), (0, part.len() + 1), "{seen}");
        assert_eq!(lines.last().unwrap(), "left:", "{options}: processes, cgroups or mounts were left behind");
        for line in &lines[..part.len()] {
            refused += usize::from(line.contains(" 125 "));
            if let Some(fault) = fault(line) {
                let _ = writeln!(faults, "{fault}: {line}");
            }
        }
    }
    assert_eq!(faults, "", "{options}");
    // Under `auto` most calls may fail: the next mechanism takes over.
    assert!(refused > 5, "{options}: the injections had no effect ({refused} refusals)");
}

/// Every call of vrfrun and its children up to the program: (name, the how manieth of this name in its process).
fn calls_before_the_program(who: Who, run: &str) -> Vec<(String, usize)> {
    let seen = play_after(SETTING, who, &format!("strace -f -qq -o /srv/trace {run} >&2; cat /srv/trace"));
    let mut most: BTreeMap<String, usize> = BTreeMap::new();
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    let stdout = seen.stdout();
    let before =
        stdout.split_once("execve(\"/mnt/probe\"").unwrap_or_else(|| panic!("the program did not start\n{seen}")).0;
    // The first call is the execve of vrfrun itself.
    for line in before.lines().skip(1) {
        let Some((pid, call)) = line.split_once(char::is_whitespace) else { continue };
        let name: String = call
            .trim_start()
            .chars()
            .take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_')
            .collect();
        if name.is_empty() || name == "exit_group" {
            continue;
        }
        let count = counts.entry((pid.to_owned(), name.clone())).or_default();
        *count += 1;
        let most = most.entry(name).or_default();
        *most = (*most).max(*count);
    }
    let last = ("execve".to_owned(), 2);
    most.into_iter().flat_map(|(name, most)| (1..=most).map(move |when| (name.clone(), when))).chain([last]).collect()
}

/// Prints a line for each injection: what, the exit status, what the program printed, what vrfrun said.
fn inject(run: &str, injections: &[String]) -> String {
    format!(
        "cd /srv; mounts=$(wc -l </proc/self/mountinfo); for what in {}; do
            timeout -s KILL 10 strace -f -qq -o /dev/null -e trace=${{what%%:*}} -e inject=$what {run} >out 2>err
            echo \"$what $? $(tr '\\n' ';' <out) $(tr '\\n' ';' <err)\"
        done
        netns=$(stat -Lc %i /proc/self/ns/net); cgroups=$(findmnt -rnt cgroup2 -o TARGET | head -1)
        echo left: $(find $cgroups -path \"*/vrfrun-*-$netns*/cgroup.procs\" -exec cat {{}} +) $(
            find $cgroups -type d -name \"vrfrun-*-$netns*\" | tail -n +2) $(
            [ $mounts = $(wc -l </proc/self/mountinfo) ] || echo a mount) $(
            for p in /proc/[0-9]*; do
                [ \"$(cat $p/comm 2>/dev/null)\" = 'vrfrun: sockets' ] || continue
                [ \"$(stat -Lc %i $p/net/dev)\" = \"$(stat -Lc %i /proc/self/net/dev)\" ] && echo $p
            done)",
        injections.join(" ")
    )
}

/// What is wrong with the outcome, if anything is. strace ends when the last process does, so 137 is one that stayed.
fn fault(line: &str) -> Option<&'static str> {
    let (_, rest) = line.split_once(' ')?;
    let (status, said) = rest.split_once(' ')?;
    let has_started = said.starts_with("socket ");
    match status {
        "137" => Some("something did not end"),
        _ if said.contains("socket -") || said.contains("inet6 -") => Some("an unbound socket"),
        "0" if !has_started => Some("success without the program"),
        _ => None,
    }
}
