//! VTI, which names a device for its outside and sends by the default domain all the same: by the mark of its states and the
//! recipe's rules it is in blue. The same keys are at the far end in every domain.

use super::ipsec::{inside, keys};
use super::own_device::{assert_nothing_leaves, batch, only, ping, recipe};
use super::scene::here;
use super::vrfsetup;
use crate::harness::world::plan::{OWN4, OWN6, WEB4, WEB6};
use crate::harness::world::{Domain, Kind, World};

const FLUSH: &str = "xfrm state flush\nxfrm policy flush\n";

/// States and policies of one end, for an interface whose key is 7.
pub fn keyed(outer: [&str; 2], inner: [&str; 2], spis: [&str; 2], more: &str) -> String {
    let line = |line: &str| match line.starts_with("xfrm policy") {
        true => line.replace("if_id 7", "mark 7"),
        false => line.replace("if_id 7", ""),
    };
    keys(outer, inner, spis, [more, ""]).lines().map(|text| line(text) + "\n").collect()
}

pub fn interface(kind: &str, outer: [&str; 2], inner: [&str; 2]) -> String {
    format!("link add t0 type {kind} local {} remote {} key 7\n{}", outer[0], outer[1], inside(inner))
}

/// Data goes to this domain's peer and comes back, whoever speaks first.
#[track_caller]
fn assert_in(world: &mut World, inner: [&str; 2], domain: Domain) {
    only(&ping(world, None, inner[1], "2"), domain, 0);
    only(&ping(world, Some(domain), inner[0], "1"), domain, 0);
}

pub fn vti_is_in_blue_by_the_mark_of_its_states_whatever_it_names() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    let (web4, web6) = (WEB4.to_string(), WEB6.to_string());
    let inner = [["10.8.0.1", "10.8.0.2"], ["fd08::1", "fd08::2"]];
    let kinds = [("vti6", [OWN6, &web6], inner[1]), ("vti", [OWN4, &web4], inner[0])];
    for (kind, outer, inner) in kinds {
        let (far, behind) = ([outer[1], outer[0]], [inner[1], inner[0]]);
        let far = interface(kind, far, behind) + &keyed(far, behind, ["0x102", "0x101"], "");
        for domain in Domain::ALL {
            // What is asked for from an address of another interface is asked by this one.
            batch(&world, Some(domain), &format!("addr replace fe80::1/64 dev peer0 nodad\n{far}"));
        }
        let own = keyed(outer, inner, ["0x101", "0x102"], "output-mark 0x52");
        batch(&world, None, &(interface(kind, outer, inner) + &own));
        let refused = vrfsetup(&mut world, 1, "tunnel t0 --in blue");
        refused.assert_says(1, "hint: ip link add t0 type xfrm ... dev blue");
        // It names blue, is not in it, and is not said to be.
        here(&format!("ip link change t0 type {kind} dev blue"));
        assert_eq!(vrfsetup(&mut world, 0, "tunnel").text(), "");
        assert_in(&mut world, inner, Domain::Default);
        let rules: Vec<&str> =
            recipe("An IPsec tunnel").into_iter().filter(|command| command.contains("0x52")).collect();
        assert_eq!(rules.len(), 4, "{rules:?}");
        rules.iter().for_each(|command| drop(here(command)));
        assert_in(&mut world, inner, Domain::Blue);
        if kind == "vti6" {
            rules.iter().for_each(|command| drop(here(&command.replace(" add ", " del "))));
            for domain in Domain::ALL.map(Some).into_iter().chain([None]) {
                batch(&world, domain, &format!("link del t0\n{FLUSH}"));
            }
        }
    }
    // Without its VRF nothing leaves by it.
    vrfsetup(&mut world, 0, "del blue");
    assert_nothing_leaves(&mut world, inner[0][1]);
}
