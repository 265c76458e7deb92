//! Every option is in the manual page, as it is defined and in the same order, in the README, and offered at the Tab key.
//! The completions read the program's own help: bash is asked here as at the Tab key, all shells in `guest/docs`.

use std::fs;
use std::path::Path;
use std::process::Command;

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

/// The line of mdoc(7) under which an option is described, without the name of its value.
fn item(option: &clap::Arg) -> Option<String> {
    let long = format!("Fl -{}", option.get_long()?);
    let forms = option.get_short().map_or(long.clone(), |short| format!("Fl {short} , {long}"));
    let value = match option.get_action().takes_values() {
        true if option.is_require_equals_set() => " Ns Op = Ns Ar ",
        true => " Ar ",
        false => "",
    };
    Some(format!(".It {forms}{value}"))
}

#[test]
fn the_manual_page_has_every_option_in_its_order() {
    let items: Vec<String> = vrfrun::definition().get_arguments().filter_map(item).collect();
    assert!(items.len() > 12, "{items:?}");
    let page = read("man/vrfrun.1");
    let mut lines = page.lines();
    for item in items {
        let is_it = |line: &str| if item.ends_with(' ') { line.starts_with(&item) } else { line == item };
        assert!(lines.any(is_it), "man/vrfrun.1 lacks '{item}', or has it before the option that is defined before it");
    }
}

#[test]
fn the_pages_and_the_tab_key_have_the_options_of_oci_agent() {
    let (man, readme) = (read("man/vrfrun.1"), read("README.md"));
    let offered = offers(&["vrfrun", "oci-agent", "--"]);
    let definition = vrfrun::oci_agent::definition();
    let options: Vec<_> = definition.get_arguments().filter_map(|option| option.get_long()).collect();
    assert!(options.contains(&"profile"), "{options:?}");
    for option in options {
        assert!(man.contains(&format!(".It Fl -{option}")), "man/vrfrun.1 lacks --{option}");
        assert!(readme.contains(&format!("--{option}")), "README.md lacks --{option}");
        assert!(offered.contains(&format!("--{option}")), "{offered:?} lacks --{option}");
    }
}

#[test]
fn the_readme_has_every_option() {
    let missing = missing_from("README.md", |option| format!("--{option}"));
    assert!(missing.is_empty(), "README.md lacks {missing:?}");
}

/// What bash offers for the last of these words.
fn offers(line: &[&str]) -> Vec<String> {
    let program = Path::new(env!("CARGO_BIN_EXE_vrfrun"));
    let script = r#"PATH=$1:$PATH; eval "$2"; shift 2; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
                    _vrfrun; printf '%s\n' "${COMPREPLY[@]}""#;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", script, "bash"]).arg(program.parent().unwrap()).arg(read("completions/vrfrun.bash"));
    let output = bash.args(line).output().expect("bash");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{line:?}");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn every_option_is_offered() {
    let offered = offers(&["vrfrun", "--"]);
    let missing: Vec<_> = long_options().into_iter().filter(|name| !offered.contains(&format!("--{name}"))).collect();
    assert!(missing.is_empty(), "{missing:?} of {offered:?}");
    assert!(offered.contains(&"--help".into()), "{offered:?}");
}

#[test]
fn an_options_value_is_offered_behind_it_and_is_not_taken_for_the_vrf() {
    assert_eq!(offers(&["vrfrun", "-m", ""]), ["auto", "bpf", "preload", "seccomp"]);
    assert_eq!(offers(&["vrfrun", "--mechanism", "s"]), ["seccomp"]);
    assert_eq!(offers(&["vrfrun", "-u", "roo"]), ["root"]);
    assert_eq!(offers(&["vrfrun", "--dns", ""]), [""]);
    assert_eq!(offers(&["vrfrun", "-m", "bpf", "--stri"]), ["--strict"]);
    assert_eq!(offers(&["vrfrun", "--strict", "--interface", "l"]), ["lo"]);
    assert_eq!(offers(&["vrfrun", "--each", "--match", "b*", ""]), ["--"]);
    assert_eq!(offers(&["vrfrun", "each", "--match", "b*", ""]), ["--"]);
    for each in ["each", "--each"] {
        assert!(offers(&["vrfrun", each, "--", "chmo"]).contains(&"chmod".into()), "{each}");
    }
}

#[test]
fn the_options_are_there_to_be_looked_for() {
    let options = long_options();
    assert!(options.len() > 12 && options.contains(&"keep-fds".into()), "{options:?}");
}

#[test]
fn every_path_that_contributing_names_is_there() {
    let page = read("CONTRIBUTING.md");
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let is_path = |word: &&str| {
        word.contains('/')
            && word.starts_with(|first: char| !first.is_ascii_digit())
            && !word.starts_with(['/', '$', '~'])
            && !word.starts_with("target")
            && !word.contains([' ', ':'])
    };
    let paths: Vec<&str> = page.split('`').skip(1).step_by(2).filter(is_path).collect();
    assert!(paths.len() > 40, "{paths:?}");
    let missing: Vec<_> = paths.iter().filter(|path| !top.join(path).exists()).collect();
    assert!(missing.is_empty(), "CONTRIBUTING.md names {missing:?}");
}

/// Where a part of `completions/parts` stands in a file; WRITE_COMPLETIONS=1 writes it there.
const PARTS: [(&str, &str); 9] = [
    ("vrfrun.bash", "value.awk"),
    ("vrfsetup.bash", "value.awk"),
    ("vrfsetup.bash", "place.awk"),
    ("vrfsetup.fish", "value.awk"),
    ("vrfsetup.fish", "place.awk"),
    ("vrfrun.fish", "options.awk"),
    ("_vrfsetup", "value.awk"),
    ("_vrfsetup", "place.awk"),
    ("_vrfrun", "options.awk"),
];

/// The file's text with the part between the two lines that name it, as far to the right as these.
fn with_part(text: &str, name: &str, part: &str) -> Option<String> {
    let (begin, end) = (format!("# BEGIN parts/{name}\n"), format!("# END parts/{name}\n"));
    let (before, rest) = text.split_once(&begin)?;
    let (old, after) = rest.split_once(&end)?;
    let indent = before.rsplit('\n').next()?;
    assert!(!old.contains("# BEGIN") && indent.trim().is_empty(), "{name}: its lines are torn");
    let new: String = part.lines().map(|line| format!("{indent}{line}\n")).collect();
    Some(format!("{before}{begin}{new}{indent}{end}{after}"))
}

#[test]
fn what_reads_the_help_is_the_same_in_every_shell() {
    for (file, name) in PARTS {
        let path = format!("completions/{file}");
        let (text, part) = (read(&path), read(&format!("completions/parts/{name}")));
        // It stands between single quotes, which sh ends with the next one, and in which fish reads these two.
        assert!(!part.contains(['\'']) && !part.contains(r"\\"), "{name} cannot be quoted");
        let made = with_part(&text, name, &part).unwrap_or_else(|| panic!("{path} has no place for parts/{name}"));
        if std::env::var_os("WRITE_COMPLETIONS").is_some() {
            let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
            fs::write(top.join(&path), &made).unwrap();
        }
        assert_eq!(read(&path), made, "WRITE_COMPLETIONS=1 cargo test -p vrfrun --test pages writes {path} again");
    }
}
