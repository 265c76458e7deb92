//! What vrfrun takes from a program, and what it leaves: no_new_privs only where the kernel demands it.

mod scene;

use scene::{Who, play_after, root, user};

/// A program that says whether set-uid and file capabilities work: id, owned by nobody and set-uid.
const SET_UID: &str =
    "mount -t tmpfs tmpfs /srv; cp $(command -v id) /srv/id; chown nobody /srv/id; chmod 4755 /srv/id";

#[test]
fn root_keeps_the_right_to_gain_privileges() {
    for mechanism in ["bpf", "preload", "seccomp", "preload --no-supervisor"] {
        root(&format!("vrfrun -m {mechanism} --interface blue probe privileges")).prints("no_new_privs 0\n");
        play_after(SET_UID, Who::Root, &format!("vrfrun -m {mechanism} --interface blue /srv/id -un"))
            .prints("nobody\n");
    }
}

#[test]
fn a_plain_user_loses_it_as_the_kernel_demands() {
    for mechanism in ["preload", "seccomp", "preload --no-supervisor"] {
        user(&format!("vrfrun -m {mechanism} --interface blue probe privileges")).prints("no_new_privs 1\n");
    }
}

#[test]
fn a_set_uid_child_of_root_is_bound_too() {
    let setting = "mount -t tmpfs tmpfs /srv; cp /mnt/probe /srv/probe; chown nobody /srv/probe; chmod 4755 /srv/probe";
    for mechanism in ["bpf", "preload", "seccomp"] {
        let seen = play_after(setting, Who::Root, &format!("vrfrun -m {mechanism} --interface blue /srv/probe socket"));
        seen.prints("socket blue\n");
    }
}

#[test]
fn a_uring_cannot_be_had_where_no_filter_sees_its_sockets() {
    // From 7.0 on there is such a filter, and a ring; it is no socket, says the probe. The guest tests ask it for one.
    let release = nix::sys::utsname::uname().unwrap().release().to_str().unwrap().to_owned();
    let is_seen = release.split('.').next().unwrap().parse::<u32>().unwrap() >= 7;
    for mechanism in ["preload", "seccomp", "preload --no-supervisor"] {
        let expected = if is_seen { "uring ENOTSOCK\n" } else { "uring ENOSYS\n" };
        user(&format!("vrfrun -m {mechanism} --interface blue probe uring")).prints(expected);
    }
}

/// Before 5.16 a filter that does not say so costs the program its processor's speculation.
#[test]
fn no_filter_asks_for_less_speculation() {
    for (who, mechanism) in [(Who::Root, "seccomp"), (Who::User, "preload"), (Who::User, "preload --no-supervisor")] {
        let run = format!("strace -f -qq -e trace=seccomp -o /srv/trace vrfrun -m {mechanism} --interface blue true");
        let script = format!(
            "{run}; grep SECCOMP_SET_MODE_FILTER /srv/trace | grep -vc SPEC_ALLOW; grep -c SECCOMP_SET_MODE_FILTER /srv/trace"
        );
        let seen = play_after("mount -t tmpfs tmpfs /srv; chmod 777 /srv", who, &script);
        let counts: Vec<u32> = seen.stdout().lines().filter_map(|line| line.parse().ok()).collect();
        assert!(matches!(counts[..], [0, calls] if calls > 0), "{mechanism}: {seen}");
    }
}
