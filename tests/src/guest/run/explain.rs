//! `vrfrun --explain` on each kind of machine, word for word: explain/*.txt is what a user reads there, stdout first.

use nix::mount::{MsFlags, mount};

use super::containers::{self, Image, Inside};
use super::guest_tests;
use crate::harness::judge::{Order, Verdict, root, user};
use crate::harness::world::{Kind, World};

guest_tests! {
    as_root,
    as_a_user,
    in_a_container,
    in_a_network_namespace_of_its_own,
    where_packets_could_fall_through,
    where_there_is_no_such_vrf,
    where_the_vrf_module_is_not_loaded,
}

const EXPLAIN: [&str; 3] = ["vrfrun", "--explain", "blue"];

/// Exit code and text, with N for the interface's number.
#[track_caller]
fn assert_reads(verdict: &Verdict, code: i32, expected: &str) {
    let text = verdict.text() + &verdict.error_text();
    let text = match text.split_once("ifindex ") {
        Some((before, after)) => format!("{before}ifindex N{}", after.trim_start_matches(|c: char| c.is_ascii_digit())),
        None => text,
    };
    assert_eq!(text, expected, "{verdict}");
    assert_eq!(verdict.code, code, "{verdict}");
}

fn reads(order: &Order, code: i32, expected: &str) {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    assert_reads(&world.judge(order), code, expected);
}

fn as_root() {
    reads(&root(EXPLAIN), 0, include_str!("explain/root.txt"));
}

fn as_a_user() {
    reads(&user(EXPLAIN), 0, include_str!("explain/user.txt"));
}

fn in_a_container() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    let image = Image::musl(&world);
    let explain = ["/bin/vrfrun", "--explain", "blue"];
    let verdict = containers::judge(&mut world, &image, Inside::Root, &explain);
    assert_reads(&verdict, 0, include_str!("explain/container.txt"));
    let verdict = containers::judge(&mut world, &image, Inside::User, &explain);
    assert_reads(&verdict, 0, include_str!("explain/user.txt"));
}

/// Before 5.14 a BPF program knows the machine's own network namespace only.
fn in_a_network_namespace_of_its_own() {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("a release");
    let mut numbers = release.split('.').map_while(|number| number.parse::<u32>().ok());
    let is_old = (numbers.next(), numbers.next()) < (Some(5), Some(14));
    let [old, new] = [include_str!("explain/old_kernel.txt"), include_str!("explain/root.txt")];
    let expected = if is_old { old } else { new };
    let mut world = World::new(Kind::Vrfs).expect("a world");
    assert_reads(&world.judge(&root(EXPLAIN)), 0, expected);
}

fn where_packets_could_fall_through() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    world.ip("route del default table 10");
    world.ip("route del unreachable default table 10 metric 4278198272");
    assert_reads(&world.judge(&user(EXPLAIN)), 0, include_str!("explain/unsealed.txt"));
}

fn where_there_is_no_such_vrf() {
    reads(&user(["vrfrun", "--explain", "purple"]), 125, include_str!("explain/no_such_vrf.txt"));
}

/// As a machine shows itself on which no VRF was ever made: a module that is loaded never goes again.
fn where_the_vrf_module_is_not_loaded() {
    let mut world = World::of_machine(Kind::Bare).expect("a world");
    mount(Some("none"), "/sys/module", Some("tmpfs"), MsFlags::empty(), None::<&str>).expect("an empty /sys/module");
    assert_reads(&world.judge(&user(EXPLAIN)), 125, include_str!("explain/no_module.txt"));
}
