//! Every program in every variant, before the verifier of this machine's kernel (root; 6.1 or later).

use std::os::fd::AsRawFd;

use vrfbpf::programs::{Rescue, Target, bind, connect, create, egress, sendmsg, setsockopt};
use vrfbpf::{Hook, List, Program, Tags, User, Users};

/// Loads it; what the verifier says is in the panic.
fn accept(what: &str, hook: Hook, program: &Program) {
    if let Err(errno) = vrfbpf::load(hook, program) {
        panic!("{what}: {errno}\n{}", vrfbpf::verifier_log(hook, program).unwrap_or_default());
    }
}

/// Runs a check for each kind of target.
fn each_target(check: impl Fn(&Target<'_>)) {
    let tags = Tags::create().expect("a map of tags");
    for netns in [None, vrfbpf::netns_cookie()] {
        for tags in [None, Some(tags.as_raw_fd())] {
            for name in [&b"blue"[..], b"fifteen-letters"] {
                check(&Target { ifindex: 7, name, netns, tags });
            }
        }
    }
}

#[test]
fn the_kernel_takes_every_program_at_a_socket_address() {
    each_target(|target| {
        for rescue in [Rescue::BindAll, Rescue::BindOwn, Rescue::Deny] {
            for hook in [Hook::CONNECT4, Hook::CONNECT6] {
                accept("connect", hook, &connect(target, rescue));
            }
            for hook in [Hook::BIND4, Hook::BIND6] {
                accept("bind", hook, &bind(target, rescue));
            }
            for hook in [Hook::SENDMSG4, Hook::SENDMSG6] {
                accept("sendmsg", hook, &sendmsg(target, rescue));
            }
        }
    });
}

#[test]
fn the_kernel_takes_every_program_of_sockets_and_packets() {
    let ports = List::make(7, 1, 2).expect("a map of ports");
    each_target(|target| {
        for allowed in [false, true] {
            accept("create", Hook::SOCK_CREATE, &create(target, allowed));
            accept("setsockopt", Hook::SETSOCKOPT, &setsockopt(target, ports.as_raw_fd(), allowed));
        }
        accept("egress", Hook::EGRESS, &egress(target, ports.as_raw_fd()));
    });
}

/// On a cgroup of its own, in which nobody is: attached, found again, and gone without a trace.
#[test]
fn the_kernel_takes_every_program_of_users_and_gives_them_back() {
    let root = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mount = root.lines().find(|line| line.contains(" - cgroup2 ")).and_then(|line| line.split(' ').nth(4));
    let path = std::path::Path::new(mount.expect("cgroup2")).join(format!("vrfbpf-test-{}", std::process::id()));
    std::fs::create_dir(&path).expect("a cgroup");
    let cgroup = std::fs::File::open(&path).expect("a cgroup");
    let alice = User { uid: 12345, ifindex: 7, vrf: b"fifteen-letters".to_vec(), group: Some(990) };
    let outcome = std::panic::catch_unwind(|| {
        let users = Users::make().expect("a map of users");
        users.set(&alice).expect("a user");
        users.attach(&cgroup).expect("the programs");
        users.attach(&cgroup).expect("nothing to attach");
        drop(users);
        let users = Users::find(&cgroup).expect("a look").expect("the map");
        assert_eq!(users.all(), Ok(vec![alice.clone()]));
        assert!(users.is_guarded());
        assert_eq!(
            (users.write_devices(&[(3, 7), (9, 8)]), users.write_devices(&[(3, 7), (9, 8)])),
            (Ok(true), Ok(false))
        );
        assert_eq!((users.write_devices(&[(3, 8)]), users.devices()), (Ok(true), Ok(vec![(3, 8)])));
        assert_eq!(users.is_attached(&cgroup), Ok(true));
        for hook in [Hook::SOCK_CREATE, Hook::EGRESS, Hook::INGRESS] {
            assert_eq!(vrfbpf::attached(hook, &cgroup).map(|ids| ids.len()), Ok(1));
        }
        users.remove(alice.uid).expect("the user removed");
        Users::detach_all(&cgroup).expect("the programs detached");
        assert_eq!(users.is_attached(&cgroup), Ok(false));
        assert!(Users::find(&cgroup).expect("a look").is_none());
    });
    std::fs::remove_dir(&path).expect("the cgroup removed");
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}
