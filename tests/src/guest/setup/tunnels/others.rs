//! A VXLAN, which has a device of its own for its outside: what the hint for such an interface, the manual and the recipe say.

use super::scene::{Scene, here};
use crate::harness::world::Domain;
use crate::harness::world::plan::{OWN4, OWN6, WEB4, WEB6};

pub fn the_outside_of_a_vxlan_is_in_the_vrf_that_it_is_made_for() {
    let mut scene = Scene::new();
    for (web, own) in [(WEB4.to_string(), OWN4), (WEB6.to_string(), OWN6)] {
        // At blue's peer alone: what the others' interfaces send of themselves would be answered with ICMP errors.
        let far = format!("ip link add vx0 type vxlan id 7 dstport 4789 local {web} remote {own}");
        for words in [&far, "ip addr add 10.8.0.2/24 dev vx0", "ip link set vx0 up"] {
            scene.at_peer(Domain::Blue, words);
        }
        here(&format!("ip link add vx0 type vxlan id 7 dstport 4789 local {own} remote {web} dev blue"));
        here("ip addr add 10.8.0.1/24 dev vx0");
        here("ip link set vx0 up");
        let verdict = scene.ping("10.8.0.2", "3", "10");
        let packets = [Domain::Default, Domain::Red].map(|domain| verdict.packets(domain));
        assert_eq!((verdict.code, packets), (0, [0; 2]), "{own}: {verdict}");
        assert!(verdict.packets(Domain::Blue) >= 6, "{own}: three within and three around them: {verdict}");
        scene.at_peer(Domain::Blue, "ip link del vx0");
        here("ip link del vx0");
    }
    // Without its VRF there is no such interface either.
    here("ip link add green type vrf table 30");
    here("ip link add vx0 type vxlan id 7 dstport 4789 dev green");
    here("ip link del green");
    assert!(!here("ip -o link").contains(" vx0"));
}
