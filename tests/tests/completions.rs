//! The completions of vrfsetup read the program's own help, so no list of options can rot; what can is how they
//! read it. bash is asked here as at the Tab key; `wrapper/tests/pages.rs` does that for vrfrun's.

use std::path::Path;
use std::process::Command;

use vrftests::harness::programs;
use vrftests::harness::vm::image::top;

/// What bash offers for the last of these words.
fn offers(line: &[&str]) -> Vec<String> {
    let ours = programs::products().unwrap_or_else(|missing| panic!("{missing}"));
    let directory = ours[0].parent().map(Path::as_os_str).unwrap_or_default().to_owned();
    let script = r#"PATH=$1:$PATH; . "$2"; shift 2; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
                    _vrfsetup; printf '%s\n' "${COMPREPLY[@]}""#;
    let source = top().join("completions/vrfsetup.bash");
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", script, "bash"]).arg(directory).arg(source).args(line);
    let output = bash.output().expect("bash");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{line:?}");
    String::from_utf8_lossy(&output.stdout).lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn every_verb_is_offered_and_no_inner_one() {
    let verbs = offers(&["vrfsetup", ""]);
    for verb in ["add", "del", "attach", "rules", "show"] {
        assert!(verbs.iter().any(|offer| offer == verb), "{verb} is not in {verbs:?}");
    }
    assert!(verbs.iter().all(|verb| !verb.starts_with('_')), "{verbs:?}");
    assert_eq!(offers(&["vrfsetup", "rules", "f"]), ["fix"]);
}

#[test]
fn a_verbs_options_and_the_global_ones_are_offered() {
    let options = offers(&["vrfsetup", "add", "blue", "--"]);
    for option in ["--table", "--port", "--unreachable", "--force", "--netns", "--json"] {
        assert!(options.iter().any(|offer| offer == option), "{option} is not in {options:?}");
    }
    assert_eq!(offers(&["vrfsetup", "rules", "fix", "--unreachable", "ro"]), ["route"]);
    assert_eq!(offers(&["vrfsetup", "del", "blue", "--progress", "al"]), ["always"]);
    assert_eq!(offers(&["vrfsetup", "export", "--format", "i"]), ["ifupdown"]);
    assert_eq!(offers(&["vrfsetup", "add", "blue", "--strict-mode", "of"]), ["off"]);
    assert_eq!(offers(&["vrfsetup", "add", "blue", "--table", ""]), [""; 0]);
}

/// The usage line names what goes there.
#[test]
fn what_a_place_of_a_verb_takes_is_offered() {
    assert_eq!(offers(&["vrfsetup", "leak", "defa"]), ["default"]);
    assert_eq!(offers(&["vrfsetup", "leak", "blue", "red", "defa"]), [""; 0]);
    assert_eq!(offers(&["vrfsetup", "apply", "/etc/hostnam"]), ["/etc/hostname"]);
    assert_eq!(offers(&["vrfsetup", "identify", &std::process::id().to_string()]), [std::process::id().to_string()]);
    assert_eq!(offers(&["vrfsetup", "doctor", ""]), [""; 0]);
}

#[test]
fn interfaces_are_offered_where_a_port_stands() {
    assert_eq!(offers(&["vrfsetup", "attach", "blue", "l"]), ["lo"]);
    assert_eq!(offers(&["vrfsetup", "attach", "blue", "--confirm", "30", "eth7", "l"]), ["lo"]);
    assert_eq!(offers(&["vrfsetup", "-n", "blue", "detach", "l"]), ["lo"]);
    assert_eq!(offers(&["vrfsetup", "add", "blue", "--port", "l"]), ["lo"]);
}
