//! What a route wraps its packets in stays with it: in an export and what is applied of it, and when its port goes into a VRF
//! and out of it. `ip -j` tells.

use super::apply_again::write;
use super::guest_tests;
use super::port_keeps::{bare, there_and_back};
use super::{assert_same, nothing_to_do, state, vrfsetup};
use crate::harness::judge::root;
use crate::harness::world::{Kind, World};

guest_tests! {
    what_a_route_wraps_packets_in_is_exported,
    what_a_route_wraps_packets_in_moves_with_its_port,
}

/// Debian's kernels have it as a module.
fn load_mpls(world: &mut World) {
    let verdict = world.judge(&root(["modprobe", "mpls_iptunnel"]));
    assert_eq!(verdict.code, 0, "{verdict}");
}

fn what_a_route_wraps_packets_in_is_exported() {
    let mut world = World::new(Kind::Bare).expect("a world");
    load_mpls(&mut world);
    vrfsetup(&mut world, 0, "add blue --table 10 --port blue0");
    for words in [
        "link add vx0 type vxlan external dstport 4789",
        "link set vx0 up",
        "link set vx0 master blue",
        "addr add 203.0.113.1/24 dev blue0",
        "addr add 2001:db8:77::1/64 dev blue0 nodad",
        "route add 198.18.0.0/16 encap ip id 7 dst 192.0.2.9 ttl 9 dev vx0 table 10",
        "-6 route add 2001:db8:99::/48 encap ip6 id 8 dst 2001:db8::9 dev vx0 table 10",
        "route add 198.19.0.0/16 dev vx0 table 10",
        "route add 198.20.0.0/16 encap mpls 100/200 via 203.0.113.254 dev blue0 table 10",
        "route add 198.21.0.0/16 encap mpls 300 ttl 9 via 203.0.113.254 dev blue0 table 10",
        "-6 route add 2001:db8:98::/48 encap mpls 1048575 via 2001:db8:77::fe dev blue0 table 10",
    ] {
        world.ip(words);
    }
    let before = state(&world);
    let exported = vrfsetup(&mut world, 0, "export").text();
    for words in [
        "198.18.0.0/16 dev vx0 encap ip id 7 dst 192.0.2.9 ttl 9",
        "198.20.0.0/16 via 203.0.113.254 dev blue0 encap mpls 100/200\"",
        "198.21.0.0/16 via 203.0.113.254 dev blue0 encap mpls 300 ttl 9\"",
        "2001:db8:98::/48 via 2001:db8:77::fe dev blue0 encap mpls 1048575\"",
    ] {
        assert!(exported.contains(words), "{words}: {exported}");
    }
    let path = write(&world, &exported);
    nothing_to_do(&mut world, &format!("apply {path} --prune"));
    for (family, device) in [("-4", "vx0"), ("-6", "vx0"), ("-4", "blue0"), ("-6", "blue0")] {
        world.ip(&format!("{family} route flush table 10 dev {device} proto boot"));
    }
    vrfsetup(&mut world, 0, &format!("apply {path}"));
    assert_same(&before, &state(&world));
    // Other labels are another route.
    let path = write(&world, &exported.replace("100/200", "100/201"));
    vrfsetup(&mut world, 0, &format!("apply {path}"));
    let shown = world.ip_json("route show table 10 198.20.0.0/16");
    assert!(shown.to_string().contains("100/201"), "{shown}");
    let networkd = vrfsetup(&mut world, 0, "export --format networkd").text();
    for destination in ["198.18.0.0/16", "198.20.0.0/16"] {
        assert!(!networkd.contains(&format!("Destination={destination}")), "{networkd}");
    }
    assert!(networkd.contains("# not declared"), "{networkd}");
}

/// Those too that an export has no words for.
fn what_a_route_wraps_packets_in_moves_with_its_port() {
    let mut world = bare();
    load_mpls(&mut world);
    for words in [
        "route add 198.20.0.0/16 encap mpls 100/200 via 203.0.113.254 dev blue0",
        "route add 198.21.0.0/16 encap mpls 300 ttl 9 via 203.0.113.254 dev blue0",
        "-6 route add 2001:db8:98::/48 encap mpls 300 via 2001:db8:77::fe dev blue0",
        "-6 route add 2001:db8:97::/48 encap seg6 mode encap segs 2001:db8:77::9 via 2001:db8:77::fe dev blue0",
    ] {
        world.ip(words);
    }
    let looks = |world: &World| {
        for (route, encap) in [
            ("-4 route show table 10 198.20.0.0/16", "mpls"),
            ("-4 route show table 10 198.21.0.0/16", "mpls"),
            ("-6 route show table 10 2001:db8:98::/48", "mpls"),
            ("-6 route show table 10 2001:db8:97::/48", "seg6"),
        ] {
            let shown = world.ip_json(route);
            assert!(shown[0].to_string().contains(&format!("\"{encap}\"")), "{route}: {shown}");
        }
    };
    there_and_back(&mut world, looks);
    vrfsetup(&mut world, 0, "attach blue blue0");
    let exported = vrfsetup(&mut world, 0, "export").text();
    assert!(exported.contains("# not declared, it has no words here: 2001:db8:97::/48"), "{exported}");
}
