//! What may be typed, what it means, and what is refused.

use super::*;

fn parse_words(line: &str) -> Result<Options, String> {
    let words = std::iter::once("vrfrun").chain(line.split_whitespace()).map(OsString::from);
    parse(words).map_err(|answer| match answer {
        Answer::Text(text) => text,
        Answer::Refused(error) => error.to_string(),
    })
}

fn command(line: &str) -> Vec<OsString> {
    match parse_words(line).unwrap().task {
        Task::Run(command) => command.argv().to_vec(),
        Task::Explain { .. } | Task::Each(_) | Task::OciAgent(_) | Task::LoginEtc => panic!("another task"),
    }
}

#[test]
fn what_follows_the_command_is_its_own() {
    assert_eq!(command("blue curl -v -m 3 -- x"), ["curl", "-v", "-m", "3", "--", "x"]);
}

#[test]
fn a_double_dash_before_the_command_is_dropped_once() {
    assert_eq!(command("blue -- -odd --"), ["-odd", "--"]);
}

#[test]
fn a_double_dash_before_vrf_is_not_taken_for_it() {
    assert_eq!(parse_words("-- blue true").unwrap().vrf, "blue");
}

#[test]
fn an_option_after_vrf_is_never_run() {
    assert!(parse_words("blue -v curl").unwrap_err().starts_with("'-v' stands after VRF"));
    assert!(parse_words("blue --strict curl").unwrap_err().contains("needs '--'"));
}

#[test]
fn a_missing_command_is_said() {
    assert_eq!(parse_words("blue").unwrap_err(), "COMMAND is missing");
    assert_eq!(parse_words("blue --").unwrap_err(), "COMMAND is missing");
    for words in ["", "--explain", "-v --explain -j"] {
        assert_eq!(parse_words(words).unwrap_err(), "VRF is missing", "{words}");
    }
}

#[test]
fn explain_takes_no_command() {
    assert!(matches!(parse_words("--explain -j blue").unwrap().task, Task::Explain { json: true }));
    assert_eq!(parse_words("--explain blue true").unwrap_err(), "--explain takes no COMMAND");
    assert_eq!(parse_words("-j blue true").unwrap_err(), "--json needs --explain or 'each'");
    assert_eq!(parse_words("--json blue").unwrap_err(), "--json needs --explain or 'each'");
}

#[test]
fn a_trace_has_its_format_behind_an_equals_sign_and_needs_a_supervisor() {
    assert_eq!(parse_words("blue true").unwrap().trace, None);
    assert_eq!(parse_words("--trace blue true").unwrap().trace, Some(TraceFormat::Text));
    assert_eq!(parse_words("--trace=json blue json").unwrap().trace, Some(TraceFormat::Json));
    assert_eq!(parse_words("--trace json true").unwrap().vrf, "json");
    for other in ["--explain", "--no-supervisor", "--unguarded"] {
        assert!(parse_words(&format!("--trace {other} blue true")).unwrap_err().contains("cannot be used"), "{other}");
    }
    assert!(parse_words("--trace=xml blue true").is_err());
}

const NEEDS_DASHES: &str = "'each' needs '--' before COMMAND; a VRF of that name: vrfrun -- each COMMAND";

#[test]
fn each_takes_a_command_behind_dashes_and_no_vrf() {
    for words in [
        "each -j --match b* --jobs 2 -- env -- x",
        "-j each --jobs 2 --match b* -- env -- x",
        "--each -j --match b* --jobs 2 -- env -- x",
    ] {
        let Task::Each(each) = parse_words(words).unwrap().task else { panic!("{words}") };
        assert!(each.json && each.jobs == 2 && each.pattern.is_some_and(|pattern| pattern == "b*"), "{words}");
        assert_eq!(each.command.argv(), ["env", "--", "x"]);
    }
    for words in ["each ping", "each blue -- ping", "--each ping", "--each blue -- ping", "--each blue ping"] {
        assert_eq!(parse_words(words).unwrap_err(), NEEDS_DASHES, "{words}");
    }
    for words in ["each", "each --", "-v each -j", "--each", "--each --", "--each --jobs 3"] {
        assert_eq!(parse_words(words).unwrap_err(), "COMMAND is missing", "{words}");
    }
}

#[test]
fn behind_dashes_each_is_a_vrf() {
    let Options { vrf, task, .. } = parse_words("-v -- each -- id").unwrap();
    let Task::Run(command) = task else { panic!() };
    assert!(vrf == "each" && command.argv() == ["id"]);
    let Task::Run(command) = parse_words("blue each -- id").unwrap().task else { panic!() };
    assert_eq!(command.argv(), ["each", "--", "id"]);
    assert!(matches!(parse_words("--explain -- each").unwrap().task, Task::Explain { .. }));
}

#[test]
fn each_contradicts_what_names_one_vrf() {
    for option in ["--explain", "--interface"] {
        assert!(parse_words(&format!("--each {option} -- x")).unwrap_err().contains("cannot be used with"), "{option}");
    }
    for words in ["--match b* blue x", "--jobs 2 blue x", "--explain --match b* blue"] {
        assert_eq!(parse_words(words).unwrap_err(), "--match and --jobs need 'each'", "{words}");
    }
    assert!(parse_words("--each --jobs 0 -- x").unwrap_err().contains("'--jobs <N>'"));
}

#[test]
fn mechanisms_that_contradict_an_option_are_refused() {
    assert!(parse_words("-m seccomp --no-supervisor blue true").is_err());
    assert!(parse_words("-m preload --strict blue true").is_err());
    assert!(parse_words("-m bpf --unguarded blue true").is_err());
    assert_eq!(parse_words("--unguarded blue true").unwrap().mechanism, Some(Mechanism::Preload));
}

#[test]
fn strict_takes_neither_default_nor_inherited_sockets() {
    assert_eq!(parse_words("--strict default true").unwrap_err(), "--strict needs a VRF, and 'default' is none");
    assert!(parse_words("--strict --explain default").is_err());
    assert!(parse_words("--strict --interface default true").is_ok());
    assert!(parse_words("--strict --keep-fds blue true").unwrap_err().contains("--keep-fds"));
}

#[test]
fn an_unknown_option_is_named_in_one_line() {
    let line = parse_words("--frob blue true").unwrap_err();
    assert_eq!(line, "unexpected argument '--frob' found");
}

#[test]
fn clap_finds_no_fault_in_the_definition() {
    definition().debug_assert();
}

#[test]
fn oci_agent_is_a_command_and_behind_a_double_dash_a_vrf() {
    let is_agent = |line: &str| matches!(parse_words(line).unwrap().task, Task::OciAgent(_));
    assert!(is_agent("oci-agent") && is_agent("oci-agent --socket /run/a --interface"));
    assert!(is_agent("oci-agent --profile") && is_agent("oci-agent --profile /base.json --socket /run/a"));
    assert_eq!(parse_words("-- oci-agent curl").unwrap().vrf, "oci-agent");
    assert_eq!(parse_words("-v -- oci-agent curl").unwrap().vrf, "oci-agent");
    assert!(parse_words("-v oci-agent").unwrap_err().contains("go after it"));
    assert!(parse_words("oci-agent curl").unwrap_err().contains("curl"));
    assert!(parse_words("oci-agent --help").unwrap_err().contains("--profile"));
}
