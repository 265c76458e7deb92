//! What is exported can be applied, whatever it is: worlds made by chance, from seeds that are printed. Many more than a
//! usual run has, or one again: `tools/vm debian_6_12 --run env WORLDS=100 SEED=7 vrfguest run random_worlds::NAME`.

use super::guest_tests;
use super::{assert_same, nothing_to_do, state, vrfsetup};
use crate::harness::judge::root;
use crate::harness::world::{Kind, World};

guest_tests! {
    what_is_exported_of_a_random_world_is_empty_to_apply needs [Once],
}

/// Without `WORLDS` and `SEED`: the same in every run.
const WORLDS: u64 = 4;
pub(super) const SEED: u64 = 1;

/// xorshift64*.
pub(super) struct Chance(u64);

impl Chance {
    /// Near seeds would begin alike, and 0 would stay 0.
    pub(super) fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % limit
    }

    pub(super) fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len() as u64) as usize]
    }
}

fn what_is_exported_of_a_random_world_is_empty_to_apply() {
    let first = number("SEED").unwrap_or(SEED);
    for seed in first..first + number("WORLDS").unwrap_or(WORLDS) {
        println!("SEED={seed}");
        one_world(&mut Chance::of(seed));
    }
}

/// What the environment says.
pub(super) fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

fn one_world(chance: &mut Chance) {
    let mut world = World::new(Kind::Bare).expect("a world");
    world.ip("link add first type vrf table 9");
    world.ip("link del first");
    let vrfs = 1 + chance.below(3);
    for vrf in 0..vrfs {
        let table = 100 + vrf;
        let how = chance.one_of(&["", "--no-loopback", "--unreachable none"]);
        vrfsetup(&mut world, 0, &format!("add v{vrf} --table {table} {how}"));
    }
    for vrf in 0..vrfs {
        for port in 0..chance.below(3) {
            furnish(&world, chance, vrf, port, vrfs);
        }
    }
    let before = state(&world);
    let exported = vrfsetup(&mut world, 0, "export").text();
    let path = world.directory().join("vrf.toml");
    std::fs::write(&path, &exported).expect("a file");
    let apply = format!("apply {}", path.display());
    println!("{exported}");
    nothing_to_do(&mut world, &apply);
    nothing_to_do(&mut world, &format!("{apply} --prune"));
    for vrf in 0..vrfs {
        vrfsetup(&mut world, 0, &format!("del v{vrf}"));
    }
    let ports = world.ip_json("link show type dummy");
    for port in ports.as_array().into_iter().flatten() {
        let name = port["ifname"].as_str().unwrap_or_default();
        for words in [format!("route flush dev {name} scope global"), format!("addr flush dev {name} scope global")] {
            world.judge(&root(["ip"].into_iter().chain(words.split(' '))));
        }
    }
    vrfsetup(&mut world, 0, &apply);
    assert_same(&before, &state(&world));
}

/// One port with addresses and routes.
pub(super) fn furnish(world: &World, chance: &mut Chance, vrf: u64, port: u64, vrfs: u64) {
    let (name, table) = (format!("p{vrf}x{port}"), 100 + vrf);
    let net = vrf * 10 + port;
    world.ip(&format!("link add {name} type dummy"));
    world.ip(&format!("link set {name} addrgenmode none up"));
    world.ip(&format!("link set {name} master v{vrf}"));
    let flags = chance.one_of(&["", "brd +", "noprefixroute", "metric 77"]);
    world.ip(&format!("addr add 10.{net}.0.1/24 {flags} dev {name}"));
    if chance.below(2) == 0 {
        world.ip(&format!("addr add 10.{net}.0.2/24 dev {name}"));
    }
    let flags = chance.one_of(&["nodad", "nodad noprefixroute", "nodad metric 77", "nodad home"]);
    world.ip(&format!("addr add 2001:db8:{net}::1/64 dev {name} {flags}"));
    for route in 0..chance.below(5) {
        let metric = chance.one_of(&["", "metric 5", "metric 4000000000"]);
        let proto = chance.one_of(&["", "proto static", "proto 77"]);
        let other = chance.below(vrfs);
        let to4 = format!("198.{}.0.0/16", 18 + net * 5 + route);
        let to6 = format!("2001:db8:{net}{route}::/48");
        let tail = format!("table {table} {metric} {proto}");
        match chance.below(8) {
            0 => world.ip(&format!("route add {to4} via 10.{net}.0.254 dev {name} onlink {tail}")),
            1 => world.ip(&format!("-6 route add {to6} via 2001:db8:{net}::fe dev {name} onlink {tail}")),
            2 => world.ip(&format!(
                "route add {} {to4} {tail}",
                chance.one_of(&["blackhole", "prohibit", "unreachable", "throw"])
            )),
            3 => world.ip(&format!("-6 route add {} {to6} {tail}", chance.one_of(&["blackhole", "prohibit"]))),
            4 if other != vrf => world.ip(&format!("route add {to4} dev v{other} {tail}")),
            5 => world.ip(&format!("route add {to4} dev v{vrf} {metric}")),
            6 => world.ip(&format!("route add local {to4} dev {name} {tail}")),
            _ => world.ip(&format!("-6 route add {to6} dev {name} mtu 1400 {tail}")),
        }
    }
}
