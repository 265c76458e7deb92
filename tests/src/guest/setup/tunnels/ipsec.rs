//! IPsec by hand: an xfrm interface that is made for blue, with the same keys at the far end in every domain.

use super::own_device::{assert_nothing_leaves, batch, only, ping, received, recipe, refused_without};
use super::scene::here;
use super::vrfsetup;
use crate::harness::judge::root;
use crate::harness::world::plan::{OWN4, OWN6, WEB4, WEB6};
use crate::harness::world::{Domain, Kind, World};

pub const INNER4: [&str; 2] = ["10.8.0.1", "10.8.0.2"];
pub const INNER6: [&str; 2] = ["fd08::1", "fd08::2"];
/// AES-128 and HMAC-SHA-256.
const ALGORITHMS: &str = "enc cbc(aes) 0x000102030405060708090a0b0c0d0e0f \
                          auth hmac(sha256) 0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// What IKE daemons do with the port by which ESP passes NAT: UDP_ENCAP is 100, UDP_ENCAP_ESPINUDP 2.
const DAEMON: &str = "import signal, socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); \
                      s.setsockopt(socket.IPPROTO_UDP, 100, 2); s.bind(('', 4500)); \
                      print('ready', flush=True); signal.pause()";

/// States and policies of one end, each pair of addresses with its own first; `more` is what the one sent by has, and the
/// one received by.
pub fn keys(outer: [&str; 2], inner: [&str; 2], spis: [&str; 2], more: [&str; 2]) -> String {
    let of = |from: usize, to: usize, direction: &str| {
        let (outside, inside) = ((outer[from], outer[to]), (inner[from], inner[to]));
        format!(
            "xfrm state add src {0} dst {1} proto esp spi {2} reqid 1 mode tunnel if_id 7 {ALGORITHMS} {5}\n\
             xfrm policy add src {3} dst {4} dir {direction} if_id 7 tmpl src {0} dst {1} proto esp reqid 1 mode tunnel\n",
            outside.0, outside.1, spis[from], inside.0, inside.1, more[from]
        )
    };
    of(0, 1, "out") + &of(1, 0, "in")
}

/// The inside, as for other tunnels: no interface has an address.
pub fn inside(inner: [&str; 2]) -> String {
    let (bits, nodad) = if inner[0].contains(':') { (128, "nodad") } else { (32, "") };
    format!(
        "link set t0 addrgenmode none\nlink set t0 up\naddr replace {}/{bits} dev lo {nodad}\n\
         route replace {}/{bits} dev t0 src {}\n",
        inner[0], inner[1], inner[0]
    )
}

/// The far end's states and policies, and this machine's.
fn both(outer: [&str; 2], inner: [&str; 2], encap: &str) -> [String; 2] {
    let far = keys([outer[1], outer[0]], [inner[1], inner[0]], ["0x102", "0x101"], [encap; 2]);
    let marked = format!("{encap} output-mark 0x51");
    [far, keys(outer, inner, ["0x101", "0x102"], [&marked, encap])]
}

/// The far end in every domain, and this machine's states.
fn make(world: &World, outer: [&str; 2], inner: [&str; 2], encap: &str) {
    let [far, own] = both(outer, inner, encap);
    let far = format!("link add t0 type xfrm if_id 7\n{}{far}", inside([inner[1], inner[0]]));
    for domain in Domain::ALL {
        // What is asked for from an address of another interface is asked by this one.
        batch(world, Some(domain), &format!("addr replace fe80::1/64 dev peer0 nodad\n{far}"));
    }
    batch(world, None, &own);
}

/// Blue's far end goes on from another address, which an IKE daemon would tell: the interface stays.
fn roam(world: &mut World, outer: [&str; 2], inner: [&str; 2]) {
    let flush = "xfrm state flush\nxfrm policy flush\n";
    let [far, own] = both(outer, inner, "");
    batch(world, Some(Domain::Blue), &format!("addr add {}/24 dev peer0\n{flush}{far}", outer[1]));
    batch(world, None, &format!("{flush}{own}"));
    assert_in(world, inner, Domain::Blue);
    let said = ping(world, None, inner[1], "1");
    let flows = &said.tallies[Domain::Blue as usize].flows;
    assert!(flows.keys().any(|flow| flow.contains(outer[1])), "{said}");
}

fn remove(world: &World) {
    for domain in Domain::ALL.map(Some).into_iter().chain([None]) {
        batch(world, domain, "link del t0\nxfrm state flush\nxfrm policy flush\n");
    }
}

/// The recipe's interface.
pub fn made_for_blue(inner: [&str; 2]) -> String {
    let commands = recipe("An IPsec tunnel");
    let command = commands.first().and_then(|command| command.strip_prefix("ip link add ipsec1 ")).expect("a command");
    format!("link add t0 {command}\n{}", inside(inner))
}

#[track_caller]
fn assert_in(world: &mut World, inner: [&str; 2], domain: Domain) {
    let said = ping(world, None, inner[1], "2");
    only(&said, domain, 0);
    assert!(said.packets(domain) >= 4, "two within and two around them: {said}");
    only(&ping(world, Some(domain), inner[0], "1"), domain, 0);
}

pub fn the_outside_of_an_xfrm_interface_is_in_the_vrf_that_it_is_made_for() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    // These stop what has the mark where there is no VRF.
    recipe("An IPsec tunnel")[1..3].iter().for_each(|command| drop(here(command)));
    let (web4, web6) = (WEB4.to_string(), WEB6.to_string());
    for (outer, inner) in [([OWN6, &web6], INNER6), ([OWN4, &web4], INNER4)] {
        make(&world, outer, inner, "");
        batch(&world, None, &format!("link add t0 type xfrm if_id 7\n{}", inside(inner)));
        assert_nothing_leaves(&mut world, inner[1]);
        let refused = vrfsetup(&mut world, 1, "tunnel t0 --in blue");
        refused.assert_says(1, "hint: ip link add t0 type xfrm ... dev blue");
        here("ip link del t0");
        batch(&world, None, &made_for_blue(inner));
        assert_in(&mut world, inner, Domain::Blue);
        if inner == INNER6 {
            remove(&world);
        }
    }
    // Who has the keys is heard, and answered in blue.
    let before = received(&world);
    let said = ping(&mut world, Some(Domain::Red), INNER4[0], "1");
    assert_eq!((said.code, said.packets(Domain::Red), received(&world) - before), (1, 0, 1), "{said}");
    roam(&mut world, [OWN4, "198.51.100.9"], INNER4);
    // Without its VRF nothing leaves by it.
    refused_without(&mut world, "blue", "ip link del t0");
    here("ip link del blue");
    assert_nothing_leaves(&mut world, INNER4[1]);
}

pub fn esp_in_udp_comes_to_the_port_of_a_program_in_blue() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    let web4 = WEB4.to_string();
    make(&world, [OWN4, &web4], INNER4, "encap espinudp 4500 4500 0.0.0.0");
    batch(&world, None, &made_for_blue(INNER4));
    let mut daemons = vec![world.start(&root(["vrfrun", "blue", "python3", "-c", DAEMON]))];
    for domain in Domain::ALL {
        daemons.push(world.start(&root(world.at_peer(domain, &["python3", "-c", DAEMON]))));
    }
    daemons.iter_mut().for_each(|daemon| daemon.wait_for("ready"));
    assert_in(&mut world, INNER4, Domain::Blue);
    for mut daemon in daemons {
        daemon.terminate();
        daemon.finish(&mut world);
    }
}
