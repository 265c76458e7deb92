//! Every verb and every option stands in the manual pages, and every key of vrf.toml in its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The visible verbs below a command, and all their long options.
fn collect(command: &clap::Command, verbs: &mut BTreeSet<String>, options: &mut BTreeSet<String>) {
    options.extend(command.get_arguments().filter_map(|option| option.get_long().map(str::to_owned)));
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        verbs.insert(verb.get_name().to_owned());
        collect(verb, verbs, options);
    }
}

#[test]
fn the_manual_page_has_every_verb_and_option() {
    let (mut verbs, mut options) = (BTreeSet::new(), BTreeSet::new());
    collect(&vrfsetup::definition(), &mut verbs, &mut options);
    assert!(verbs.len() > 15 && options.len() > 15, "{verbs:?} {options:?}");
    let page = read("man/vrfsetup.8");
    let has_verb = |verb: &String| {
        page.contains(&format!("Cm {verb}"))
            || page.contains(&format!("|{verb}"))
            || page.contains(&format!(" {verb}|"))
            || verb == "help"
    };
    // mdoc writes `--name` as `Fl -name`, and further ones in a list as `, -name`.
    let has_option =
        |option: &String| page.contains(&format!("Fl -{option}")) || page.contains(&format!(", -{option}"));
    assert_eq!(verbs.iter().filter(|verb| !has_verb(verb)).collect::<Vec<_>>(), [""; 0]);
    assert_eq!(options.iter().filter(|option| !has_option(option)).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn the_page_of_the_file_has_every_key_that_the_program_knows() {
    let page = read("man/vrf.toml.5");
    for (section, wrong) in [
        ("vrf", "[vrf.blue]\nx = 1\n"),
        ("leak", "[[leak]]\nx = 1\n"),
        ("rules", "[rules]\nx = 1\n"),
        ("zones", "[zones]\nx = 1\n"),
    ] {
        let error = vrfsetup::source::Source::new(Path::new("x"), wrong).read().unwrap_err().to_string();
        let keys: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
        assert!(!keys.is_empty(), "{section}: {error}");
        let missing: Vec<_> = keys.iter().filter(|key| !page.contains(&format!("Va {key}"))).collect();
        assert!(missing.is_empty(), "man/vrf.toml.5 lacks {missing:?} of [{section}]");
    }
}

#[test]
fn the_pages_example_can_be_applied() {
    let page = read("man/vrf.toml.5");
    let example = page.split(".Bd -literal -offset indent\n").nth(1).unwrap().split(".Ed").next().unwrap();
    let config = vrfsetup::source::Source::new(Path::new("example"), example).read().unwrap();
    assert_eq!(config.vrf.len(), 2);
}
