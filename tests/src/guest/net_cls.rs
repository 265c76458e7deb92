//! cgroup v1's net_cls in use. Before Linux 5.15 the programs of cgroup v2 then silently do not run any more, until
//! the next boot: vrfrun's proof must notice. Debian's 5.10.0-46 was seen to bind all the same; a kernel that does not
//! must be refused. These tests are the last of their machine.

use std::fs;
use std::io;

use nix::mount::{MsFlags, mount};

use super::guest_tests;
use crate::judge::{Verdict, root};
use crate::world::{Kind, World};

guest_tests! {
    net_cls_in_use_never_lets_bpf_start_a_program_unbound,
    net_cls_in_use_leaves_the_other_mechanisms,
}

const FOLDER: &str = "/run/net_cls";
const CURL: [&str; 3] = ["curl", "-sS", "http://www.vrf.test/"];

/// A world in which this process, and what it starts, is in a class of its own.
fn world_with_a_class() -> World {
    let world = World::of_machine(Kind::Vrfs).expect("a world");
    fs::create_dir_all(FOLDER).expect("a folder");
    mount(Some("net_cls"), FOLDER, Some("cgroup"), MsFlags::empty(), Some("net_cls,net_prio"))
        .expect("net_cls, which Debian's kernels have");
    let class = format!("{FOLDER}/class");
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

fn net_cls_in_use_never_lets_bpf_start_a_program_unbound() {
    let mut world = world_with_a_class();
    let verdict = curl(&mut world, "bpf");
    if verdict.code == 125 {
        verdict.assert_says(125, "net_cls");
        verdict.assert_closed();
    } else {
        verdict.assert_blue();
    }
}

fn net_cls_in_use_leaves_the_other_mechanisms() {
    let mut world = world_with_a_class();
    for mechanism in ["auto", "preload", "seccomp"] {
        curl(&mut world, mechanism).assert_blue();
    }
}
