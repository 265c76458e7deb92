//! `vrfsetup zones` on this machine's kernel, where no VRF can be made: the table comes, goes and comes back, and nobody
//! else's is touched. What it does to flows is in `tests/src/guest/setup/zones.rs`.

mod namespace;

use std::io::Write;
use std::process::{Command, Stdio};

use namespace::{IDLE, Namespace, assert_says, faulty, files, text, wait_until};

/// What others have: zones of their own, translation, a table of our name in another family.
const FOREIGN: &str = "table ip foreign {
    map m { type ipv4_addr : verdict; elements = { 192.0.2.1 : accept }; }
    chain pre { type filter hook prerouting priority raw; ip saddr 192.0.2.9 notrack; iifname \"x0\" ct zone set 7; }
    chain post { type nat hook postrouting priority srcnat; oifname \"x0\" counter masquerade; }
}
table ip vrfsetup_zones { chain c { ip saddr 192.0.2.1 counter drop; }; }
table inet vrfsetup_zones2 { chain c { counter; }; }
";

fn with_foreign() -> Namespace {
    let namespace = Namespace::new();
    let mut nft = namespace.command("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().expect("nft");
    nft.stdin.take().expect("a pipe").write_all(FOREIGN.as_bytes()).expect("rules");
    assert!(nft.wait().expect("nft").success());
    namespace
}

fn ruleset(namespace: &Namespace) -> String {
    let output = namespace.command("nft").args(["-a", "-s", "list", "ruleset"]).output().expect("nft");
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8(output.stdout).expect("text")
}

fn has_zones(namespace: &Namespace) -> bool {
    ruleset(namespace).contains("table inet vrfsetup_zones {")
}

#[test]
fn off_leaves_every_other_rule_as_it_was() {
    let namespace = with_foreign();
    let before = ruleset(&namespace);
    assert_says(&namespace.vrfsetup("zones show"), 0, "zones are off");
    assert_says(&namespace.vrfsetup("zones off"), 0, "nothing to do");
    assert_says(&namespace.vrfsetup("zones on"), 0, "| nft -f -");
    let on = ruleset(&namespace);
    assert!(on.contains("type nat hook postrouting"), "{on}");
    assert_says(&namespace.vrfsetup("zones on"), 0, "nothing to do");
    assert_eq!(ruleset(&namespace), on);
    assert_says(&namespace.vrfsetup("zones off"), 0, "nft delete table inet vrfsetup_zones");
    assert_eq!(ruleset(&namespace), before);
    assert_eq!(files(&namespace, ".memory"), Vec::<std::path::PathBuf>::new());
    assert_eq!(files(&namespace, ".nft"), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let namespace = with_foreign();
    let before = ruleset(&namespace);
    let output = namespace.vrfsetup("-j zones on --dry-run");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&said["changed"], &said["dry_run"]), (&true.into(), &true.into()), "{said}");
    assert_eq!(ruleset(&namespace), before);
    // What is printed is a command that does the same.
    let step = said["steps"][0].as_str().expect("a step").to_owned();
    assert!(namespace.command("sh").args(["-c", &step]).status().expect("sh").success());
    let by_hand = ruleset(&namespace);
    assert_says(&namespace.vrfsetup("zones off --dry-run"), 3, "to do:");
    assert_says(&namespace.vrfsetup("zones off"), 0, "changed");
    assert_says(&namespace.vrfsetup("zones on"), 0, "changed");
    let without_handles =
        |text: &str| text.lines().map(|line| line.split(" # ").next().unwrap_or(line).to_owned()).collect::<Vec<_>>();
    assert_eq!(without_handles(&ruleset(&namespace)), without_handles(&by_hand));
    assert_says(&namespace.vrfsetup("zones on --dry-run"), 0, "nothing to do");
}

#[test]
fn two_at_once_leave_one_table() {
    let namespace = with_foreign();
    let path = namespace.path();
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vrfsetup"));
        command
            .args(["-n", &path, "zones", "on"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("vrfsetup")
    };
    let both = [start(), start()].map(|child| child.wait_with_output().expect("vrfsetup"));
    let said: Vec<String> = both.iter().map(text).collect();
    assert!(both.iter().all(|output| output.status.success()), "{said:?}");
    assert_eq!(said.iter().filter(|text| text.contains("nothing to do")).count(), 1, "{said:?}");
    assert_eq!(ruleset(&namespace).matches("table inet vrfsetup_zones {").count(), 1);
}

#[test]
fn what_is_flushed_is_named_and_made_again() {
    let namespace = Namespace::new();
    assert_says(&namespace.vrfsetup("zones on"), 0, "changed");
    assert!(namespace.command("nft").args(["flush", "ruleset"]).status().expect("nft").success());
    let doctor = text(&namespace.vrfsetup("doctor"));
    assert!(doctor.contains("their nftables table is gone; fix: vrfsetup zones on"), "{doctor}");
    assert_says(&namespace.vrfsetup("zones on"), 0, "changed");
    assert!(!text(&namespace.vrfsetup("doctor")).contains("zones"));
    assert!(has_zones(&namespace));
    // Off is not what they are because nothing is left of them.
    for words in ["zones off", "rollback", "zones off"] {
        assert!(namespace.command("nft").args(["flush", "ruleset"]).status().expect("nft").success());
        assert_eq!(text(&namespace.vrfsetup(words)).lines().next(), Some("changed"), "{words}");
        let exported = text(&namespace.vrfsetup("export"));
        assert_eq!(exported.contains("[zones]"), words == "rollback", "{exported}");
    }
    assert_says(&namespace.vrfsetup("zones off"), 0, "nothing to do");
}

#[test]
fn what_is_not_confirmed_is_undone_and_rollback_undoes_the_last_change() {
    let namespace = with_foreign();
    let before = ruleset(&namespace);
    assert_says(&namespace.vrfsetup("zones on --confirm 1"), 0, "undone in 1 s");
    wait_until("the rollback", || ruleset(&namespace) == before);
    wait_until("its end", || files(&namespace, ".pending").is_empty());
    assert_says(&namespace.vrfsetup("zones on"), 0, "changed");
    let on = ruleset(&namespace);
    assert_says(&namespace.vrfsetup("zones off"), 0, "changed");
    assert_says(&namespace.vrfsetup("rollback"), 0, "is undone");
    let names =
        |text: &str| text.lines().map(|line| line.split(" # ").next().unwrap_or(line).to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&ruleset(&namespace)), names(&on));
    assert_says(&namespace.vrfsetup("zones on"), 0, "nothing to do");
}

/// At each of its writes, and when it waits for nft.
#[test]
fn killed_anywhere_it_is_undone_by_the_next_run() {
    let namespace = with_foreign();
    let before = ruleset(&namespace);
    let mut ends = Vec::new();
    for call in ["write", "rename", "clone3", "wait4", "unlink"] {
        for when in 1..30 {
            let output = faulty(&namespace, &format!("{call}:signal=SIGKILL:when={when}"), "zones on");
            if output.status.success() {
                break;
            }
            // Killed when all was done: while it said so, or later.
            if files(&namespace, ".journal").is_empty() && has_zones(&namespace) {
                assert_says(&namespace.vrfsetup("zones off"), 0, "changed");
            }
            ends.push(format!("{call} {when}"));
            let undone = namespace.vrfsetup(IDLE);
            assert!(undone.status.success(), "{call} {when}: {}", text(&undone));
            assert_eq!(ruleset(&namespace), before, "{call} {when}");
        }
        assert!(has_zones(&namespace), "{call}");
        assert_says(&namespace.vrfsetup("zones off"), 0, "changed");
        assert_eq!(ruleset(&namespace), before, "{call}");
    }
    assert!(ends.len() > 8, "{ends:?}");
}

#[test]
fn without_nft_it_is_refused_in_one_line() {
    let namespace = Namespace::new();
    let bare = |words: &[&str]| {
        let mut vrfsetup = namespace.command("env");
        vrfsetup.args(["PATH=/nonexistent", env!("CARGO_BIN_EXE_vrfsetup")]).args(words).output().expect("vrfsetup")
    };
    let output = bare(&["zones", "on"]);
    assert_eq!(
        text(&output),
        "vrfsetup: cannot look at the conntrack zones: cannot run nft: No such file or directory\n"
    );
    assert_eq!(output.status.code(), Some(1));
    // Who has never switched them on does not need it.
    assert_says(&bare(&["rules", "fix"]), 0, "changed");
}

#[test]
fn without_nft_declared_tunnels_and_zones_cost_themselves_alone() {
    let namespace = Namespace::new();
    let file = std::env::temp_dir().join(format!("vrfsetup-tunnel-{}.toml", std::process::id()));
    let sections = "[sysctl]\n\"net.ipv4.ip_forward\" = 1\n[zones]\non = true\n[vrf.blue]\n[tunnel]\nwg0 = \"blue\"\n";
    std::fs::write(&file, sections).expect("a file");
    let apply = || {
        let mut vrfsetup = namespace.command("env");
        vrfsetup.args(["PATH=/nonexistent", env!("CARGO_BIN_EXE_vrfsetup"), "apply", "--each"]).arg(&file);
        vrfsetup.output().expect("vrfsetup")
    };
    let said = [
        "cannot look at what tunnels receive: cannot run nft: No such file or directory\n",
        "cannot look at the conntrack zones: cannot run nft: No such file or directory\n",
    ];
    let first = apply();
    said.iter().for_each(|words| assert_says(&first, 1, words));
    // What else is declared is made.
    assert_says(&namespace.vrfsetup("rules fix"), 0, "nothing to do");
    assert_eq!(namespace.sysctl("net/ipv4/ip_forward"), "1\n");

    // The same where they are on already, and where the file says nothing of them any more.
    assert_says(&namespace.vrfsetup("zones on"), 0, "changed");
    let before = ruleset(&namespace);
    for words in [sections, "[sysctl]\n\"net.ipv4.ip_forward\" = 1\n"] {
        std::fs::write(&file, words).expect("a file");
        namespace.write_sysctl("net/ipv4/ip_forward", "0");
        let again = apply();
        assert_says(&again, 1, said[1]);
        assert_eq!(text(&again).matches("conntrack zones").count(), 1, "{}", text(&again));
        assert_eq!((namespace.sysctl("net/ipv4/ip_forward").as_str(), ruleset(&namespace)), ("1\n", before.clone()));
    }
    std::fs::remove_file(&file).expect("the file");
}

#[test]
fn a_declared_file_switches_them() {
    let namespace = with_foreign();
    let before = ruleset(&namespace);
    let file = std::env::temp_dir().join(format!("vrfsetup-zones-{}.toml", std::process::id()));
    let apply = |text: &str, options: &str| {
        std::fs::write(&file, text).expect("a file");
        namespace.vrfsetup(&format!("apply {} {options}", file.display()))
    };
    let rules = "[rules]\nfix = false\n";
    assert_says(&apply(&format!("{rules}[zones]\non = true\n"), "--dry-run"), 3, "nft -f -");
    assert_eq!(ruleset(&namespace), before);
    assert_says(&apply(&format!("{rules}[zones]\non = true\n"), ""), 0, "nft -f -");
    assert_says(&apply(&format!("{rules}[zones]\non = true\n"), ""), 0, "nothing to do");
    let exported = text(&namespace.vrfsetup("export"));
    assert!(exported.contains("\n[zones]\non = true\n"), "{exported}");
    assert_says(&apply(rules, ""), 0, "nothing to do");
    assert!(has_zones(&namespace));
    assert_says(&apply(&format!("{rules}[zones]\non = false\n"), ""), 0, "nft delete table");
    assert_eq!(ruleset(&namespace), before);
    assert_says(&apply("[zones]\nof = true\n", ""), 2, "unknown field");
    std::fs::remove_file(file).expect("the file");
}
