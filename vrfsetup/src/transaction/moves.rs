//! A rule that is deleted and added again has only changed its place among those of its preference. To undo that it must
//! not go to the end once more: a VPN may have added rules meanwhile, behind which `local` must not come.

use crate::model::rule::Rule;
use crate::model::step::Step;

/// The steps without those of which nothing is left to undo. `is_there` says what the kernel has now: of a move that was
/// cut short everything stays.
pub fn without_moves(mut steps: Vec<Step>, is_there: impl Fn(&Rule) -> bool) -> Vec<Step> {
    let mut at = 0;
    while at < steps.len() {
        let back = match &steps[at] {
            Step::DeleteRule(rule) if is_there(rule) => Some(Step::AddRule(rule.clone())),
            Step::AddRule(rule) if !is_there(rule) => Some(Step::DeleteRule(rule.clone())),
            _ => None,
        };
        let partner = back.and_then(|back| steps[at..].iter().position(|step| *step == back));
        match partner {
            Some(behind) => {
                steps.remove(at + behind);
                steps.remove(at);
            }
            None => at += 1,
        }
    }
    steps
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

    #[test]
    fn a_rule_that_has_only_moved_stays_where_it_is() {
        let there = [Rule::l3mdev(Family::V4, 0), rule(0)];
        assert_eq!(without_moves(moved(), |rule| there.contains(rule)), moved()[..1]);
    }

    #[test]
    fn a_move_that_was_cut_short_is_undone_step_by_step() {
        // Written down up to the addition, killed before it.
        let there = [Rule::l3mdev(Family::V4, 0), rule(1)];
        assert_eq!(without_moves(moved()[..4].to_vec(), |rule| there.contains(rule)), moved()[..4]);
    }
}
