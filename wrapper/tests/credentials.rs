//! Nothing is lent: a socket that the supervisor makes is the caller's own in user, group, groups and rights, at each call;
//! what the caller may have, it gets.

mod scene;

use scene::{EVERYBODY, Who, play, play_after, root, user};

const SUPERVISED: &str = "vrfrun -m seccomp --interface blue ";
/// A plain user and group 1000.
const PLAIN: &str = "setpriv --reuid 1000 --regid 1000 --clear-groups ";
/// A program of root's that everybody runs as root.
const SET_UID: &str = "mount -t tmpfs tmpfs /srv; cp /mnt/probe-static /srv/probe; chmod 4755 /srv/probe";

fn range(groups: &str) -> String {
    format!("echo '{groups}' >/proc/sys/net/ipv4/ping_group_range")
}

#[test]
fn a_ping_socket_is_for_the_callers_own_groups() {
    let ping = |groups: &str, who: &str| {
        play_after(&range(groups), Who::Root, &format!("{SUPERVISED}{who} probe-static ping"))
    };
    ping("0 0", "").prints("ping blue\n");
    ping("0 0", PLAIN).prints("ping EACCES\n");
    ping("1000 1000", "").prints("ping EACCES\n");
    ping("1000 1000", PLAIN).prints("ping blue\n");
    ping("2000 2000", PLAIN).prints("ping EACCES\n");
    ping("2000 2000", "setpriv --reuid 1000 --regid 1000 --groups 1,2000,3").prints("ping blue\n");
    play_after(&range("0 0"), Who::User, &format!("{SUPERVISED} probe ping")).prints("ping EACCES\n");
}

#[test]
fn a_socket_is_its_callers_own() {
    for program in ["", PLAIN, "setpriv --reuid 1000 --regid 5 --clear-groups "] {
        root(&format!("{SUPERVISED}{program} probe-static owner")).prints("owner own blue\n");
    }
    user(&format!("{SUPERVISED} probe-static owner")).prints("owner own blue\n");
    root("vrfrun -m seccomp --interface -u nobody blue probe-static owner").prints("owner own blue\n");
    // A set-uid program of root's below it is root.
    play_after(
        SET_UID,
        Who::Root,
        "vrfrun -m seccomp --interface -u nobody blue sh -c 'probe owner; /srv/probe owner raw'",
    )
    .prints("owner own blue\nowner own blue\nraw blue\n");
}

#[test]
fn one_process_that_becomes_many_is_each_of_them() {
    let expected = "at first 0:0 blue\ngid 0:1000 blue\nuid 1000:1000 blue\nping EACCES\nroot again 0:1000 blue\n\
        fsuid 1234:1000 blue\nfsgid 1234:4321 blue\nping blue\nraw blue\nfor good 1000:4321 blue\nraw EPERM\n";
    play_after(&range("2000 2000"), Who::Root, &format!("{SUPERVISED} probe-static become")).prints(expected);
}

#[test]
fn a_raw_socket_is_for_who_may_have_one_here() {
    let raw = |who: &str| root(&format!("{SUPERVISED}{who} probe-static raw raw6"));
    raw("").prints("raw blue\nraw6 blue\n");
    raw(PLAIN).prints("raw EPERM\nraw6 EPERM\n");
    raw("setpriv --reuid 1000 --inh-caps +net_raw --ambient-caps +net_raw").prints("raw blue\nraw6 blue\n");
    raw("setpriv --bounding-set -net_raw").prints("raw EPERM\nraw6 EPERM\n");
    // All capabilities, but in a user namespace that does not own the network; and in one that has its own.
    raw("unshare -U --map-root-user").prints("raw EPERM\nraw6 EPERM\n");
    raw("unshare -Un --map-root-user").prints("raw -\nraw6 -\n");
    user(&format!("{SUPERVISED} probe-static raw")).prints("raw EPERM\n");
    user(&format!("{SUPERVISED} unshare -U --map-root-user probe-static raw")).prints("raw EPERM\n");
    user(&format!("{SUPERVISED} unshare -Un --map-root-user probe-static raw")).prints("raw -\n");
}

#[test]
fn who_has_but_the_one_capability_gets_its_raw_socket_too() {
    let with = |capabilities: &str| {
        let setpriv =
            format!("setpriv --reuid 1000 --clear-groups --inh-caps -all,{capabilities} --ambient-caps {capabilities}");
        root(&format!("exec {setpriv} {SUPERVISED} probe-static raw owner"))
    };
    with("+net_raw").prints("raw blue\nowner own blue\n");
    with("+net_raw,+net_admin,+syslog").prints("raw blue\nowner own blue\n");
    with("+net_admin").prints("raw EPERM\nowner own blue\n");
}

#[test]
fn a_root_of_a_user_namespace_serves_its_own() {
    let script = format!(
        "unshare -Urn sh -c 'ip link add blue type veth peer name far; {SUPERVISED} probe-static raw owner become'"
    );
    // Only one user and group are there to become.
    let seen = user(&script);
    assert!(seen.stdout().starts_with("raw blue\nowner own blue\nat first 0:0 blue\n"), "{seen}");
}

/// From outside, a plain user's process may be made another user (newuidmap). Its supervisor cannot become that one.
#[test]
fn who_became_somebody_that_the_supervisor_cannot_be_gets_nothing() {
    let script = "vrfrun=\"setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all vrfrun\"; mkfifo /srv/go
        $vrfrun -m seccomp --interface blue sh -c '
            unshare -U --keep-caps sh -c \"probe-static socket; echo \\$\\$ >/srv/pid; read go </srv/go
                exec setpriv --reuid 0 probe-static socket\"; probe-static socket' &
        until [ -s /srv/pid ]; do sleep 0.1; done
        echo 0 100000 1 >/proc/$(cat /srv/pid)/uid_map; echo >/srv/go; wait $!";
    play_after("mount -t tmpfs tmpfs /srv; chmod 777 /srv", Who::Root, script)
        .prints("socket blue\nsocket EACCES\nsocket blue\n");
}

#[test]
fn a_network_namespace_that_was_entered_is_noticed_at_once() {
    let expected = "netns own blue\nnetns own -\nnetns own blue\n";
    for mechanism in ["seccomp", "preload"] {
        root(&format!("vrfrun -m {mechanism} --interface blue probe-static entered")).prints(expected);
    }
    // In the same process, after its sockets were remembered.
    for who in EVERYBODY {
        play(who, &format!("{SUPERVISED} probe-static socket socket netns unshared socket"))
            .prints("socket blue\nsocket blue\nnetns own blue\nnetns own -\nsocket -\n");
    }
}

/// clone(2) with CLONE_NEWNET, which no filter shows where it is clone3(2), and then exec: the process has the number of its
/// first thread, which is remembered, and the network namespace of the other.
#[test]
fn a_thread_of_another_network_namespace_that_becomes_the_process_is_noticed() {
    for mechanism in ["seccomp", "preload"] {
        root(&format!("vrfrun -m {mechanism} --interface blue probe-static thread"))
            .prints("thread blue\nnetns own -\n");
    }
}

#[test]
fn the_device_that_a_socket_has_can_be_asked_for_again() {
    let as_user = "same ok\nsame with NUL ok\nsame index ok\npart ENODEV\nlonger ENODEV\nother EPERM\nother index EPERM\n\
        nothing EPERM\nno address EFAULT\nsame again ok\nrebind blue\n";
    for program in ["probe-static", "probe"] {
        user(&format!("{SUPERVISED} {program} rebind")).prints(as_user);
    }
    user("vrfrun -m preload --interface blue probe rebind").prints(as_user);
    // Behind the shim the filter leaves setsockopt alone, for speed.
    let seen = user("vrfrun -m preload --interface blue probe-static rebind");
    assert!(seen.stdout().starts_with("same EPERM\n"), "{seen}");
    // Who may rebind, may.
    let seen = root(&format!("{SUPERVISED} probe-static rebind"));
    assert!(seen.stdout().contains("other ok\nother index ok\nnothing ok\n"), "{seen}");
}
