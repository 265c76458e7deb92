use super::*;
use crate::model::rule::Action;

fn tunnel(vrf: &str, mark: u32) -> Tunnel {
    Tunnel { vrf: vrf.to_owned(), mark, was: 0, named: None }
}

fn device(name: &str) -> Device {
    Device { ifindex: 7, name: name.to_owned() }
}

fn members() -> Members {
    let mut members = Members::default();
    members.apply(&Step::AddVrf(device("blue"), 10));
    members.apply(&Step::Enslave(device("blue0"), device("blue")));
    members.apply(&Step::Enslave(device("blue.1"), device("blue")));
    members
}

fn no_links() -> System {
    System::new(vec![], vec![])
}

fn outsides() -> Outsides {
    [("wg0".to_owned(), (device("wg0"), Outside { port: 51820, mark: 0 }))].into()
}

fn born() -> Vec<Rule> {
    vec![
        Rule::lookup(Family::V4, 0, TABLE_LOCAL),
        Rule::l3mdev(Family::V4, L3MDEV),
        Rule::lookup(Family::V4, 32766, 254),
    ]
}

fn fixed() -> Vec<Rule> {
    let first = [Rule::l3mdev(Family::V4, 0), Rule::l3mdev_unreachable(Family::V4, 0)];
    first.into_iter().chain(born()).collect()
}

/// What the kernel would hold after the steps. A packet with the mark is never led by what is not its own.
fn made(rules: &[Rule], marks: &[Marked], guarded: bool) -> Vec<Rule> {
    let mut rules = rules.to_vec();
    let (steps, removed) = rule_steps(&rules.clone(), Family::V4, marks);
    for step in steps.into_iter().chain(removed) {
        step.apply_to_rules(&mut rules);
        let stop = rules.iter().position(|rule| rule.tunnel_mark() == Some(1) && rule.action != Action::Lookup);
        let main = rules.iter().position(|rule| rule.table == 254);
        assert!(!guarded || stop.is_some_and(|stop| Some(stop) < main), "{step}: {rules:?}");
    }
    rules
}

fn shown(rules: &[Rule]) -> Vec<String> {
    rules.iter().map(ToString::to_string).collect()
}

#[test]
fn a_marks_rules_stand_with_those_of_vrfs_and_are_made_once() {
    let once = made(&born(), &[(1, Some(10))], false);
    let wanted = [
        "0: from all lookup local",
        "1000: from all l3mdev",
        "1000: from all fwmark 0x1 lookup 10",
        "1000: from all fwmark 0x1 unreachable",
        "32766: from all lookup main",
    ];
    assert_eq!(shown(&once), wanted);
    assert_eq!(rule_steps(&once, Family::V4, &[(1, Some(10))]), (vec![], vec![]));
    assert_eq!(made(&once, &[], false), born());
    let first = made(&fixed(), &[(1, Some(10))], false);
    let wanted = [
        "0: from all l3mdev",
        "0: from all l3mdev unreachable",
        "0: from all fwmark 0x1 lookup 10",
        "0: from all fwmark 0x1 unreachable",
        "0: from all lookup local",
    ];
    assert_eq!(shown(&first)[..5], wanted);
    assert_eq!(rule_steps(&first, Family::V4, &[(1, Some(10))]), (vec![], vec![]));
    assert_eq!(made(&first, &[], false), fixed());
}

#[test]
fn a_marked_packet_is_stopped_at_any_instant_of_a_change() {
    for rules in [born(), fixed()] {
        let first = made(&rules, &[(1, Some(10))], false);
        let other = made(&first, &[(1, Some(20))], true);
        assert!(shown(&other).iter().any(|rule| rule.ends_with("fwmark 0x1 lookup 20")), "{other:?}");
        assert!(!shown(&other).iter().any(|rule| rule.ends_with("fwmark 0x1 lookup 10")), "{other:?}");
        let gone = made(&other, &[(1, None)], true);
        assert_eq!(gone.iter().filter(|rule| rule.tunnel_mark().is_some()).count(), 1, "{gone:?}");
        assert_eq!(made(&gone, &[(1, Some(10))], true).len(), first.len());
    }
}

#[test]
fn a_mark_that_changes_its_vrf_is_led_and_stopped_as_before_when_that_is_undone() {
    for rules in [born(), fixed()] {
        let before = made(&rules, &[(1, Some(10))], false);
        let (steps, removed) = rule_steps(&before, Family::V4, &[(1, Some(20))]);
        let steps: Vec<Step> = steps.into_iter().chain(removed).collect();
        let mut rules = before.clone();
        steps.iter().for_each(|step| step.apply_to_rules(&mut rules));
        assert_ne!(rules, before);
        for step in steps.into_iter().rev().filter(|step| !step.to_string().contains("local")) {
            step.inverse().apply_to_rules(&mut rules);
            let is_stop = |rule: &&Rule| rule.tunnel_mark() == Some(1) && rule.action == Action::Unreachable;
            assert!(rules.iter().any(|rule| is_stop(&rule)), "{rules:?}");
        }
        let marked =
            |rules: &[Rule]| rules.iter().filter(|rule| rule.tunnel_mark().is_some()).cloned().collect::<Vec<_>>();
        assert_eq!(marked(&rules), marked(&before));
    }
}

#[test]
fn a_tunnel_receives_in_its_vrf_while_there_is_one_and_nowhere_else() {
    let (members, outsides) = (members(), outsides());
    let now = Now { system: &no_links(), members: &members, rules: &[], outsides: &outsides, listing: None };
    let families = [Family::V4, Family::V6];
    let of = |vrf: &str| text(&now, &families, &[("wg0".to_owned(), tunnel(vrf, 2))].into()).unwrap().unwrap();
    let receives = "iifname \"blue\" udp dport 51820 socket transparent 0 meta mark set 0x00000002 dup to 127.0.0.1";
    let refuses = "iifname != { \"blue\" } udp dport 51820 meta mark != 0x00000002 drop";
    let copies = "iifname \"lo\" udp dport 51820 meta mark 0x00000002 socket transparent 0 accept\n\t\t\
                  iifname \"lo\" udp dport 51820 meta mark 0x00000002 drop\n";
    assert!(of("blue").contains(copies), "{}", of("blue"));
    assert!(of("blue").contains(receives) && of("blue").contains("dup to ::1 device \"lo\" drop"), "{}", of("blue"));
    assert!(!of("red").contains(" dup ") && of("red").contains(refuses), "{}", of("red"));
    let wanted: ByName = [("wg9".to_owned(), tunnel("blue", 2))].into();
    assert_eq!(text(&now, &families, &wanted).unwrap(), None);
    // A kernel without IPv6 has no use for its table, and may refuse what is in it.
    let wanted: ByName = [("wg0".to_owned(), tunnel("blue", 2))].into();
    let only = text(&now, &[Family::V4], &wanted).unwrap().unwrap();
    assert!(only.contains("table ip vrfsetup_tunnels") && !only.contains("ip6"), "{only}");
}

#[test]
fn whatever_is_missing_in_the_tables_or_too_much_is_noticed() {
    let (mut members, outsides) = (members(), outsides());
    let wanted: ByName = [("wg0".to_owned(), tunnel("blue", MARKS + 1))].into();
    let made = |members: &Members, listing: Option<&str>| {
        let now = Now { system: &no_links(), members, rules: &[], outsides: &outsides, listing: None };
        table_step(&now, listing, &wanted).unwrap()
    };
    let Some(Step::SetTunnels { to: Some(one), .. }) = made(&members, None) else { panic!("no table") };
    // As other releases of nft list it.
    assert_eq!(made(&members, Some(&one.replace("{ \"blue\" }", "\"blue\""))), None);
    members.apply(&Step::AddVrf(device("red"), 20));
    let Some(Step::SetTunnels { to: Some(two), .. }) = made(&members, Some(&one)) else { panic!("no change") };
    assert_eq!(made(&members, Some(&two.replace("{ \"blue\", \"red\" }", "{ \"red\", \"blue\" }"))), None);
    for part in ["dup to ::1", HAS_SOCKET, "\"red\"", "drop"] {
        assert!(two.contains(part) && made(&members, Some(&two.replacen(part, "", 1))).is_some(), "{part}: {two}");
    }
    let head = "policy accept;\n";
    assert!(made(&members, Some(&two.replacen(head, &format!("{head}\t\taccept\n"), 1))).is_some(), "{two}");
    let now = Now { system: &no_links(), members: &members, rules: &[], outsides: &outsides, listing: None };
    assert!(matches!(table_step(&now, Some(&two), &ByName::new()).unwrap(), Some(Step::SetTunnels { to: None, .. })));
}

#[test]
fn a_tunnel_keeps_its_mark_and_gets_one_that_nobody_has() {
    let known: ByName = [("wg1".to_owned(), tunnel("red", MARKS + 1))].into();
    let rules = [Rule::lookup(Family::V4, 100, 7).of_mark(MARKS + 2)];
    assert_eq!(mark(&known, &rules, 51820), 51820);
    assert_eq!(mark(&known, &rules, 0), MARKS + 3);
    // The second one of a file has the second mark also where the first one needs none.
    assert_eq!([0, 1, 2].map(|place| free_mark(&ByName::new(), &[], place)), [1, 2, 3].map(|mark| MARKS + mark));
    assert_eq!(free_mark(&ByName::new(), &rules, 1), MARKS + 3);
}
