//! `vrfsetup rules` on this machine's kernel: l3mdev rules need no VRF.

mod namespace;

use std::process::Output;

use namespace::Namespace;

#[track_caller]
fn assert_says(output: &Output, code: i32, words: &str) {
    let said = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "{said}");
}

#[test]
fn fix_twice_and_undo_leave_the_rules_as_they_were() {
    let namespace = Namespace::new();
    let born = namespace.rules();
    assert_says(&namespace.vrfsetup("rules check"), 3, "ip rule add pref 32765 lookup local protocol kernel");
    assert_says(&namespace.vrfsetup("rules fix"), 0, "changed");
    let fixed = namespace.rules();
    assert_ne!(fixed, born);
    assert_says(&namespace.vrfsetup("rules check"), 0, "as it should be");
    assert_says(&namespace.vrfsetup("rules fix"), 0, "unchanged: nothing to do");
    assert_eq!(namespace.rules(), fixed);
    assert_says(&namespace.vrfsetup("rules undo"), 0, "changed");
    assert_eq!(namespace.rules(), born);
    assert_says(&namespace.vrfsetup("rules undo"), 0, "nothing to do");
}

#[test]
fn an_l3mdev_rule_that_was_there_before_stays_after_undo() {
    let namespace = Namespace::new();
    namespace.ip("rule add pref 1000 l3mdev protocol kernel");
    let before = namespace.rules();
    assert_says(&namespace.vrfsetup("rules fix"), 0, "changed");
    assert_says(&namespace.vrfsetup("rules undo"), 0, "changed");
    assert_eq!(namespace.rules(), before);
}

/// The kernel gives the number of a namespace that is gone to a later one.
#[test]
fn what_was_known_of_another_namespace_is_not_undone() {
    let mut numbers = Vec::new();
    for _ in 0..200 {
        let namespace = Namespace::new();
        namespace.ip("rule add pref 1000 l3mdev protocol kernel");
        let before = namespace.rules();
        assert_says(&namespace.vrfsetup("rules undo"), 0, "nothing to do");
        assert_eq!(namespace.rules(), before);
        if numbers.contains(&namespace.inode()) {
            return;
        }
        namespace.ip("rule del pref 1000");
        assert_says(&namespace.vrfsetup("rules fix"), 0, "changed");
        numbers.push(namespace.inode());
    }
    panic!("no number came twice: {numbers:?}");
}

#[test]
fn rules_of_another_protocol_are_replaced_by_the_kernels() {
    let namespace = Namespace::new();
    for family in ["", "-6 "] {
        namespace.ip(&format!("{family}rule add pref 1000 l3mdev protocol static"));
        namespace.ip(&format!("{family}rule add pref 32765 lookup local protocol boot"));
        namespace.ip(&format!("{family}rule del pref 0"));
    }
    assert_says(&namespace.vrfsetup("rules fix"), 0, "changed");
    let rules = namespace.rules();
    assert!(!rules.contains("\"static\"") && !rules.contains("\"boot\""), "{rules}");
    assert_eq!(rules.matches("\"priority\":32765").count(), 2, "{rules}");
    assert_says(&namespace.vrfsetup("rules fix"), 0, "nothing to do");
}

#[test]
fn a_rule_that_comes_first_is_named_and_nothing_is_changed() {
    let namespace = Namespace::new();
    namespace.ip("rule add pref 100 fwmark 0x5 lookup 52");
    let before = namespace.rules();
    assert_says(&namespace.vrfsetup("rules fix"), 1, "100: from all fwmark 0x5 lookup 52");
    assert_eq!(namespace.rules(), before);
    assert_says(&namespace.vrfsetup("rules check"), 3, "100: from all fwmark 0x5 lookup 52");
    assert_says(&namespace.vrfsetup("rules fix --force"), 0, "changed");
    assert_says(&namespace.vrfsetup("rules fix --force"), 0, "nothing to do");
}

#[test]
fn a_kernel_without_vrfs_says_so_and_nothing_is_left() {
    let namespace = Namespace::new();
    let routes = || namespace.ip("-j route show table all") + &namespace.ip("-j -6 route show table all");
    let (rules_before, routes_before) = (namespace.rules(), routes());
    let output = namespace.vrfsetup("add blue");
    if has_vrfs(&namespace) {
        // The guest tests look at the VRF; here `del` must leave what it leaves everywhere: the rules, and no route.
        assert_says(&output, 0, "changed");
        assert_says(&namespace.vrfsetup("del blue"), 0, "changed");
        assert!(namespace.rules().contains("l3mdev"));
    } else {
        assert_says(&output, 1, "hint: modprobe vrf");
        assert_eq!(namespace.rules(), rules_before);
    }
    assert_eq!(routes(), routes_before);
}

/// Asked of the kernel itself, in the same namespace; vrfsetup's outcome decides nothing here.
fn has_vrfs(namespace: &Namespace) -> bool {
    let mut add = namespace.command("ip");
    let made = add.args("link add asked type vrf table 4242".split(' ')).output().expect("ip").status.success();
    if made {
        namespace.ip("link del asked");
    }
    made
}

#[test]
fn what_is_absent_is_deleted_already() {
    let namespace = Namespace::new();
    assert_says(&namespace.vrfsetup("del blue"), 0, "nothing to do");
    assert_says(&namespace.vrfsetup("detach eth7"), 0, "nothing to do");
    assert_says(&namespace.vrfsetup("attach blue lo"), 1, "no interface 'blue'");
    assert_says(&namespace.vrfsetup("del lo"), 1, "'lo' exists and is not a VRF");
}

#[test]
fn a_namespace_that_does_not_exist_is_refused() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_vrfsetup"));
    let output = command.args(["show", "-n", "no-such-namespace"]).output().unwrap();
    assert_says(&output, 1, "cannot enter network namespace 'no-such-namespace': No such file or directory");
}

#[test]
fn a_mistake_on_the_command_line_is_2() {
    let namespace = Namespace::new();
    for line in
        ["", "ad blue", "add", "add default", "add blue --table 254", "rules", "rules repair", "leak a b nonsense"]
    {
        assert_eq!(namespace.vrfsetup(line).status.code(), Some(2), "{line:?}");
    }
}

#[test]
fn a_confirmed_change_stays_and_another_is_undone_in_time() {
    let namespace = Namespace::new();
    let born = namespace.rules();
    assert_says(&namespace.vrfsetup("confirm"), 1, "no change waits");
    assert_says(&namespace.vrfsetup("rules fix --confirm 60"), 0, "unless 'vrfsetup confirm' comes first");
    assert_says(&namespace.vrfsetup("rules undo"), 1, "an earlier change waits for its confirmation");
    assert_says(&namespace.vrfsetup("confirm"), 0, "confirmed");
    assert_ne!(namespace.rules(), born);
    assert_says(&namespace.vrfsetup("rules undo"), 0, "changed");
    assert_says(&namespace.vrfsetup("rules fix --confirm 1"), 0, "1 s");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while namespace.rules() != born {
        assert!(std::time::Instant::now() < deadline, "never undone: {}", namespace.rules());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_says(&namespace.vrfsetup("confirm"), 1, "no change waits");
}
