//! vrfsetup: what it changes, what it must leave alone, and what it undoes. This file holds what its tests and others
//! share: how it is run, and the kernel's state through a second path.
//!
//! Uses no other directory of tests. Never believes vrfsetup's own report alone: `ip -j` has to say the same.

pub mod apply_again;
pub mod apply_changes;
pub mod apply_seals;
pub mod at_once;
pub mod doctor_logins;
pub mod encaps;
pub mod faults;
pub mod lockout;
pub mod lockout_rules;
pub mod lockout_terminals;
pub mod moves_at_once;
pub mod moving;
pub mod moving_gone;
pub mod moving_shared;
pub mod neighbours;
pub mod port_advertised;
pub mod port_keeps;
pub mod port_keeps_above;
pub mod ports_in_use;
pub mod ports_of_moved;
pub mod prune;
pub mod random_faults;
pub mod random_worlds;
pub mod rules;
pub mod setup_declared;
pub mod setup_knowing;
pub mod setup_ports;
pub mod transactions;
pub mod tunnels;
pub mod undo;
pub mod user;
pub mod user_file;
pub mod user_inbound;
pub mod user_killed;
pub mod user_leaves;
pub mod user_limits;
pub mod user_moved;
pub mod user_out_of_sight;
pub mod user_unread;
pub mod user_ways;
pub mod users_at_once;
pub mod watch;
pub mod zones;

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::guest_tests;

use crate::harness::judge::{Verdict, root};
use crate::harness::vm::plan::DIRECTORY;
use crate::harness::wait;
use crate::harness::world::World;

/// Runs vrfsetup, which must end with this code.
#[track_caller]
pub fn vrfsetup(world: &mut World, code: i32, words: &str) -> Verdict {
    let verdict = world.judge(&root(["vrfsetup"].into_iter().chain(words.split_whitespace())));
    assert_eq!(verdict.code, code, "vrfsetup {words}: {verdict}");
    verdict
}

/// Takes users out of their VRFs, whether they are in one or not: for the end of a test, which may have failed.
pub fn take_out(users: &[&str]) {
    for user in users {
        let mut remove = Command::new(format!("{DIRECTORY}/vrfsetup"));
        let _ = remove.args(["user", "--remove", user]).stdout(Stdio::null()).status();
    }
}

/// Runs vrfsetup, which must succeed and say that it had nothing to do.
#[track_caller]
pub fn nothing_to_do(world: &mut World, words: &str) {
    let verdict = vrfsetup(world, 0, words);
    assert!(verdict.text().contains("unchanged: nothing to do"), "vrfsetup {words}: {verdict}");
}

/// What its JSON says.
#[track_caller]
pub fn json(verdict: &Verdict) -> Value {
    serde_json::from_str(&verdict.text()).unwrap_or_else(|error| panic!("{error}: {verdict}"))
}

/// The far end of its wire has gone down, and the kernel, which sees to that in its own time, has told its routes.
pub fn wait_for_no_carrier(world: &World, device: &str) {
    let shown = format!("link show dev {device}");
    wait::until(|| world.ip_json(&shown)[0]["operstate"].clone(), |operstate| operstate != "UP");
}

/// Everything that `ip -j` says of links, addresses, routes and rules, without what changes by itself or with a link
/// that is made again: indices, hardware addresses, carrier, remaining lifetimes, link-local addresses.
pub fn state(_: &World) -> String {
    state_here()
}

/// The same of the network namespace that this thread is in.
pub fn state_here() -> String {
    // As few processes as can be: some tests ask hundreds of times. With -d, `addr` shows what `link` does, too.
    let asked: [(&[&str], &str); 3] = [
        (&["-d"], "addr show\n"),
        (&["-N", "-4"], "route show table all\nrule show\n"),
        (&["-N", "-6"], "route show table all\nrule show\n"),
    ];
    let mut all = String::new();
    for (options, script) in asked {
        let mut lines: Vec<String> = ip_json(options, script).into_iter().filter_map(settled).collect();
        lines.sort();
        all += &format!("{options:?} {script}{}\n", lines.join("\n"));
    }
    all
}

/// The objects in the arrays that `ip -j` answers to the commands of a script.
fn ip_json(options: &[&str], script: &str) -> Vec<Value> {
    let mut ip = Command::new("ip");
    ip.arg("-j").args(options).args(["-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut ip = ip.spawn().expect("ip");
    ip.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("a script");
    let output = ip.wait_with_output().expect("ip");
    assert!(output.status.success(), "ip -j {options:?}, {script}: {}", output.status);
    let answers = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Vec<Value>>();
    answers.flat_map(|answer| answer.unwrap_or_else(|error| panic!("ip -j {options:?}, {script}: {error}"))).collect()
}

fn settled(mut entry: Value) -> Option<String> {
    let is_link_local =
        |value: &Value| value.as_str().is_some_and(|text| text.starts_with("fe80:") || text.starts_with("ff"));
    if is_link_local(&entry["dst"]) {
        return None;
    }
    let volatile =
        ["ifindex", "link_index", "address", "operstate", "valid_life_time", "preferred_life_time", "expires"];
    if let Some(addresses) = entry.get_mut("addr_info").and_then(Value::as_array_mut) {
        addresses.retain(|address| !is_link_local(&address["local"]));
        for address in addresses.iter_mut().filter_map(Value::as_object_mut) {
            volatile.iter().for_each(|key| drop(address.shift_remove(*key)));
        }
        addresses.sort_by_key(ToString::to_string);
    }
    let fields = entry.as_object_mut()?;
    if let Some(flags) = fields.get_mut("flags").and_then(Value::as_array_mut) {
        flags.retain(|flag| flag != "NO-CARRIER");
    }
    volatile.iter().for_each(|key| drop(fields.shift_remove(*key)));
    Some(entry.to_string())
}

/// Fails with the first line in which two states differ.
#[track_caller]
pub fn assert_same(before: &str, after: &str) {
    let differing = before.lines().zip(after.lines()).find(|(a, b)| a != b);
    if let Some((was, is)) = differing {
        panic!("was {was}\n is {is}");
    }
    let (more, fewer) = (before.lines().count(), after.lines().count());
    assert_eq!(more, fewer, "before:\n{before}\nafter:\n{after}");
}
