//! A file system under /run/vrfsetup that has room for a few pages: a change is made or refused, and nothing is left of one
//! that is refused. The kernel of this machine is enough, for rules and zones need no VRF.

mod namespace;

use std::process::Output;

use namespace::{Namespace, assert_says, text};

/// Does this where /run/vrfsetup has so many pages; then lists what is there.
fn in_pages(namespace: &Namespace, pages: usize, words: &str) -> (Output, String) {
    let script = format!(
        "mkdir -p /run/vrfsetup && mount -t tmpfs -o size={}k none /run/vrfsetup || exit 99
        \"$0\" {words}; status=$?; ls /run/vrfsetup >&3; exit $status",
        pages * 4
    );
    let list = std::env::temp_dir().join(format!("vrfsetup-full-{}-{pages}", std::process::id()));
    let script = format!("exec 3>{}; {script}", list.display());
    let mut command = namespace.command("unshare");
    let output = command.args(["-m", "sh", "-c", &script, env!("CARGO_BIN_EXE_vrfsetup")]).output().expect("unshare");
    let listed = std::fs::read_to_string(&list).expect("a list");
    std::fs::remove_file(list).expect("the list");
    (output, listed)
}

#[test]
fn a_change_is_made_or_refused_and_leaves_nothing_then() {
    let namespace = Namespace::new();
    let state = || {
        let tables = namespace.command("nft").args(["list", "tables"]).output().expect("nft");
        namespace.rules() + &text(&tables)
    };
    let before = state();
    for (words, back) in [("rules fix", "rules undo"), ("zones on", "zones off")] {
        let (mut refused, mut is_made) = (0, false);
        for pages in 1..8 {
            let (output, left) = in_pages(&namespace, pages, words);
            if output.status.success() {
                assert_ne!(state(), before, "{words}");
                // What was to be remembered is gone with that file system.
                assert!(left.contains(".last"), "{left}");
                assert_says(&namespace.vrfsetup(back), 0, "changed");
                is_made = true;
                break;
            }
            refused += 1;
            assert_says(&output, 1, "nothing is changed: No space left on device");
            assert_eq!(state(), before, "{words}: {}", text(&output));
            assert!(left.lines().all(|file| file.ends_with(".lock")), "{words} in {pages} pages left {left}");
        }
        assert!(refused > 0 && is_made, "{words}: it was refused {refused} times, and made: {is_made}");
        assert_eq!(state(), before, "{words}");
    }
}
