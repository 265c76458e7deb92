//! The recipe of docs/recipes.md: Ansible drives `vrfsetup apply`, which changes what differs, and then nothing. In a
//! network namespace of its own on this kernel; what is declared is the rules, which need no VRF.

use std::path::Path;
use std::process::{Command, Output};

use vrftests::harness::programs;
use vrftests::harness::vm::image::top;

/// The tasks as they stand in the recipe, but with a directory that is not this machine's /etc.
fn playbook(directory: &Path) -> String {
    let page = std::fs::read_to_string(top().join("docs/recipes.md")).expect("the recipes");
    let (_, rest) = page.split_once("```yaml\n").expect("the tasks");
    let (tasks, _) = rest.split_once("```").expect("their end");
    let tasks = tasks.replace("/etc/vrf/", &format!("{}/", directory.join("applied").display()));
    let tasks: String = tasks.lines().map(|line| format!("    {line}\n")).collect();
    format!("- hosts: localhost\n  gather_facts: false\n  tasks:\n{tasks}")
}

/// Plays twice, and shows the rules after each.
const SCRIPT: &str = "ip link set lo up
for time in first second; do
    python3 -m ansible playbook -i localhost, -c local -e 'ansible_python_interpreter={{ansible_playbook_python}}' \"$1\"
    ip -j rule | sed 's/^/rules: /'
done
vrfsetup confirm || echo nothing to confirm";

fn play(directory: &Path) -> Output {
    let ansible = Command::new(top().join("tools/fetch-ansible")).output().expect("tools/fetch-ansible");
    assert!(ansible.status.success(), "{}", String::from_utf8_lossy(&ansible.stderr));
    let ours = programs::products().unwrap_or_else(|missing| panic!("{missing}"));
    let products = std::path::absolute(ours[0].parent().expect("a directory")).expect("a path");
    let path = format!("{}:{}", products.display(), std::env::var("PATH").unwrap_or_default());
    let mut unshare = Command::new("unshare");
    unshare.args(["--net", "sh", "-c", SCRIPT, "sh"]).arg(directory.join("play.yml"));
    unshare.env("PATH", path).env("LC_ALL", "C.UTF-8").env("HOME", directory);
    unshare.env("PYTHONPATH", String::from_utf8_lossy(&ansible.stdout).trim()).env("ANSIBLE_NOCOLOR", "1");
    unshare.output().expect("unshare")
}

#[test]
fn ansible_changes_what_differs_and_then_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(directory.path().join("applied")).expect("a directory");
    std::fs::write(directory.path().join("play.yml"), playbook(directory.path())).expect("a playbook");
    std::fs::write(directory.path().join("vrf.toml"), "[rules]\nfix = true\nunreachable = \"rule\"\n").expect("a file");
    let output = play(directory.path());
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let recaps: Vec<&str> = text.lines().filter(|line| line.starts_with("localhost ")).collect();
    assert_eq!(recaps.len(), 2, "{text}{errors}");
    assert!(recaps[0].contains("ok=3    changed=2") && recaps[0].contains("failed=0"), "{text}{errors}");
    assert!(recaps[1].contains("changed=0") && recaps[1].contains("failed=0"), "{text}{errors}");
    // By ip's own word: `local` stands behind l3mdev, after both.
    let rules: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("rules: ")).collect();
    let place = |what: &str| rules[0].find(what).unwrap_or_else(|| panic!("no {what}: {text}"));
    assert!(place("l3mdev") < place("unreachable") && place("unreachable") < place("\"local\""), "{text}");
    assert_eq!(rules[0], rules[1], "{text}");
    assert!(text.ends_with("nothing to confirm\n"), "{text}{errors}");
}
