//! A rule that is deleted and added again has only changed its place among those of its preference. To undo that it must
//! not go to the end once more: a VPN may have added rules meanwhile, behind which `local` must not come.

use std::collections::BTreeSet;

use crate::model::rule::Rule;
use crate::model::step::Step;

/// The places of the steps of which nothing is left to undo, beside those that are passed over already. `is_there` says
/// what the kernel has now, if that is known: of a move that was cut short everything stays.
pub fn settled(steps: &[Step], passed: &BTreeSet<usize>, is_there: impl Fn(&Rule) -> Option<bool>) -> BTreeSet<usize> {
    let mut settled = passed.clone();
    for (at, step) in steps.iter().enumerate() {
        let back = match step {
            Step::DeleteRule(rule) if is_there(rule) == Some(true) => Step::AddRule(rule.clone()),
            Step::AddRule(rule) if is_there(rule) == Some(false) => Step::DeleteRule(rule.clone()),
            _ => continue,
        };
        if settled.contains(&at) {
            continue;
        }
        let behind = (at..steps.len()).find(|place| !settled.contains(place) && steps[*place] == back);
        settled.extend(behind.into_iter().flat_map(|place| [at, place]));
    }
    settled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::family::Family;

    fn rule(priority: u32) -> Rule {
        Rule::lookup(Family::V4, priority, 255)
    }

    fn moved() -> Vec<Step> {
        let (place, spare) = (rule(0), rule(1));
        vec![
            Step::AddRule(Rule::l3mdev(Family::V4, 0)),
            Step::AddRule(spare.clone()),
            Step::DeleteRule(place.clone()),
            Step::AddRule(place),
            Step::DeleteRule(spare),
        ]
    }

    fn left(steps: Vec<Step>, there: &[Rule]) -> Vec<Step> {
        let settled = settled(&steps, &BTreeSet::new(), |rule| Some(there.contains(rule)));
        steps.into_iter().enumerate().filter(|(at, _)| !settled.contains(at)).map(|(_, step)| step).collect()
    }

    #[test]
    fn a_rule_that_has_only_moved_stays_where_it_is() {
        let there = [Rule::l3mdev(Family::V4, 0), rule(0)];
        assert_eq!(left(moved(), &there), moved()[..1]);
    }

    #[test]
    fn a_move_that_was_cut_short_is_undone_step_by_step() {
        // Written down up to the addition, killed before it.
        let there = [Rule::l3mdev(Family::V4, 0), rule(1)];
        assert_eq!(left(moved()[..4].to_vec(), &there), moved()[..4]);
    }
}
