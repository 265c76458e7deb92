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
    Situation { family: Family::V4, rules, own: &[], unreachable, vrfs: &[], lookup: Lookup::L3mdev }
}

fn fixed(rules: &[Rule]) -> Vec<Rule> {
    made(rules, &fix(&situation(rules)).unwrap().steps)
}

fn shown(rules: &[Rule]) -> Vec<String> {
    rules.iter().map(ToString::to_string).collect()
}

const FIXED: [&str; 5] = [
    "1000: from all l3mdev",
    "2000: from all l3mdev unreachable",
    "32765: from all lookup local",
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
    assert_eq!(fix(&situation(&once)).unwrap().steps, []);
}

#[test]
fn every_interrupted_run_is_finished_by_the_next() {
    let steps = fix(&situation(&born())).unwrap().steps;
    for done in 0..=steps.len() {
        assert_eq!(shown(&fixed(&made(&born(), &steps[..done]))), FIXED, "after {done} steps");
    }
}

#[test]
fn undo_restores_the_birth_state_from_every_interrupted_run() {
    let steps = fix(&situation(&born())).unwrap().steps;
    for done in 0..=steps.len() {
        let halfway = made(&born(), &steps[..done]);
        let undone = made(&halfway, &undo(Family::V4, &halfway, false, &[]).steps);
        assert_eq!(undone, born(), "after {done} steps");
    }
}

#[test]
fn undo_keeps_the_l3mdev_rule_while_there_are_vrfs() {
    let once = fixed(&born());
    let undone = made(&once, &undo(Family::V4, &once, true, &[]).steps);
    assert_eq!(shown(&undone)[..2], ["0: from all lookup local", "1000: from all l3mdev"]);
}

#[test]
fn undo_twice_has_nothing_to_do() {
    assert_eq!(undo(Family::V4, &born(), false, &[]).steps, []);
}

#[test]
fn local_goes_right_behind_2000_where_a_vpn_rule_could_match_local_packets() {
    let mut rules = born();
    rules.insert(1, Rule { protocol: Some(3), ..lookup(5270, 52) });
    let plan = fix(&situation(&rules)).unwrap();
    assert_eq!(plan.yields_to.as_ref().map(|rule| rule.priority), Some(5270));
    assert_eq!(
        shown(&made(&rules, &plan.steps))[1..4],
        ["2000: from all l3mdev unreachable", "2001: from all lookup local", "5270: from all lookup 52",]
    );
}

#[test]
fn local_stays_right_behind_2000_when_the_vpn_is_gone() {
    let mut rules = fixed(&born());
    rules[2] = lookup(LOCAL_EARLY, TABLE_LOCAL);
    assert_eq!(fix(&situation(&rules)).unwrap().steps, []);
}

#[test]
fn local_moves_up_when_a_vpn_came_later() {
    let mut rules = fixed(&born());
    rules.insert(2, lookup(5270, 52));
    assert_eq!(shown(&fixed(&rules))[2..4], ["2001: from all lookup local", "5270: from all lookup 52"]);
}

#[test]
fn a_foreign_rule_below_2000_is_named_and_nothing_is_planned() {
    let mut rules = born();
    rules.insert(1, lookup(100, 52));
    assert_eq!(fix(&situation(&rules)), Err(InTheWay(Box::new(lookup(100, 52)))));
    assert!(!fix_regardless(&situation(&rules)).steps.is_empty());
}

#[test]
fn a_foreign_rule_for_a_foreign_destination_is_left_alone() {
    let mut rules = born();
    let mut harmless = lookup(100, 52);
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
    assert!(fixed_rules.iter().all(is_kernels));
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
    assert_eq!(shown(&made(&once, &plan.steps)), [FIXED[0], FIXED[2], FIXED[3], FIXED[4]]);
}

#[test]
fn rules_by_name_match_each_vrf_both_ways_and_are_no_obstacle_to_themselves() {
    let (vrfs, born) = ([("blue".to_owned(), 10)], born());
    let named = |rules, lookup| Situation { vrfs: &vrfs, lookup, ..situation(rules) };
    let plan = fix(&named(&born, Lookup::Names)).unwrap();
    let once = made(&born, &plan.steps);
    assert_eq!(
        shown(&once)[..5],
        [
            "1000: from all iif blue lookup 10",
            "1000: from all oif blue lookup 10",
            "2000: from all iif blue unreachable",
            "2000: from all oif blue unreachable",
            "32765: from all lookup local",
        ]
    );
    assert_eq!(fix(&named(&once, Lookup::Names)).unwrap().steps, []);
    assert_eq!(made(&once, &undo(Family::V4, &once, true, &vrfs).steps), born);
    let both = made(&once, &fix(&named(&once, Lookup::Both)).unwrap().steps);
    for rule in [Rule::l3mdev(Family::V4, L3MDEV), Rule::l3mdev_unreachable(Family::V4, UNREACHABLE)] {
        assert!(both.contains(&rule) && !once.contains(&rule), "{rule}");
    }
}

#[test]
fn without_the_unreachable_rule_only_local_moves() {
    let plan = fix(&Situation { unreachable: Unreachable::Route, ..situation(&born()) }).unwrap();
    assert!(!shown(&made(&born(), &plan.steps)).contains(&FIXED[1].to_owned()));
}
