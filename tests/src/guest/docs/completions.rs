//! What the shells offer at the Tab key, asked for real: VRFs, ports and namespaces are those of the machine.

use std::fs;
use std::path::Path;

use super::guest_tests;
use crate::harness::judge::root;
use crate::harness::world::{Kind, World};

guest_tests! {
    bash_offers_what_there_is needs [Once],
    zsh_offers_what_there_is needs [Once],
    fish_offers_what_there_is needs [Once],
}

/// What is typed, and what must be among the offers.
const LINES: [(&str, &[&str]); 18] = [
    ("vrfrun ", &["blue", "red", "default", "each", "oci-agent"]),
    ("vrfrun --interface blu", &["blue", "blue0"]),
    ("vrfrun -n netns-of", &["netns-of-the-test"]),
    ("vrfrun blue chmo", &["chmod"]),
    ("vrfrun -m bpf --stri", &["--strict"]),
    ("vrfrun -m pre", &["preload"]),
    ("vrfrun --tra", &["--trace"]),
    ("vrfrun --trace blu", &["blue"]),
    ("vrfrun --each ", &["--"]),
    ("vrfrun each ", &["--"]),
    ("vrfrun oci-agent --so", &["--socket"]),
    ("vrfrun each --match b* -- chmo", &["chmod"]),
    ("vrfrun --each --match b* -- chmo", &["chmod"]),
    ("vrfsetup rules fix --unreachable ro", &["route"]),
    ("vrfsetup leak blue d", &["default"]),
    ("vrfsetup rules f", &["fix"]),
    ("vrfsetup del r", &["red"]),
    ("vrfsetup attach blue red", &["red0"]),
];

/// Every file of completions/, by the name under which the shells look for it.
const FILES: [(&str, &str); 6] = [
    ("vrfrun.bash", include_str!("../../../../completions/vrfrun.bash")),
    ("vrfsetup.bash", include_str!("../../../../completions/vrfsetup.bash")),
    ("_vrfrun", include_str!("../../../../completions/_vrfrun")),
    ("_vrfsetup", include_str!("../../../../completions/_vrfsetup")),
    ("vrfrun.fish", include_str!("../../../../completions/vrfrun.fish")),
    ("vrfsetup.fish", include_str!("../../../../completions/vrfsetup.fish")),
];

/// Asks a shell for its offers at each line.
fn offers(shell: &[&str], script: &str) {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    let _netns = Netns::add(&world);
    let directory = world.directory().to_owned();
    FILES.iter().for_each(|(name, text)| write(&directory.join(name), text));
    let asker = directory.join("offer");
    write(&asker, script);
    let paths = [&asker, &directory].map(|path| path.to_str().expect("a plain path"));
    let words = shell.iter().copied().chain(paths).chain(LINES.map(|(line, _)| line));
    let verdict = world.judge(&root(words));
    let text = format!("{}\n=", verdict.text());
    for (line, wanted) in LINES {
        let (_, rest) = text.split_once(&format!("= {line}\n")).unwrap_or_else(|| panic!("{line}\n{verdict}"));
        let (offers, _) = rest.split_once("\n=").unwrap_or_default();
        let missing: Vec<_> =
            wanted.iter().filter(|word| !offers.lines().any(|offer| offer.trim() == **word)).collect();
        assert!(missing.is_empty(), "{shell:?} does not offer {missing:?} behind '{line}'\n{verdict}");
        assert!(!offers.lines().any(|offer| offer.starts_with("__")), "{shell:?} '{line}'\n{verdict}");
    }
}

/// `ip netns add`, undone in the end.
struct Netns;

impl Netns {
    fn add(world: &World) -> Self {
        world.ip("netns add netns-of-the-test");
        Self
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        // One that stays would only be in the next test's way, which then says so.
        let _ = std::process::Command::new("ip").args(["netns", "del", "netns-of-the-test"]).status();
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn bash_offers_what_there_is() {
    offers(&["bash", "--norc"], include_str!("completions/offer.bash"));
}

fn zsh_offers_what_there_is() {
    offers(&["zsh", "-f"], include_str!("completions/offer.zsh"));
}

fn fish_offers_what_there_is() {
    offers(&["fish", "--no-config"], include_str!("completions/offer.fish"));
}
