//! Fault injection: each system call between vrfrun's start and the program's is made to fail, one at a time, with each
//! of several errors, and then to succeed although the kernel did nothing. At no point does the program start unbound,
//! as another user or in another network namespace; what went wrong is one line and an exit status of vrfrun's own; and
//! nothing is left behind.

mod scene;

use std::collections::BTreeMap;
use std::fmt::Write;

use scene::{Who, play_after};

/// A scratch directory for everybody; a script that says whether the injection hit vrfrun or the program already; and
/// a second network namespace with another `blue`. The number of a network namespace that is gone is given away again: what
/// a call that only said it removed a cgroup has left there is no other scene's.
const SETTING: &str = r#"netns=$(stat -Lc %i /proc/self/ns/net); cgroups=$(findmnt -rnt cgroup2 -o TARGET | head -1)
find $cgroups -depth -type d -name "vrfrun-*-$netns*" -exec rmdir {} + || :
mount -t tmpfs tmpfs /srv; chmod 777 /srv
cat >/srv/where.awk <<'END'
/execve\("\/mnt\/probe"/ { started[$1] = 1 }
/INJECTED/ { where = $1 in started ? "program" : "vrfrun" }
END { print where ? where : "nowhere" }
END
mount -t tmpfs tmpfs /run; ip netns add other; ip -n other link set lo up
ip -n other link add blue index 77 type veth peer name far; ip -n other link set blue up; ip -n other link set far up"#;
/// What strace does to a call.
const INJECTIONS: [&str; 5] = ["error=EPERM", "error=ENOMEM", "error=EINTR", "error=EIO", LIE];
/// The kernel does nothing and says that it did.
const LIE: &str = "retval=0";
/// Nobody can lie about these and leave a process that works: mmap's zero is an address, and without the TLS register
/// there is no errno. Here it is enough that the program did not start.
const BEYOND_LIES: [&str; 2] = ["mmap", "arch_prctl"];
/// A listener that takes no answer keeps its client waiting for ever: closed, and there is nothing more to see.
const NO_LIE: &str = "ioctl";
/// One scene plays so many injections: each takes a few hundredths of a second, and a scene has ten minutes.
const PER_SCENE: usize = 80;

/// A command, and what its program prints where all is well.
struct Case {
    who: Who,
    options: &'static str,
    program: &'static str,
    prints: &'static str,
}

impl Case {
    /// As `who`, with these options, for a program that looks at its sockets.
    fn new(who: Who, options: &'static str) -> Self {
        Self { who, options, program: "probe socket inet6", prints: "socket blue~inet6 blue~" }
    }
}

#[test]
fn bpf_never_starts_a_program_unbound() {
    every_call_fails_in_its_turn(&Case::new(Who::Root, "-m bpf"));
}

#[test]
fn strict_never_starts_a_program_unbound() {
    every_call_fails_in_its_turn(&Case::new(Who::Root, "--strict"));
}

#[test]
fn preload_never_starts_a_program_unbound() {
    every_call_fails_in_its_turn(&Case::new(Who::User, "-m preload --dns 192.0.2.53"));
}

#[test]
fn the_gate_never_lets_a_program_start_unbound() {
    every_call_fails_in_its_turn(&Case::new(Who::User, "-m preload --no-supervisor"));
}

#[test]
fn seccomp_never_starts_a_program_unbound() {
    every_call_fails_in_its_turn(&Case::new(Who::Root, "-m seccomp --dns 192.0.2.53"));
}

#[test]
fn auto_never_starts_a_program_unbound() {
    every_call_fails_in_its_turn(&Case::new(Who::Root, ""));
}

#[test]
fn another_user_is_never_root_still() {
    every_call_fails_in_its_turn(&Case {
        program: "probe socket ids",
        prints: "socket blue~ids 65534 65534 1~",
        ..Case::new(Who::Root, "-u nobody -m preload --no-supervisor")
    });
}

#[test]
fn another_network_namespace_is_never_this_one() {
    every_call_fails_in_its_turn(&Case {
        program: "probe socket index",
        prints: "socket blue~index 77~",
        ..Case::new(Who::Root, "-n other -m preload --no-supervisor")
    });
}

fn every_call_fails_in_its_turn(case: &Case) {
    let Case { who, options, program, .. } = *case;
    let run = format!("vrfrun {options} --interface blue {program}");
    let calls = calls_before_the_program(who, &run);
    assert!(calls.len() > 30, "{options}: only {} calls were seen", calls.len());
    let injections: Vec<String> = calls
        .iter()
        .flat_map(|(name, when)| INJECTIONS.iter().map(move |what| (name, what, when)))
        .filter(|(name, what, _)| (name.as_str(), **what) != (NO_LIE, LIE))
        .map(|(name, what, when)| format!("{name}:{what}:when={when}"))
        .collect();
    let mut faults = String::new();
    let mut refused = 0;
    for part in injections.chunks(PER_SCENE) {
        let seen = play_after(SETTING, who, &inject(&run, part));
        let lines: Vec<String> = seen.stdout().lines().map(str::to_owned).collect();
        assert_eq!((seen.code(), lines.len()), (0, part.len() + 1), "{seen}");
        for line in &lines[..part.len()] {
            refused += usize::from(line.contains(" 125 "));
            if let Some(fault) = fault(line, case.prints) {
                let _ = writeln!(faults, "{fault}: {line}");
            }
        }
        if lines.last().is_none_or(|line| line != "left:") {
            let _ = writeln!(faults, "left behind: {:?} after {part:?}", lines.last());
        }
    }
    assert!(faults.is_empty(), "{options}:\n{faults}");
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

/// Prints a line for each injection: what, whom it hit, the exit status, what the program printed, what vrfrun said.
fn inject(run: &str, injections: &[String]) -> String {
    format!(
        "cd /srv; mounts=$(wc -l </proc/self/mountinfo); for what in {}; do
            timeout -s KILL 300 strace -f -qq -o trace -e trace=execve,${{what%%:*}} -e inject=$what {run} >out 2>err
            status=$?
            echo \"$what $(awk -f where.awk trace) $status $(tr '\\n' '~' <out)|$(tr '\\n' '~' <err)\"
        done
        netns=$(stat -Lc %i /proc/self/ns/net); cgroups=$(findmnt -rnt cgroup2 -o TARGET | head -1)
        echo left: $(find $cgroups -path \"*/vrfrun-*-$netns*/cgroup.procs\" -exec cat {{}} +) $(
            find $cgroups -type d -name \"vrfrun-*-$netns*\" | tail -n +2) $(
            [ $mounts = $(wc -l </proc/self/mountinfo) ] || echo a mount) $(
            [ $(stat -c %a /dev/null) = 666 ] || echo another mode of /dev/null) $(
            for p in /proc/[0-9]*; do
                [ \"$(cat $p/comm 2>/dev/null)\" = 'vrfrun: sockets' ] || continue
                [ \"$(stat -Lc %i $p/net/dev)\" = \"$(stat -Lc %i /proc/self/net/dev)\" ] && echo $p
            done)",
        injections.join(" ")
    )
}

/// What is wrong with the outcome, if anything is. strace ends when the last process does, so 137 is one that stayed.
fn fault(line: &str, prints: &str) -> Option<&'static str> {
    let mut words = line.splitn(4, ' ');
    let (what, hit, status) = (words.next()?, words.next()?, words.next()?);
    let (printed, said) = words.next()?.split_once('|')?;
    let call = what.split(':').next()?;
    if hit == "program" {
        // The program's own call: it may crash, or misread what it asks. Its sockets are bound all the same.
        let is_blind = call == "getsockopt";
        return (!is_blind && printed.contains(" -~")).then_some("an unbound socket");
    }
    match status {
        _ if what.contains(LIE) && BEYOND_LIES.contains(&call) => {
            (!printed.is_empty() && printed != prints).then_some("the program started, and not as it should")
        }
        "0" if printed == prints => None,
        // The supervisor ended later: its clients' calls fail.
        "0" if printed.split_terminator('~').all(|line| line.ends_with(" ENOSYS")) && !printed.is_empty() => None,
        "125" | "126" | "127" if !printed.is_empty() => Some("the program started, and did not get through"),
        "125" | "126" | "127" if errors(said) == 1 => None,
        "125" | "126" | "127" => Some("not one line of error"),
        "137" => Some("something did not end"),
        "0" => Some("success, and not what was asked for"),
        _ => Some("a crash"),
    }
}

/// How many lines are neither warnings nor hints.
fn errors(said: &str) -> usize {
    let is_more = |line: &&str| line.is_empty() || line.starts_with("hint: ") || line.starts_with("vrfrun: warning: ");
    said.split('~').filter(|line| !is_more(line)).count()
}
