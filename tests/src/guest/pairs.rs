//! That no changing verb of vrfsetup is forgotten where two of them meet. Runs on the host, and looks at no guest.

use super::setup::at_once::verbs::{CONFIRM, MOVE, MOVE_OUT, USER, USER_OUT, VERBS, ZONES_OFF};
use super::systemd::units_at_once::PUT;

/// Verbs that meet no other: what they only look at, or what is theirs alone.
const ALONE: [(&str, &str); 12] = [
    ("export", "looks"),
    ("show", "looks"),
    ("watch", "looks"),
    ("doctor", "looks"),
    ("metrics", "looks"),
    ("pids", "looks"),
    ("identify", "looks"),
    ("rules check", "looks"),
    ("zones show", "looks"),
    ("demo", "has a network namespace of its own"),
    ("session", "binds the cgroup of the login that runs it"),
    ("oci-hook", "binds the cgroup of the container that is made"),
];

/// `add`, `rules fix` and so on, each with whether it can be undone by --confirm.
fn verbs() -> Vec<(String, bool)> {
    let definition = vrfsetup::definition();
    let mut all = Vec::new();
    for verb in definition.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let inner: Vec<_> = verb.get_subcommands().map(|inner| (Some(inner.get_name()), inner)).collect();
        for (inner, definition) in if inner.is_empty() { vec![(None, verb)] } else { inner } {
            let name = [Some(verb.get_name()), inner].into_iter().flatten().collect::<Vec<_>>().join(" ");
            let has_confirm = definition.get_arguments().any(|option| option.get_long() == Some("confirm"));
            all.push((name, has_confirm));
        }
    }
    all
}

#[test]
fn every_verb_that_changes_something_meets_the_others() {
    let meeting = [&VERBS[..], &[MOVE, MOVE_OUT, USER, USER_OUT, CONFIRM, ZONES_OFF, PUT]].concat();
    let meets = |verb: &str| meeting.iter().any(|line| format!("{line} ").starts_with(&format!("{verb} ")));
    let verbs = verbs();
    for (verb, has_confirm) in &verbs {
        let is_alone = ALONE.iter().any(|(alone, _)| alone == verb) && !has_confirm;
        assert!(
            meets(verb) != is_alone,
            "'vrfsetup {verb}': a line in setup/at_once/verbs.rs that meets the others, or in ALONE"
        );
    }
    let is_verb = |line: &str| verbs.iter().any(|(verb, _)| format!("{line} ").starts_with(&format!("{verb} ")));
    let lines = meeting.iter().copied().chain(ALONE.map(|(verb, _)| verb));
    let gone: Vec<_> = lines.filter(|line| !is_verb(line)).collect();
    assert!(gone.is_empty(), "no verbs any more: {gone:?}");
}
