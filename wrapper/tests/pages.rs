//! Every option stands in the manual page, in the README and in each shell's completion.

use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn long_options() -> Vec<String> {
    let definition = vrfrun::definition();
    definition.get_arguments().filter_map(|option| option.get_long().map(str::to_owned)).collect()
}

fn missing_from(path: &str, written: impl Fn(&str) -> String) -> Vec<String> {
    let text = read(path);
    long_options().into_iter().filter(|option| !text.contains(&written(option))).collect()
}

#[test]
fn the_manual_page_has_every_option() {
    // mdoc writes `--name` as `Fl -name`.
    let missing = missing_from("man/vrfrun.1", |option| format!("Fl -{option}"));
    assert!(missing.is_empty(), "man/vrfrun.1 lacks {missing:?}");
}

#[test]
fn the_readme_has_every_option() {
    let missing = missing_from("README.md", |option| format!("--{option}"));
    assert!(missing.is_empty(), "README.md lacks {missing:?}");
}

#[test]
fn every_completion_has_every_option() {
    for (path, prefix) in
        [("completions/vrfrun.bash", "--"), ("completions/_vrfrun", "--"), ("completions/vrfrun.fish", "-l ")]
    {
        let missing = missing_from(path, |option| format!("{prefix}{option}"));
        assert!(missing.is_empty(), "{path} lacks {missing:?}");
    }
}

#[test]
fn the_options_are_there_to_be_looked_for() {
    let options = long_options();
    assert!(options.len() > 12 && options.contains(&"keep-fds".into()), "{options:?}");
}
