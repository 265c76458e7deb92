//! `vrfsetup rules` on this machine's kernel: l3mdev rules need no VRF.

mod namespace;

use namespace::{Namespace, assert_says, wait_until};

#[test]
fn fix_twice_and_undo_leave_the_rules_as_they_were() {
    let namespace = Namespace::new();
    let born = namespace.rules();
    assert_says(&namespace.vrfsetup("rules check"), 3, "ip rule add pref 0 l3mdev protocol kernel");
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
    let gone = Namespace::new();
    gone.ip("rule add pref 1000 l3mdev protocol kernel");
    assert_says(&gone.vrfsetup("rules undo"), 0, "nothing to do");
    gone.ip("rule del pref 1000");
    assert_says(&gone.vrfsetup("rules fix"), 0, "changed");
    let namespace = Namespace::new();
    // As if it had the number of the one that is gone: a cookie is no other's.
    let (from, to) = (format!("netns-{}-", gone.inode()), format!("netns-{}-", namespace.inode()));
    let mut renamed = 0;
    for entry in std::fs::read_dir("/run/vrfsetup").expect("a directory").flatten() {
        let name = entry.file_name().into_string().expect("a name of vrfsetup's");
        if let Some(rest) = name.strip_prefix(&from) {
            std::fs::rename(entry.path(), entry.path().with_file_name(format!("{to}{rest}"))).expect("a new name");
            renamed += 1;
        }
    }
    assert!(renamed >= 2, "{renamed}");
    drop(gone);
    namespace.ip("rule add pref 1000 l3mdev protocol kernel");
    let before = namespace.rules();
    assert_says(&namespace.vrfsetup("rules undo"), 0, "nothing to do");
    assert_eq!(namespace.rules(), before);
}

#[test]
fn rules_of_another_protocol_are_replaced_by_the_kernels() {
    let namespace = Namespace::new();
    for family in ["", "-6 "] {
        namespace.ip(&format!("{family}rule add pref 0 l3mdev protocol static"));
        namespace.ip(&format!("{family}rule add pref 32765 lookup local protocol boot"));
        namespace.ip(&format!("{family}rule del pref 0 lookup local"));
    }
    assert_says(&namespace.vrfsetup("rules fix"), 0, "changed");
    let rules = namespace.rules();
    assert!(!rules.contains("\"static\"") && !rules.contains("\"boot\""), "{rules}");
    assert_eq!(rules.matches("\"priority\":0").count(), 6, "{rules}");
    assert_says(&namespace.vrfsetup("rules fix"), 0, "nothing to do");
}

/// The preferences and the tables of one family, as the kernel tries them.
fn in_order(namespace: &Namespace, family: &str) -> Vec<String> {
    let text = namespace.ip(&format!("{family} rule show"));
    text.lines().map(|line| line.replace("\tfrom all", "").trim().to_owned()).collect()
}

/// The kernel gives them the preference before that of the second rule.
#[test]
fn rules_that_are_added_without_a_preference_come_behind_local_whoever_comes_first() {
    const FIXED: [&str; 3] = ["0: lookup [l3mdev-table]", "0: lookup [l3mdev-table] unreachable", "0: lookup local"];
    let add_two = |namespace: &Namespace, family: &str| {
        namespace.ip(&format!("{family} rule add not fwmark 0xca6c lookup 51820"));
        namespace.ip(&format!("{family} rule add lookup main suppress_prefixlength 0"));
    };
    for family in ["-4", "-6"] {
        let namespace = Namespace::new();
        assert_says(&namespace.vrfsetup("rules fix"), 0, "changed");
        add_two(&namespace, family);
        let late = in_order(&namespace, family);
        assert_eq!(late[..3], FIXED, "{late:?}");
        assert!(late[3].contains("51820") && late[4].contains("suppress_prefixlength 0"), "{late:?}");
        assert_says(&namespace.vrfsetup("rules fix"), 0, "nothing to do");
        assert_says(&namespace.vrfsetup("rules undo"), 0, "changed");
        let undone = in_order(&namespace, family);
        assert_eq!(undone[0], "0: lookup local", "{undone:?}");

        let namespace = Namespace::new();
        add_two(&namespace, family);
        assert_says(&namespace.vrfsetup("rules fix"), 0, "changed");
        let early = in_order(&namespace, family);
        assert_eq!(early[..3], FIXED, "{early:?}");
        assert!(early[3].contains("suppress_prefixlength 0") && early[4].contains("51820"), "{early:?}");
    }
}

#[test]
fn the_layout_of_an_earlier_version_is_moved_and_undone() {
    for verb in ["fix", "undo"] {
        let namespace = Namespace::new();
        for family in ["", "-6 "] {
            namespace.ip(&format!("{family}rule add pref 1000 l3mdev protocol kernel"));
            namespace.ip(&format!("{family}rule add pref 2000 l3mdev unreachable protocol kernel"));
            namespace.ip(&format!("{family}rule add pref 32765 lookup local protocol kernel"));
            namespace.ip(&format!("{family}rule del pref 0"));
        }
        assert_says(&namespace.vrfsetup("rules check"), 3, "ip rule del pref 32765 lookup local protocol kernel");
        assert_says(&namespace.vrfsetup(&format!("rules {verb}")), 0, "changed");
        let rules = namespace.rules();
        assert!(!rules.contains("32765") && !rules.contains("2000"), "{rules}");
        assert!(in_order(&namespace, "-4").contains(&"0: lookup local".to_owned()), "{rules}");
    }
}

/// The kernel can only put local behind what is at 0 already.
#[test]
fn a_rule_that_comes_first_is_named_and_nothing_is_changed() {
    let (namespace, directory) = (Namespace::new(), tempfile::tempdir().expect("a directory"));
    namespace.ip("rule add pref 0 fwmark 0x5 lookup 52");
    let before = namespace.rules();
    assert_says(&namespace.vrfsetup("rules fix"), 1, "0: from all fwmark 0x5 lookup 52");
    assert_says(&namespace.vrfsetup("rules fix --force"), 1, "hint: ip rule add pref 1 fwmark 0x5 lookup 52");
    // Nor at boot, which forces connections.
    let file = format!("{}/vrf.toml", directory.path().display());
    std::fs::write(&file, "[rules]\nfix = true\n").expect("a file");
    for how in ["", "--force", "--each --force", "--boot", "--boot --no-ports"] {
        assert_says(&namespace.vrfsetup(&format!("apply {file} {how}")), 1, "0: from all fwmark 0x5 lookup 52");
    }
    assert_eq!(namespace.rules(), before);
    assert_says(&namespace.vrfsetup("rules check"), 3, "0: from all fwmark 0x5 lookup 52");
    assert_says(&namespace.vrfsetup("rules fix --force-rules"), 0, "changed");
    assert_says(&namespace.vrfsetup("rules fix --force-rules"), 0, "nothing to do");
}

/// Any other preference comes behind local.
#[test]
fn what_others_have_before_the_kernels_l3mdev_rule_is_no_obstacle() {
    let namespace = Namespace::new();
    for preference in [100, 110, 999, 5270] {
        namespace.ip(&format!("rule add pref {preference} not fwmark 0x1bd00 lookup 7120"));
    }
    assert_says(&namespace.vrfsetup("rules fix"), 0, "changed");
    assert_eq!(
        in_order(&namespace, "-4")[..3],
        ["0: lookup [l3mdev-table]", "0: lookup [l3mdev-table] unreachable", "0: lookup local"]
    );
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
        assert_says(&output, 1, "hint: vrfsetup add");
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
    wait_until("the rollback", || namespace.rules() == born);
    assert_says(&namespace.vrfsetup("confirm"), 1, "no change waits");
}

#[test]
fn a_rollback_leaves_local_before_what_a_vpn_added_meanwhile() {
    let namespace = Namespace::new();
    assert_says(&namespace.vrfsetup("rules fix --confirm 1"), 0, "1 s");
    namespace.ip("rule add not fwmark 0xca6c lookup 51820");
    wait_until("the rollback", || !namespace.rules().contains("l3mdev"));
    assert_eq!(in_order(&namespace, "-4")[0], "0: lookup local");
}
