//! cgroup v1's net_cls in use. Before Linux 5.15 the programs of cgroup v2 then silently do not run any more, until
//! the next boot: vrfrun's proof must notice. Debian's 5.10.0-46 has the repair of 5.15 and binds. These tests are the
//! last of their machine.

use std::fs;
use std::io;

use nix::mount::{MsFlags, mount};

use super::guest_tests;
use crate::harness::judge::{Outcome, Verdict, root};
use crate::harness::world::{Kind, World};

guest_tests! {
    net_cls_in_use_never_lets_bpf_start_a_program_unbound,
    net_cls_in_use_leaves_the_other_mechanisms,
}

const DIRECTORY: &str = "/run/net_cls";
const CURL: [&str; 3] = ["curl", "-sS", "http://www.vrf.test/"];

/// A world in which this process, and what it starts, is in a class of its own.
fn world_with_a_class() -> World {
    let world = World::of_machine(Kind::Vrfs).expect("a world");
    fs::create_dir_all(DIRECTORY).expect("a directory");
    mount(Some("net_cls"), DIRECTORY, Some("cgroup"), MsFlags::empty(), Some("net_cls,net_prio"))
        .expect("net_cls, which Debian's kernels have");
    let class = format!("{DIRECTORY}/class");
    if let Err(error) = fs::create_dir(&class) {
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{error}");
    }
    fs::write(format!("{class}/net_cls.classid"), "0x100001").expect("a class");
    fs::write(format!("{class}/cgroup.procs"), std::process::id().to_string()).expect("a move");
    world
}

fn curl(world: &mut World, mechanism: &str) -> Verdict {
    world.judge(&root(["vrfrun", "-v", "-m", mechanism, "blue"].iter().chain(&CURL)))
}

/// `ip vrf exec` attaches such a program too and proves nothing: its packets say what this kernel does.
fn net_cls_in_use_never_lets_bpf_start_a_program_unbound() {
    let mut world = world_with_a_class();
    let unproved = world.judge(&root(["ip", "vrf", "exec", "blue"].iter().chain(&CURL)));
    let verdict = curl(&mut world, "bpf");
    match unproved.outcome {
        Outcome::Blue => verdict.assert_blue(),
        Outcome::Leak if release() < (5, 15) => {
            verdict.assert_says(125, "net_cls");
            verdict.assert_closed();
        }
        _ => panic!("net_cls changes what it must not change on this kernel: {unproved}"),
    }
    // Not the release tells vrfsetup, which distributions repair without changing it.
    let findings = world.judge(&root(["vrfsetup", "doctor", "-j"])).text();
    assert_eq!(findings.contains("\"net-cls\""), unproved.outcome == Outcome::Leak, "{findings}");
}

pub fn release() -> (u32, u32) {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").expect("a release");
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().expect("a number"));
    (numbers.next().expect("one"), numbers.next().expect("two"))
}

fn net_cls_in_use_leaves_the_other_mechanisms() {
    let mut world = world_with_a_class();
    for mechanism in ["auto", "preload", "seccomp"] {
        curl(&mut world, mechanism).assert_blue();
    }
}
