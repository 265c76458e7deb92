use super::*;
use crate::model::rule::{TABLE_DEFAULT, TABLE_MAIN};

fn lookup(priority: u32, table: u32) -> Rule {
    Rule::lookup(Family::V4, priority, table)
}

fn born() -> Vec<Rule> {
    vec![lookup(0, TABLE_LOCAL), lookup(32766, TABLE_MAIN), lookup(32767, TABLE_DEFAULT)]
}

/// What the kernel would hold after the steps; fails where it would refuse, and at any instant without `local`.
fn made(rules: &[Rule], steps: &[Step]) -> Vec<Rule> {
    let mut rules = rules.to_vec();
    for step in steps {
        match step {
            Step::AddRule(rule) => {
                let at = rules.iter().position(|r| r.priority > rule.priority).unwrap_or(rules.len());
                rules.insert(at, rule.clone());
            }
            Step::DeleteRule(rule) => {
                let at = rules.iter().position(|r| r.is_same_as(rule)).expect("no such rule");
                rules.remove(at);
            }
            other => panic!("not a rule: {other}"),
        }
        assert!(rules.iter().any(is_local), "no local delivery after {step}");
    }
    rules
}

fn situation(rules: &[Rule]) -> Situation<'_> {
    let unreachable = Unreachable::Rule;
    Situation {
        family: Family::V4,
        rules,
        own: &[],
        unreachable,
        vrfs: &[],
        emulated: &[],
        marks: &[],
        lookup: Lookup::L3mdev,
    }
}

fn fixed(rules: &[Rule]) -> Vec<Rule> {
    made(rules, &fix(&situation(rules)).unwrap())
}

fn shown(rules: &[Rule]) -> Vec<String> {
    rules.iter().map(ToString::to_string).collect()
}

const FIXED: [&str; 5] = [
    "0: from all l3mdev",
    "0: from all l3mdev unreachable",
    "0: from all lookup local",
    "32766: from all lookup main",
    "32767: from all lookup default",
];

#[test]
fn a_fresh_namespace_gets_the_three_rules() {
    assert_eq!(shown(&fixed(&born())), FIXED);
}

#[test]
fn a_second_run_has_nothing_to_do() {
    let once = fixed(&born());
    assert_eq!(fix(&situation(&once)).unwrap(), []);
}

#[test]
fn every_interrupted_run_is_finished_by_the_next() {
    let steps = fix(&situation(&born())).unwrap();
    for done in 0..=steps.len() {
        assert_eq!(shown(&fixed(&made(&born(), &steps[..done]))), FIXED, "after {done} steps");
    }
}

#[test]
fn undo_restores_the_birth_state_from_every_interrupted_run() {
    let steps = fix(&situation(&born())).unwrap();
    for done in 0..=steps.len() {
        let halfway = made(&born(), &steps[..done]);
        let undone = made(&halfway, &undo(Family::V4, &halfway, false, &[], &[]));
        assert_eq!(undone, born(), "after {done} steps");
    }
}

#[test]
fn undo_keeps_the_l3mdev_rule_while_there_are_vrfs() {
    let mut before = born();
    before.insert(1, Rule::l3mdev(Family::V4, L3MDEV));
    let once = fixed(&before);
    let undone = made(&once, &undo(Family::V4, &once, true, &[], &[]));
    assert_eq!(shown(&undone), shown(&before));
}

#[test]
fn undo_twice_has_nothing_to_do() {
    assert_eq!(undo(Family::V4, &born(), false, &[], &[]), []);
}

/// What the layout of an earlier vrfsetup was, with what wg-quick then added.
fn earlier(local: u32) -> Vec<Rule> {
    let mut rules = vec![
        Rule::l3mdev(Family::V4, L3MDEV),
        Rule { protocol: Some(3), ..lookup(1999, 51820) },
        Rule::l3mdev_unreachable(Family::V4, UNREACHABLE),
        lookup(local, TABLE_LOCAL),
        lookup(32766, TABLE_MAIN),
    ];
    rules.sort_by_key(|rule| rule.priority);
    rules
}

#[test]
fn the_layout_of_an_earlier_version_is_moved_and_undone() {
    for local in [2001, 32765] {
        let moved = shown(&fixed(&earlier(local)));
        assert_eq!(moved[..3], FIXED[..3]);
        assert_eq!(moved[3..], ["1000: from all l3mdev", "1999: from all lookup 51820", "32766: from all lookup main"]);
        let undone = shown(&made(&earlier(local), &undo(Family::V4, &earlier(local), true, &[], &[])));
        assert_eq!(undone[..2], ["0: from all lookup local", "1000: from all l3mdev"]);
        assert_eq!(undone.len(), 4);
    }
}

/// The kernel's `fib_default_rule_pref`.
fn automatic(rules: &[Rule]) -> u32 {
    rules.get(1).map_or(0, |second| second.priority.saturating_sub(1))
}

#[test]
fn a_rule_without_a_preference_comes_behind_local() {
    for unreachable in [Unreachable::Rule, Unreachable::Route, Unreachable::None] {
        let once = made(&born(), &fix(&Situation { unreachable, ..situation(&born()) }).unwrap());
        assert_eq!(automatic(&once), FIRST, "{unreachable:?}");
        let late = made(&once, &[Step::AddRule(lookup(automatic(&once), 51820))]);
        let place = |table| late.iter().position(|rule| rule.table == table);
        assert!(place(TABLE_LOCAL) < place(51820), "{unreachable:?}");
        assert_eq!(fix(&Situation { unreachable, ..situation(&late) }), Ok(vec![]), "{unreachable:?}");
    }
}

#[test]
fn undo_leaves_local_before_a_rule_that_came_without_a_preference() {
    let late = made(&fixed(&born()), &[Step::AddRule(lookup(FIRST, 51820))]);
    let undone = made(&late, &undo(Family::V4, &late, false, &[], &[]));
    assert_eq!(shown(&undone)[..2], ["0: from all lookup local", "0: from all lookup 51820"]);
}

#[test]
fn a_foreign_rule_before_local_is_named_and_nothing_is_planned() {
    let vpn = Rule { protocol: Some(3), ..lookup(FIRST, 52) };
    // The kernel can put local only behind what is at 0 already.
    for at in [0, 1] {
        let mut rules = born();
        rules.insert(at, vpn.clone());
        assert_eq!(fix(&situation(&rules)), Err(InTheWay(Box::new(vpn.clone()))));
        assert!(!fix_regardless(&situation(&rules)).is_empty());
    }
}

#[test]
fn a_foreign_rule_at_any_other_preference_is_none_of_our_business() {
    for preference in [1, 100, 999, 5270, 32764] {
        let mut rules = born();
        rules.insert(1, lookup(preference, 52));
        let fixed = shown(&fixed(&rules));
        assert_eq!(fixed[..3], FIXED[..3]);
        assert_eq!(fixed[3], format!("{preference}: from all lookup 52"));
    }
}

#[test]
fn an_unreachable_rule_before_l3mdev_moves_behind_it() {
    let mut rules = fixed(&born());
    rules.swap(0, 1);
    assert_eq!(shown(&fixed(&rules)), FIXED);
}

#[test]
fn a_foreign_rule_for_a_foreign_destination_is_left_alone() {
    let mut rules = born();
    let mut harmless = lookup(FIRST, 52);
    harmless.selectors.to = Some(("198.51.100.0".parse().unwrap(), 24));
    rules.insert(1, harmless);
    assert_eq!(shown(&fixed(&rules))[1..], FIXED);
}

#[test]
fn a_rule_that_networkd_would_remove_is_replaced_by_one_of_protocol_kernel() {
    let mut rules = fixed(&born());
    rules[2].protocol = Some(3);
    let fixed_rules = fixed(&rules);
    assert_eq!(shown(&fixed_rules), FIXED);
    assert!(fixed_rules.iter().all(Rule::is_kernels));
}

#[test]
fn a_local_rule_that_was_moved_by_hand_moves_on() {
    let mut rules = born();
    rules[0].priority = 1001;
    assert_eq!(shown(&fixed(&rules)), FIXED);
}

#[test]
fn an_unreachable_rule_that_is_not_wanted_any_more_goes() {
    let once = fixed(&born());
    let plan = fix(&Situation { unreachable: Unreachable::None, ..situation(&once) }).unwrap();
    assert_eq!(shown(&made(&once, &plan)), [FIXED[0], FIXED[2], FIXED[3], FIXED[4]]);
}

#[test]
fn rules_by_name_match_each_vrf_both_ways_and_are_no_obstacle_to_themselves() {
    let (vrfs, born) = ([("blue".to_owned(), 10)], born());
    let named = |rules, lookup| Situation { vrfs: &vrfs, lookup, ..situation(rules) };
    let plan = fix(&named(&born, Lookup::Names)).unwrap();
    let once = made(&born, &plan);
    assert_eq!(
        shown(&once)[..5],
        [
            "0: from all iif blue lookup 10",
            "0: from all oif blue lookup 10",
            "0: from all iif blue unreachable",
            "0: from all oif blue unreachable",
            "0: from all lookup local",
        ]
    );
    assert_eq!(fix(&named(&once, Lookup::Names)).unwrap(), []);
    // A kernel that knows l3mdev needs it again for the VRF.
    let undone = shown(&made(&once, &undo(Family::V4, &once, true, &vrfs, &[])));
    assert_eq!(undone, ["0: from all lookup local", "1000: from all l3mdev", FIXED[3], FIXED[4]]);
    let both = made(&once, &fix(&named(&once, Lookup::Both)).unwrap());
    for rule in [Rule::l3mdev(Family::V4, FIRST), Rule::l3mdev_unreachable(Family::V4, FIRST)] {
        assert!(both.contains(&rule) && !once.contains(&rule), "{rule}");
    }
}

#[test]
fn without_the_unreachable_rule_only_local_moves() {
    let plan = fix(&Situation { unreachable: Unreachable::Route, ..situation(&born()) }).unwrap();
    assert!(!shown(&made(&born(), &plan)).contains(&FIXED[1].to_owned()));
}
