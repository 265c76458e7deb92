//! Tunnels that have a device of their own for their outside: what the hint for such an interface, the manual and the
//! recipe say.

use super::scene::{Scene, here};
use crate::harness::world::Domain;
use crate::harness::world::plan::{OWN4, OWN6, WEB4, WEB6};

/// Their kinds, with what they need more, and whether their outside is IPv6.
const KINDS: [(&str, &str, bool); 8] = [
    ("vxlan", "id 7 dstport 4789", false),
    ("vxlan", "id 7 dstport 4789", true),
    ("gre", "", false),
    ("gretap", "", false),
    ("ip6gre", "", true),
    ("ipip", "", false),
    ("sit", "", false),
    ("ip6tnl", "mode any", true),
];

pub fn the_outside_of_other_kinds_is_in_the_vrf_that_they_are_made_for() {
    let mut scene = Scene::new();
    let (web, own) = ([WEB4.to_string(), WEB6.to_string()], [OWN4, OWN6]);
    for (kind, words, is_v6) in KINDS {
        let (web, own) = (&web[usize::from(is_v6)], own[usize::from(is_v6)]);
        // What is within a sit is IPv6.
        let within = |at: u8| if kind == "sit" { format!("fd08::{at}/64") } else { format!("10.8.0.{at}/24") };
        // The same in every domain: whoever is reached answers.
        for domain in Domain::ALL {
            scene.at_peer(domain, &format!("ip link add t7 type {kind} {words} local {web} remote {own}"));
            scene.at_peer(domain, &format!("ip addr add {} dev t7", within(2)));
            scene.at_peer(domain, "ip link set t7 addrgenmode none up");
        }
        here(&format!("ip link add t7 type {kind} {words} local {own} remote {web} dev blue"));
        here(&format!("ip addr add {} dev t7", within(1)));
        here("ip link set t7 addrgenmode none up");
        let there = within(2);
        let verdict = scene.ping(there.split('/').next().expect("an address"), "3", "10");
        let packets = [Domain::Default, Domain::Red].map(|domain| verdict.packets(domain));
        assert_eq!((verdict.code, packets), (0, [0; 2]), "{kind}: {verdict}");
        assert!(verdict.packets(Domain::Blue) >= 6, "{kind}: three within and three around them: {verdict}");
        Domain::ALL.iter().for_each(|domain| drop(scene.at_peer(*domain, "ip link del t7")));
        here("ip link del t7");
    }
}
