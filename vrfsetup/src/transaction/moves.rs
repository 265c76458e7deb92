//! A rule that is deleted and added again has only changed its place among those of its preference. To undo that it must
//! not go to the end once more: a VPN may have added rules meanwhile, behind which `local` must not come.

use crate::model::rule::Rule;
use crate::model::step::Step;

/// Removes the steps of which nothing is left to undo. `is_there` says what the kernel has now, if that is known: of a
/// move that was cut short everything stays.
pub fn forget(steps: &mut [Option<Step>], is_there: impl Fn(&Rule) -> Option<bool>) {
    for at in 0..steps.len() {
        let back = match &steps[at] {
            Some(Step::DeleteRule(rule)) if is_there(rule) == Some(true) => Step::AddRule(rule.clone()),
            Some(Step::AddRule(rule)) if is_there(rule) == Some(false) => Step::DeleteRule(rule.clone()),
            _ => continue,
        };
        if let Some(behind) = steps[at..].iter().position(|step| step.as_ref() == Some(&back)) {
            steps[at + behind] = None;
            steps[at] = None;
        }
    }
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
        let mut steps: Vec<Option<Step>> = steps.into_iter().map(Some).collect();
        forget(&mut steps, |rule| Some(there.contains(rule)));
        steps.into_iter().flatten().collect()
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
