//! Logins under logind, which moves each into a cgroup of its own.

use std::fs;
use std::path::Path;

use super::guest_tests;
use super::machine::{machine, reload_sshd, systemctl};
use crate::guest::setup::vrfsetup;
use crate::harness::judge::{Verdict, root};
use crate::harness::world::plan::{OWN4, WEB4};
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    a_login_is_taken_out_of_its_services_vrf_and_the_recipe_keeps_it_in,
    su_with_a_login_shell_leaves_the_cgroup_and_neither_the_filter_nor_the_supervisor,
}

/// A command line that logs in from the far end of a domain's link and runs these words there.
pub fn ssh(world: &mut World, from: Domain, words: &str) -> Vec<String> {
    const KEY: &str = "/root/.ssh/id_ed25519";
    if !Path::new(KEY).exists() {
        fs::create_dir_all("/root/.ssh").expect("a directory");
        let made = world.judge(&root(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", KEY]));
        assert_eq!(made.code, 0, "{made}");
        fs::copy(format!("{KEY}.pub"), "/root/.ssh/authorized_keys").expect("a key");
    }
    let target = format!("root@{OWN4}");
    let unknown = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"];
    let ssh: Vec<&str> = ["ssh"].into_iter().chain(unknown).chain(["-i", KEY, &target, words]).collect();
    world.at_peer(from, &ssh)
}

/// As in docs/recipes.md.
const RECIPE: &str = "ForceCommand vrfrun blue sh -c \"${SSH_ORIGINAL_COMMAND:-exec $SHELL -l}\"\n";
const FILE: &str = "/etc/ssh/sshd_config.d/vrf.conf";

/// The documented leak, and what fixes it.
fn a_login_is_taken_out_of_its_services_vrf_and_the_recipe_keeps_it_in() {
    let mut world = machine(Kind::Vrfs);
    vrfsetup(&mut world, 0, "unit blue ssh.service");
    systemctl(&mut world, 0, "restart ssh.service");
    let without = fetched_by_a_login(&mut world);
    assert_eq!((without.code, without.answers.as_slice()), (0, [Domain::Default].as_slice()), "{without}");
    fs::write(FILE, RECIPE).expect("sshd's configuration");
    reload_sshd(&mut world);
    let with = fetched_by_a_login(&mut world);
    fs::remove_file(FILE).expect("the file");
    assert_eq!((with.code, with.answers.as_slice()), (0, [Domain::Blue].as_slice()), "{with}");
    assert_eq!(with.packets(Domain::Default) + with.packets(Domain::Red), 0, "{with}");
    vrfsetup(&mut world, 0, "unit blue ssh.service --remove");
}

fn fetched_by_a_login(world: &mut World) -> Verdict {
    let words = ssh(world, Domain::Blue, &format!("curl -sS -m 60 http://{WEB4}/"));
    world.judge(&root(&words))
}

/// `su -` opens a session as well, and clears LD_PRELOAD: the documented leak of `bpf`, and the ways that hold.
fn su_with_a_login_shell_leaves_the_cgroup_and_neither_the_filter_nor_the_supervisor() {
    let mut world = machine(Kind::Vrfs);
    let curl = format!("cat /proc/self/cgroup; curl -sS -m 60 http://{WEB4}/");
    for (mechanism, expected) in [("bpf", Domain::Default), ("preload", Domain::Blue), ("seccomp", Domain::Blue)] {
        let verdict = world.judge(&root(["vrfrun", "-m", mechanism, "blue", "su", "-", "root", "-c", &curl]));
        assert!(verdict.text().contains("/session-"), "logind made no session of it: {verdict}");
        assert_eq!((verdict.code, verdict.answers.as_slice()), (0, [expected].as_slice()), "{mechanism}: {verdict}");
        let elsewhere = [Domain::Default, Domain::Blue, Domain::Red].into_iter().filter(|&domain| domain != expected);
        assert_eq!(elsewhere.map(|domain| verdict.packets(domain)).sum::<u64>(), 0, "{mechanism}: {verdict}");
    }
}
