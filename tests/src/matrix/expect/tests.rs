//! What is a finding, and what is none.

use super::*;
use crate::harness::kernels;
use crate::matrix::row;

#[test]
fn a_leak_is_a_fault_unless_it_is_documented() {
    let leak = Cell::example(Colour::Leak);
    assert_eq!(measure(&Expected::Blue, Some(&leak)), Finding::Undocumented);
    assert_eq!(measure(&Expected::Closed(String::new()), Some(&leak)), Finding::Undocumented);
    assert_eq!(measure(&Expected::Quiet(String::new()), Some(&leak)), Finding::Undocumented);
    assert_eq!(measure(&documented(&[]), Some(&leak)), Finding::Fine);
}

fn documented(flows: &[&str]) -> Expected {
    Expected::Leak(String::new(), flows.iter().map(|flow| (*flow).to_owned()).collect())
}

#[test]
fn a_documented_leak_excuses_the_flows_that_it_names_and_no_other() {
    let leak = |flows: &[&str]| {
        let escaped = flows.iter().map(|flow| (*flow).to_owned()).collect();
        Cell { escaped, ..Cell::example(Colour::Leak) }
    };
    let expected = documented(&["udp * 53", "igmp 224.0.0.22"]);
    assert_eq!(measure(&expected, Some(&leak(&["udp 192.0.2.53 53", "igmp 224.0.0.22"]))), Finding::Fine);
    for other in ["tcp 192.0.2.80 80", "udp 192.0.2.53 7", "igmp 224.0.0.2", "udp 192.0.2.53"] {
        assert_eq!(measure(&expected, Some(&leak(&["udp 192.0.2.53 53", other]))), Finding::Undocumented, "{other}");
    }
}

#[test]
fn a_documented_leak_that_is_gone_is_a_fault() {
    for colour in [Colour::Blue, Colour::Closed] {
        assert_eq!(measure(&documented(&[]), Some(&Cell::example(colour))), Finding::Gone);
    }
    assert!(Finding::Gone.is_fault());
}

#[test]
fn a_blue_cell_works_only_if_the_program_ends_and_answers_as_without() {
    let row = row::named("curl").expect("a row");
    let cell = |code, answer: &[&str]| {
        let answers = answer.iter().map(|name| (*name).to_owned()).collect();
        Cell { code, answers, ..Cell::example(Colour::Blue) }
    };
    let reference = cell(0, &["default"]);
    assert!(works_as_without(&row, &cell(0, &["blue"]), Some(&reference)));
    for other in [cell(6, &["blue"]), cell(0, &[]), cell(0, &["default"]), cell(0, &["blue", "red"])] {
        assert!(!works_as_without(&row, &other, Some(&reference)), "{other:?}");
    }
    let excused = Row { differs: Some("it says so".to_owned()), ..row };
    assert!(works_as_without(&excused, &cell(6, &[]), Some(&reference)));
}

#[test]
fn every_documented_leak_names_its_flows() {
    for entry in Expectations::read().leaks {
        assert!(!entry.flows.is_empty(), "{entry:?}: flows = [...] says what may escape");
    }
}

#[test]
fn closed_instead_of_blue_is_worse_and_blue_instead_of_closed_out_of_date() {
    assert_eq!(measure(&Expected::Blue, Some(&Cell::example(Colour::Closed))), Finding::Worse);
    let better = measure(&Expected::Closed(String::new()), Some(&Cell::example(Colour::Blue)));
    assert_eq!(better, Finding::Better);
    assert!(better.is_fault(), "or nobody would notice when it is closed again");
}

#[test]
fn a_cell_that_did_not_run_and_a_program_that_sends_nothing_are_faults() {
    assert!(measure(&Expected::Blue, None).is_fault());
    assert!(measure(&Expected::Sends, Some(&Cell::example(Colour::Closed))).is_fault());
    assert!(!measure(&Expected::Absent(String::new()), None).is_fault());
}

#[test]
fn a_row_that_cannot_run_and_sends_something_is_a_fault() {
    let absent = Expected::Absent("there is no such program".to_owned());
    assert_eq!(measure(&absent, Some(&Cell::example(Colour::Leak))), Finding::Able);
    assert!(Finding::Able.is_fault());
    assert_eq!(measure(&absent, Some(&Cell::example(Colour::Closed))), Finding::Fine);
}

#[test]
fn an_entry_holds_on_all_kernels_but_those_that_it_excepts() {
    let (row, column) = (row::named("255.255.255.255").expect("a row"), column::named("bpf/root").expect("a column"));
    let expectations = Expectations::read();
    assert!(matches!(expectations.of(&row, column, "debian_6_12"), Expected::Refused(_)));
    assert_eq!(expectations.of(&row, column, NATIVE), Expected::Blue);
}

#[test]
fn the_committed_files_name_only_what_exists() {
    let kernels: Vec<String> = kernels::all().into_iter().map(|kernel| kernel.name).collect();
    assert_eq!(unknown_names(&Expectations::read(), &row::all(), &kernels), Vec::<String>::new());
}

#[test]
fn every_reason_is_a_sentence() {
    let expectations = Expectations::read();
    for entry in expectations.closed.iter().chain(&expectations.leaks) {
        assert!(entry.why.split(' ').count() >= 4, "{entry:?}");
    }
}
