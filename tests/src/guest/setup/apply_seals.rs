//! vrfsetup apply and what seals a VRF: beside a foreign rule that the guard does not overrule, at a boot as well, and where
//! the file leaves it to rules that it does not have fixed. Packets tell.

use super::apply_again::write;
use super::guest_tests;
use super::rules::{FIXED, rules, while_local_delivery_holds};
use super::{assert_same, nothing_to_do, state, vrfsetup};
use crate::harness::judge::{Outcome, root};
use crate::harness::world::plan::{WEB4, WEB6};
use crate::harness::world::{Kind, World};

guest_tests! {
    a_boot_beside_a_rule_that_it_cannot_come_before_makes_the_vrfs,
    a_vrf_that_is_left_open_is_named,
}

const FOREIGN: &str = "0: from all fwmark 0x7 lookup 52";

/// `route` is sealed by its table, `rule` by a rule that the boot can make nevertheless, `none` by the rules alone that it
/// cannot have.
fn a_boot_beside_a_rule_that_it_cannot_come_before_makes_the_vrfs() {
    let mut world = World::new(Kind::Bare).expect("a world");
    world.ip("link add first type vrf table 9");
    world.ip("link del first");
    for family in ["-4", "-6"] {
        world.ip(&format!("{family} rule add pref 0 fwmark 7 lookup 52"));
    }
    let file = "[vrf.route]\nports = [\"blue0\"]\n[vrf.none]\nports = [\"red0\"]\nunreachable = \"none\"\n";
    let path = write(&world, file);
    let before = state(&world);
    vrfsetup(&mut world, 1, &format!("apply {path} --force")).assert_says(1, FOREIGN);
    assert_same(&before, &state(&world));
    while_local_delivery_holds(&mut world, |world| {
        let made = vrfsetup(world, 1, &format!("apply --boot {path}"));
        for said in [
            format!("left out: rule '{FOREIGN}' (ipv4) would catch local packets before the local rule does"),
            "'none' is not sealed: what its table lacks is looked up in the default domain and leaves there (ipv4, ipv6)"
                .to_owned(),
        ] {
            assert!(made.text().contains(&said) || made.error_text().contains(&said), "{said}: {made}");
        }
    });
    for family in ["-4", "-6"] {
        assert_eq!(rules(&world, family), ["0: lookup local", "0: lookup 52", "1000: l3mdev"], "{family}");
    }
    assert_eq!(world.ip_json("link show dev blue0")[0]["master"], "route");
    assert_eq!(ways(&mut world, "route", "blue0"), [Outcome::Closed; 2]);
    assert_eq!(ways(&mut world, "none", "red0"), [Outcome::Leak; 2]);
    // One that counts on the rule gets it where it can stand.
    let path = write(&world, &file.replace("\"none\"", "\"rule\""));
    let made = vrfsetup(&mut world, 1, &format!("apply --boot {path}"));
    assert!(made.error_text().contains("left out: rule") && !made.text().contains("not sealed"), "{made}");
    for family in ["-4", "-6"] {
        let with_stop = ["0: lookup local", "0: lookup 52", "1000: l3mdev", "2000: l3mdev unreachable"];
        assert_eq!(rules(&world, family), with_stop, "{family}");
    }
    assert_eq!(ways(&mut world, "none", "red0"), [Outcome::Closed; 2]);
    // Without the foreign rule nothing is missing.
    for family in ["-4", "-6"] {
        world.ip(&format!("{family} rule del pref 0 fwmark 7 lookup 52"));
    }
    vrfsetup(&mut world, 0, &format!("apply --boot {path}"));
    for family in ["-4", "-6"] {
        assert_eq!(rules(&world, family), FIXED, "{family}");
    }
    nothing_to_do(&mut world, &format!("apply --boot {path}"));
}

fn a_vrf_that_is_left_open_is_named() {
    const OPEN: &str = "'a' is not sealed";
    let mut world = World::new(Kind::Bare).expect("a world");
    let of_a = |how: &str| format!("[vrf.a]\nports = [\"blue0\"]\nunreachable = \"{how}\"\n");
    let not_fixed = |how: &str| format!("[rules]\nfix = false\nunreachable = \"{how}\"\n");
    for (file, is_open) in [
        (not_fixed("none") + &of_a("rule"), false),
        // The rule that it would have, if [rules] were carried out.
        (not_fixed("rule") + &of_a("none"), true),
        ("[rules]\nunreachable = \"route\"\n".to_owned() + &of_a("none"), true),
        (of_a("none"), false),
        // By somebody else's route, and by another VRF's rule.
        (not_fixed("none") + &of_a("none") + "routes = [\"unreachable default\", \"-6 unreachable default\"]\n", false),
        (not_fixed("none") + &of_a("none") + "[vrf.b]\nunreachable = \"rule\"\n", false),
    ] {
        let path = write(&world, &file);
        if is_open {
            let shown = vrfsetup(&mut world, 3, &format!("apply {path} --dry-run"));
            assert!(shown.text().contains(OPEN), "{file}: {shown}");
        }
        let made = vrfsetup(&mut world, 0, &format!("apply {path}"));
        assert_eq!(made.text().contains(OPEN), is_open, "{file}: {made}");
        let expected = if is_open { Outcome::Leak } else { Outcome::Closed };
        assert_eq!(ways(&mut world, "a", "blue0"), [expected; 2], "{file}");
        for words in ["del a", "del b", "rules undo"] {
            vrfsetup(&mut world, 0, words);
        }
    }
    // In one family alone.
    let path = write(&world, &(not_fixed("none") + &of_a("none") + "routes = [\"unreachable default\"]\n"));
    let made = vrfsetup(&mut world, 0, &format!("apply {path}"));
    assert!(made.text().contains("and leaves there (ipv6)"), "{made}");
    assert_eq!(ways(&mut world, "a", "blue0"), [Outcome::Closed, Outcome::Leak]);
}

/// What becomes of packets that a VRF's table has no route for, by family: one that is sent in it, and, since a bound socket
/// of IPv6 takes no way by another interface, one that comes in by its port.
fn ways(world: &mut World, vrf: &str, port: &str) -> [Outcome; 2] {
    const SENDS: &str = "
import socket as S, sys
s = S.socket(type=S.SOCK_DGRAM)
s.setsockopt(S.SOL_SOCKET, S.SO_BINDTODEVICE, sys.argv[1].encode())
try: s.sendto(b'out', (sys.argv[2], 7))
except OSError as error: print(error)
";
    let sent = world.judge(&root(["python3", "-c", SENDS, vrf, &WEB4.to_string()])).outcome;
    let peer = WEB6.to_string();
    let asked = world.judge(&root(["ip", "-6", "route", "get", &peer, "from", "2001:db8:5::1", "iif", port]));
    let (is_found, text) = (asked.code == 0, asked.text());
    assert!(is_found == text.contains(" dev eth0 ") || text.starts_with("unreachable "), "{asked}");
    [sent, if text.contains(" dev eth0 ") { Outcome::Leak } else { Outcome::Closed }]
}
