//! What leads from one state to another.

use super::*;
use crate::model::rule::{TABLE_LOCAL, TABLE_MAIN};

fn vrf(name: &str, table: u32) -> Vrf {
    Vrf { name: name.into(), table, is_emulated: false, is_up: true, sealed: [Family::V4, Family::V6].into() }
}

fn state(vrfs: &[(u32, Vrf)], ports: &[(u32, &str, u32)], rules: &[Rule]) -> State {
    let port = |&(ifindex, name, vrf): &(u32, &str, u32)| (ifindex, Port { name: name.to_owned(), vrf });
    State { vrfs: vrfs.iter().cloned().collect(), ports: ports.iter().map(port).collect(), rules: rules.to_vec() }
}

fn lines(before: &State, now: &State) -> Vec<String> {
    before.changes(now).iter().map(ToString::to_string).collect()
}

fn rule(priority: u32, table: u32) -> Rule {
    Rule::lookup(Family::V4, priority, table)
}

#[test]
fn what_is_the_same_has_no_line() {
    let one = state(&[(5, vrf("blue", 10))], &[(6, "eth1", 5)], &[rule(0, TABLE_LOCAL)]);
    assert_eq!(lines(&one, &one), [""; 0]);
}

#[test]
fn a_vrf_comes_down_and_unsealed_and_goes_at_once() {
    let (none, one) = (State::default(), state(&[(5, vrf("blue", 10))], &[(6, "eth1", 5)], &[]));
    let come = ["vrf blue added, table 10", "vrf blue up", "vrf blue sealed (ipv4)", "vrf blue sealed (ipv6)"];
    assert_eq!(lines(&none, &one), [&come[..], &["port eth1 attached to blue"]].concat());
    assert_eq!(lines(&one, &none), ["port eth1 detached from blue", "vrf blue deleted, table 10"]);
}

#[test]
fn a_vrf_with_another_index_or_table_is_another_one() {
    let one = state(&[(5, vrf("blue", 10))], &[(6, "eth1", 5)], &[]);
    for other in [state(&[(7, vrf("blue", 10))], &[(6, "eth1", 7)], &[]), state(&[(5, vrf("blue", 11))], &[], &[])] {
        let lines = lines(&one, &other);
        assert!(lines.contains(&"vrf blue deleted, table 10".to_owned()), "{lines:?}");
        assert!(lines.iter().any(|line| line.starts_with("vrf blue added")), "{lines:?}");
        assert_eq!(lines[0], "port eth1 detached from blue");
    }
}

/// An emulated VRF has its port's index.
#[test]
fn a_port_whose_vrf_is_another_one_with_its_index_goes_and_comes() {
    let one = state(&[(6, vrf("g1", 10))], &[(6, "eth1", 6)], &[]);
    let other = state(&[(6, vrf("g2", 11))], &[(6, "eth1", 6)], &[]);
    let lines = lines(&one, &other);
    assert_eq!(lines[..2], ["port eth1 detached from g1", "vrf g1 deleted, table 10"]);
    assert_eq!(lines.last().map(String::as_str), Some("port eth1 attached to g2"));
}

#[test]
fn each_change_of_a_vrf_has_its_line() {
    let one = state(&[(5, vrf("blue", 10))], &[(6, "eth1", 5)], &[]);
    let changed = Vrf { name: "green".into(), is_up: false, sealed: [Family::V4].into(), ..vrf("blue", 10) };
    let other = state(&[(5, changed)], &[(6, "eth9", 5)], &[]);
    let expected =
        ["vrf blue renamed to green", "vrf green down", "vrf green unsealed (ipv6)", "port eth1 renamed to eth9"];
    assert_eq!(lines(&one, &other), expected);
    let expected = ["vrf green renamed to blue", "vrf blue up", "vrf blue sealed (ipv6)", "port eth9 renamed to eth1"];
    assert_eq!(lines(&other, &one), expected);
}

#[test]
fn a_port_that_moves_leaves_first() {
    let vrfs = [(5, vrf("blue", 10)), (7, vrf("red", 20))];
    let (blue, red) = (state(&vrfs, &[(6, "eth1", 5)], &[]), state(&vrfs, &[(6, "eth1", 7)], &[]));
    assert_eq!(lines(&blue, &red), ["port eth1 detached from blue", "port eth1 attached to red"]);
}

#[test]
fn rules_of_one_preference_keep_the_order_of_their_making() {
    let rules = |tables: &[u32]| state(&[], &[], &tables.iter().map(|table| rule(7, *table)).collect::<Vec<_>>());
    let line = |what: &str, table: u32| format!("rule {what} (ipv4) 7: from all lookup {table}");
    assert_eq!(lines(&rules(&[1, 2, 3]), &rules(&[1, 3])), [line("deleted", 2)]);
    assert_eq!(lines(&rules(&[1, 2]), &rules(&[1, 2, 3])), [line("added", 3)]);
    // Deleted and made again: it is behind the others.
    assert_eq!(lines(&rules(&[1, 2, 3]), &rules(&[2, 3, 1])), [line("deleted", 1), line("added", 1)]);
    // Of two twins it does not matter which.
    assert_eq!(lines(&rules(&[1, 1]), &rules(&[1])), [line("deleted", 1)]);
}

#[test]
fn rules_of_other_preferences_and_families_do_not_mix() {
    let one = [rule(0, TABLE_LOCAL), rule(32766, TABLE_MAIN)];
    let six = Rule { family: Family::V6, ..rule(0, TABLE_LOCAL) };
    let other = [rule(0, TABLE_LOCAL), Rule::l3mdev(Family::V4, 1000), rule(32766, TABLE_MAIN), six];
    let expected = ["rule added (ipv4) 1000: from all l3mdev", "rule added (ipv6) 0: from all lookup local"];
    assert_eq!(lines(&state(&[], &[], &one), &state(&[], &[], &other)), expected);
}

#[test]
fn an_event_is_an_object_with_its_name_first() {
    let one = state(&[(5, vrf("blue", 10))], &[], &[rule(7, 99)]);
    let json: Vec<String> =
        State::default().changes(&one).iter().map(|event| serde_json::to_string(event).unwrap()).collect();
    let expected = [
        r#"{"event":"vrf-added","vrf":"blue","ifindex":5,"table":10,"emulated":false}"#,
        r#"{"event":"vrf-up","vrf":"blue"}"#,
        r#"{"event":"vrf-sealed","vrf":"blue","family":"inet"}"#,
        r#"{"event":"vrf-sealed","vrf":"blue","family":"inet6"}"#,
        r#"{"event":"rule-added","family":"inet","priority":7,"rule":"7: from all lookup 99"}"#,
    ];
    assert_eq!(json, expected);
    assert_eq!(serde_json::to_string(&Event::Overflow).unwrap(), r#"{"event":"overflow"}"#);
}
