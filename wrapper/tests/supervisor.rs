//! The supervisor as a process: nobody's child, without rights, holding nothing of the program's, gone with its last
//! client, and closed when it dies.

mod scene;

use scene::{EVERYBODY, Who, play, play_after, root, user};

/// Finds the supervisor of this scene: the process by that name in this network namespace. `$up` and `$go` are pipes by
/// which the script and its program wait for each other, however slow the machine is; `gone` waits for its end.
const FIND: &str = "up=$(mktemp -u) go=$(mktemp -u); mkfifo $up $go; trap 'rm -f $up $go' EXIT
    gone() { while [ \"$(supervisor)\" ]; do sleep 0.05; done; }
    supervisor() { for p in /proc/[0-9]*; do
    [ \"$(cat $p/comm 2>/dev/null)\" = 'vrfrun: sockets' ] || continue
    [ \"$(stat -Lc %i $p/net/dev)\" = \"$(stat -Lc %i /proc/self/net/dev)\" ] && echo ${p#/proc/}; done; }; ";

fn with_supervisor(who: Who, script: &str) -> scene::Seen {
    play(who, &format!("{FIND}{script}"))
}

#[test]
fn no_capability_is_in_effect() {
    let script = "vrfrun -m seccomp --interface blue sh -c \"echo >$up; exec sleep 60\" & read x <$up
        grep CapEff /proc/$(supervisor)/status; kill $!";
    for who in EVERYBODY {
        with_supervisor(who, script).prints("CapEff:\t0000000000000000\n");
    }
    let permitted = script.replace("CapEff", "CapPrm");
    with_supervisor(Who::Root, &permitted).prints("CapPrm:\t00000000000820c0\n"); // for what it does as its callers
    with_supervisor(Who::User, &permitted).prints("CapPrm:\t0000000000000000\n");
}

#[test]
fn nothing_of_the_callers_is_kept() {
    let script = "cd /tmp; exec 7</etc/passwd; vrfrun -m seccomp --interface blue sh -c \"echo >$up; exec sleep 60\" &
        read x <$up; p=/proc/$(supervisor); readlink $p/cwd; readlink $p/fd/* | sort | sed 's/[0-9]*//g'; cut -d' ' -f6,7 $p/stat |
        sed \"s/^$(supervisor) /own-session /\"; kill $!";
    // comm has a blank in it, so fields 6 and 7 of stat are the process group and the session.
    // ... and the processes that it remembers.
    let head = "/\n/dev/null\n/dev/null\n/dev/null\n/proc\n/proc//net\n";
    // A pidfd tells the credentials from 6.13 on.
    let witnesses = ["anon_inode:[pidfd]\nanon_inode:seccomp notify\n", "/proc//status\nanon_inode:seccomp notify\n"];
    let seen = with_supervisor(Who::Root, script);
    assert!(witnesses.iter().any(|rest| seen.stdout().starts_with(&format!("{head}{rest}"))), "{seen}");
    assert!(seen.stdout().contains("own-session"), "{seen}");
}

#[test]
fn it_leaves_with_its_last_client() {
    for who in EVERYBODY {
        let script = "vrfrun -m seccomp --interface blue sh -c \"(read x <$go; :) & :\"
            supervisor | wc -l; echo >$go; gone; echo gone";
        with_supervisor(who, script).prints("1\ngone\n");
    }
}

#[test]
fn a_root_file_system_with_nothing_in_it_will_do() {
    let script = "mount -t tmpfs none /srv; mkdir /srv/proc; mount --rbind /proc /srv/proc
        cp /mnt/vrfrun /mnt/probe-static /srv; exec chroot /srv /vrfrun -m seccomp --interface blue /probe-static socket";
    play(Who::Root, script).prints("socket blue\n");
}

#[test]
fn when_it_is_killed_sockets_fail() {
    let script = "vrfrun -m seccomp --interface blue sh -c \"echo >$up; read x <$go; probe socket inet6 unix\" &
        read x <$up; kill -9 $(supervisor); gone; echo >$go; wait $!";
    for who in EVERYBODY {
        with_supervisor(who, script).prints("socket ENOSYS\ninet6 ENOSYS\nunix -\n");
    }
    // The shim's own sockets need nobody.
    with_supervisor(Who::User, &script.replace("seccomp", "preload")).prints("socket blue\ninet6 blue\nunix -\n");
}

#[test]
fn the_program_finds_no_child_that_it_never_made() {
    let subreaper = "perl -e 'syscall(157, 36, 1, 0, 0, 0); exec @ARGV' "; // PR_SET_CHILD_SUBREAPER
    for who in EVERYBODY {
        for before in ["", subreaper] {
            for mechanism in ["seccomp", "preload"] {
                let seen = play(
                    who,
                    &format!("exec {before} vrfrun -m {mechanism} --interface blue probe-static child socket"),
                );
                seen.prints("child ECHILD\nsocket blue\n");
            }
        }
    }
}

#[test]
fn process_1_of_a_pid_namespace_finds_no_child_either() {
    for mechanism in ["seccomp", "preload"] {
        let script = format!(
            "unshare --pid --fork --mount-proc vrfrun -m {mechanism} --interface blue probe-static child socket"
        );
        root(&script).prints("child ECHILD\nsocket blue\n");
    }
}

/// It is process 1's to wait for, as every orphan. Prints the state in which it stays, if it stays.
#[test]
fn where_process_1_waits_for_nobody_the_supervisor_stays_a_zombie() {
    let setting = "mount -t tmpfs tmpfs /srv; cat >/srv/run <<'END'
state() { sed -n 's/^[0-9]* (vrfrun: sockets) \\(.\\) .*/\\1/p' /proc/[0-9]*/stat 2>/dev/null; }
until [ \"$(cat /proc/1/comm)\" != sh ]; do sleep 0.1; done
[ \"$(cat /proc/1/comm)\" = sleep ] || until [ -e /srv/ready ]; do sleep 0.1; done
vrfrun -m seccomp --interface blue true
until [ -z \"$(state)\" ] || [ \"$(state)\" = Z ]; do sleep 0.1; done
echo \"state $(state)\"; vrfrun -m seccomp --interface blue probe-static socket; : >/srv/end
END";
    let reaps = "perl -e '$SIG{CHLD} = q(IGNORE); open F, q(>/srv/ready); sleep 1 for 1 .. 600'";
    for (process_1, state) in [("sleep 600", "Z"), (reaps, "")] {
        let process_1 = process_1.replace('$', "\\$");
        let script = format!(
            "unshare --pid --fork --kill-child --mount-proc sh -c \"setsid sh /srv/run & exec {process_1}\" &
            until [ -e /srv/end ]; do sleep 0.1; done; kill -9 $!; wait $! 2>/dev/null; :"
        );
        let seen = play_after(setting, Who::Root, &script);
        seen.prints(&format!("state {state}\nsocket blue\n"));
    }
}

/// The parent has the same number in its pid namespace as its child in the next one.
#[test]
fn what_is_forked_into_a_pid_namespace_of_its_own_never_goes_on_as_its_parent() {
    for options in ["-m bpf", "-m preload", "-m seccomp", "-m preload --no-supervisor", ""] {
        let script = format!(
            "unshare --pid --fork --mount-proc sh -c 'exec unshare --pid vrfrun {options} --interface blue echo once'"
        );
        let seen = root(&script);
        assert!(seen.stdout().lines().count() <= 1, "{options}: {seen}");
        assert!([0, 125].contains(&seen.code()), "{options}: {seen}");
    }
}

#[test]
fn a_pipe_ends_when_the_program_does() {
    for who in EVERYBODY {
        for mechanism in ["seccomp", "preload"] {
            // `sleep` inherits nothing but the supervisor's filter, and keeps the supervisor alive.
            let script = format!(
                "vrfrun -m {mechanism} --interface blue sh -c 'sleep 1000 >/dev/null 2>&1 & echo one; echo two' | head -1; until pkill --ns $$ --nslist net sleep; do sleep 0.1; done"
            );
            // Were the pipe held open, the scene would end before `sleep` does.
            play(who, &script).prints("one\n");
        }
    }
}

#[test]
fn under_another_supervisor_the_gate_stands_in_and_says_so() {
    // An outer run for another device holds the only listener; from inside, `red` can be had by the gate alone, which
    // the outer filter forestalls: so nothing runs.
    let seen = user("vrfrun -m seccomp --interface blue vrfrun -v -m preload --interface red probe socket");
    seen.fails(125, "red");
    assert_eq!(seen.stdout(), "");
    // A foreign supervisor that lets sockets pass leaves room for the gate.
    let seen = user("ancestor listener vrfrun -v -m preload --interface blue probe socket");
    seen.prints("socket blue\n");
    let words = "guard=gate (another supervisor is above this process)";
    assert!(seen.stderr().contains(words), "'{words}' is not in stderr\n{seen}");
    user("ancestor listener vrfrun -m seccomp --interface blue probe socket").fails(125, "another supervisor");
}

#[test]
fn a_proc_that_hides_processes_hides_them_from_plain_users_at_most() {
    let setting = "mount -t proc -o hidepid=2 proc /proc";
    for who in EVERYBODY {
        play_after(setting, who, "vrfrun -m seccomp --interface blue probe socket").prints("socket blue\n");
    }
    let script = "vrfrun -m seccomp --interface -u nobody blue probe-static socket raw ping";
    let setting = format!("{setting}; echo 0 0 >/proc/sys/net/ipv4/ping_group_range");
    play_after(&setting, Who::Root, script).prints("socket blue\nraw EPERM\nping EACCES\n");
}

/// What vrfrun says inside; each must keep all of it from the default domain.
const IN_FOREIGN_PROC: &str = "vrfrun -m seccomp --interface blue probe socket; echo \\$?
    vrfrun -m preload --interface blue probe socket; vrfrun -m preload --interface blue probe-static socket; echo \\$?
    vrfrun -v -m preload --interface blue sh -c 'probe-static socket unix'";

fn closes_in_foreign_proc(script: &str) {
    let seen = play_after("mount -t tmpfs tmpfs /srv; mkdir /srv/p", Who::Root, script);
    // The shim needs nobody; what it cannot enter is refused or denied.
    assert_eq!(seen.stdout(), "125\nsocket blue\n125\nsocket ENETUNREACH\nunix -\n", "{script}\n{seen}");
    assert!(seen.stderr().contains("guard=gate (/proc is of another pid namespace)"), "{seen}");
}

#[test]
fn another_pid_namespaces_proc_is_not_believed() {
    closes_in_foreign_proc(&format!("unshare -p --fork sh -c \"{IN_FOREIGN_PROC}\""));
    closes_in_foreign_proc(&format!(
        "mount --bind /proc /srv/p; unshare -p --fork --mount-proc sh -c \"mount --bind /srv/p /proc; {IN_FOREIGN_PROC}\""
    ));
}

#[test]
fn what_is_no_proc_at_all_is_not_believed_either() {
    let fake = "mount -t tmpfs tmpfs /proc; mkdir -p /proc/self/fd; ";
    root(&format!("{fake} vrfrun -m seccomp --interface blue probe socket")).fails(125, "/proc");
}

/// The supervisor may by chance have the same number in both.
#[test]
fn a_number_that_is_the_same_in_both_namespaces_changes_nothing() {
    // It is noticed after the filter is there, when no gate can stand in any more.
    for mechanism in ["seccomp", "preload"] {
        let script = format!(
            "unshare -p --fork --mount-proc unshare -p --fork sh -c '
            read outer rest </proc/self/stat; echo $outer >/proc/sys/kernel/ns_last_pid
            sh -c \"read outer rest </proc/self/stat; echo \\$\\$ \\$outer\"
            vrfrun -m {mechanism} --interface blue probe socket'"
        );
        let seen = root(&script);
        let stdout = seen.stdout();
        let numbers: Vec<&str> = stdout.split_whitespace().collect();
        assert!(matches!(numbers[..], [inner, outer] if inner == outer), "{seen}");
        seen.fails(125, "/proc is of another pid namespace than the supervisor");
    }
}

#[test]
fn ones_own_proc_is_whatever_was_unshared() {
    for unshare in ["unshare -p --fork --mount-proc", "unshare -Urp --fork --mount-proc"] {
        for who in EVERYBODY {
            let program = "sh -c 'probe-static socket; unshare -p --fork probe-static socket'";
            let program = if unshare.contains('U') || who == Who::Root { program } else { continue };
            play(who, &format!("{unshare} vrfrun -m seccomp --interface blue {program}"))
                .prints("socket blue\nsocket blue\n");
        }
    }
}

#[test]
fn who_is_outside_the_supervisors_pid_namespace_is_refused() {
    // Without --fork, vrfrun stays outside, and what it forks is inside.
    let seen = root("unshare -p vrfrun -m seccomp --interface blue probe socket");
    assert_eq!((seen.code(), seen.stdout().as_str()), (125, ""), "{seen}");
}

#[test]
fn who_wants_no_supervisor_gets_none_by_auto_either() {
    let seen = user("vrfrun --no-supervisor --interface blue probe-static socket");
    seen.fails(125, "statically linked");
    assert_eq!(seen.stdout(), "");
    user("vrfrun -v --no-supervisor --interface blue sh -c 'probe socket; probe-static socket'")
        .prints("socket blue\nsocket ENETUNREACH\n");
}
