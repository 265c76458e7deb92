//! BPF_CGROUP_SETSOCKOPT (5.3; long values 5.8): what a program asks for its sockets.
//!
//! Stops: the report (IGMP, MLD) of a multicast or anycast join without an interface, which the kernel would send by the
//! default domain. The join gets a port of the VRF; one with an old structure that cannot name an interface is denied, and so is
//! one that names an interface outside the VRF by its index.
//!
//! With `is_fixed` (`--strict`) a socket of ours, unbound ones too, can be bound to its own device only. Without it, a
//! request for another device leaves a tag, so that the egress program knows it for the program's own wish; one for its own
//! (`ping -I blue`) leaves none: what takes the socket elsewhere afterwards is no wish, but the scope of an address.

use std::os::fd::RawFd;

use super::{MAP_LOOKUP_ELEM, SOCK_BOUND_DEV_IF, SOCK_FAMILY, TAG_FOREIGN, TAG_REBOUND, Target};
use crate::asm::Value::{GroupReq, Index, Mreq6, MreqSource, Mreqn};
use crate::asm::{Label, Program, Value};
use crate::ports::JOIN_PORT;

// Offsets in struct bpf_sockopt.
const SOCKET: i16 = 0;
const VALUE: i16 = 8;
const VALUE_END: i16 = 16;
const LEVEL: i16 = 24;
const NAME: i16 = 28;
const LENGTH: i16 = 32;

const IP_ADD_SOURCE_MEMBERSHIP: i32 = 39;
const MCAST_JOIN_GROUP: i32 = 42;
const MCAST_JOIN_SOURCE_GROUP: i32 = 46;
const IPV6_JOIN_GROUP: i32 = 20;
const IPV6_JOIN_ANYCAST: i32 = 27;
/// The longest name of an interface, without its NUL.
const NAME_MAX: usize = 15;

/// The options that matter: level, name, and the layout of the value. No name means two layouts.
const JOINS: [(i32, i32, Value); 8] = [
    (libc::IPPROTO_IP, libc::IP_ADD_MEMBERSHIP, Mreqn),
    (libc::IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, MreqSource),
    (libc::IPPROTO_IP, MCAST_JOIN_GROUP, GroupReq),
    (libc::IPPROTO_IP, MCAST_JOIN_SOURCE_GROUP, GroupReq),
    (libc::IPPROTO_IPV6, IPV6_JOIN_GROUP, Mreq6),
    (libc::IPPROTO_IPV6, IPV6_JOIN_ANYCAST, Mreq6),
    (libc::IPPROTO_IPV6, MCAST_JOIN_GROUP, GroupReq),
    (libc::IPPROTO_IPV6, MCAST_JOIN_SOURCE_GROUP, GroupReq),
];
const DEVICES: [(i32, i32, Value); 2] =
    [(libc::SOL_SOCKET, libc::SO_BINDTODEVICE, Value::Name), (libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX, Index)];

/// The program, with the map of ports. r6 context, r7 value, r8 its end.
pub fn setsockopt(target: &Target<'_>, ports: RawFd, is_fixed: bool) -> Program {
    let mut program = Program::default();
    program.copy(6, 1).sort(is_fixed || target.tags.is_some()).if_ours(target);
    program.load_long(7, 6, VALUE).load_long(8, 6, VALUE_END).load_word(9, 6, NAME);
    for (at, (_, name, value)) in JOINS.into_iter().enumerate() {
        if !JOINS[..at].iter().any(|(_, earlier, _)| *earlier == name) {
            program.if_equal(9, name, Label::Option(value));
        }
    }
    match target.tags {
        _ if is_fixed => program.compare_device(target, Label::Allow, Label::Deny).goto(Label::Deny),
        Some(tags) => {
            program.compare_device(target, Label::Pass, Label::Device).label(Label::Device);
            program.load_long(2, 6, SOCKET).put_tag(tags, 2, TAG_REBOUND).goto(Label::Pass)
        }
        None => &mut program,
    };
    program.read_interfaces().check_interface(ports);
    program.label(Label::Pass).set(2, 0).store_word(6, LENGTH, 2).end();
    program
}

impl Program {
    /// Goes on to `Ours` for the few options that matter. All of them get there alike, and are told apart afterwards: what
    /// stands between is verified once then, and not once for each.
    fn sort(&mut self, sees_devices: bool) -> &mut Self {
        let devices = DEVICES.iter().filter(|_| sees_devices);
        let all: Vec<_> = JOINS.iter().chain(devices).collect();
        let levels = [libc::IPPROTO_IP, libc::IPPROTO_IPV6, libc::SOL_SOCKET];
        let levels: Vec<_> = levels.into_iter().filter(|level| all.iter().any(|option| option.0 == *level)).collect();
        self.load_word(3, 6, LEVEL).load_word(4, 6, NAME);
        for level in &levels {
            self.if_equal(3, *level, Label::Level(*level));
        }
        self.goto(Label::Pass);
        for level in levels {
            self.label(Label::Level(level));
            for (_, name, _) in all.iter().filter(|option| option.0 == level) {
                self.if_equal(4, *name, Label::Ours);
            }
            self.goto(Label::Pass);
        }
        self.label(Label::Ours)
    }

    /// Lets the options of all other sockets pass: no inet socket, or of another network namespace.
    fn if_ours(&mut self, target: &Target<'_>) -> &mut Self {
        self.load_long(2, 6, SOCKET).if_equal(2, 0, Label::Pass).load_word(3, 2, SOCK_FAMILY);
        self.if_equal(3, libc::AF_INET, Label::Inet).if_not(3, libc::AF_INET6, Label::Pass).label(Label::Inet);
        match target.tags {
            Some(tags) => {
                self.tag_of(tags, 2, 0).if_equal(0, 0, Label::Untagged).load_word(3, 0, 0);
                self.if_equal(3, TAG_FOREIGN, Label::Pass).label(Label::Untagged)
            }
            None => self.load_word(3, 2, SOCK_BOUND_DEV_IF).if_not(3, target.ifindex as i32, Label::Pass),
        }
    }

    /// Goes to `own` where the device is ours, by name or index, and to `other` or on where it is another. The kernel hands
    /// over at least 16 bytes, with zeros after the value.
    fn compare_device(&mut self, target: &Target<'_>, own: Label, other: Label) -> &mut Self {
        self.needs(16, other).if_equal(9, libc::SO_BINDTOIFINDEX, Label::Option(Index));
        // A name of 15 letters needs no NUL: the kernel reads no further.
        let end = (target.name.len() < NAME_MAX).then_some(&0);
        for (at, &letter) in target.name.iter().chain(end).enumerate() {
            self.load_byte(3, 7, at as i16).if_not(3, i32::from(letter), other);
        }
        self.goto(own);
        self.label(Label::Option(Index)).load_word(3, 7, 0).if_equal(3, target.ifindex as i32, own)
    }

    /// For each kind of join: r7 = where the index stands, r3 = the index.
    fn read_interfaces(&mut self) -> &mut Self {
        self.label(Label::Option(Mreq6)).needs(20, Label::Pass).add(7, 16).load_word(3, 7, 0).goto(Label::Interface);
        self.label(Label::Option(GroupReq)).needs(4, Label::Pass).load_word(3, 7, 0).goto(Label::Interface);
        // An interface by its address is the kernel's to find.
        self.label(Label::Option(MreqSource)).needs(8, Label::Pass).load_word(4, 7, 4);
        self.if_not(4, 0, Label::Pass).goto(Label::Deny);

        self.label(Label::Option(Mreqn)).needs(12, Label::Pass).load_word(5, 6, LENGTH).if_below(5, 8, Label::Pass);
        self.load_word(4, 7, 4).add(7, 8).if_below(5, 12, Label::Short).load_word(3, 7, 0);
        self.if_not(3, 0, Label::Interface).if_not(4, 0, Label::Pass).goto(Label::Interface);
        // struct ip_mreq becomes struct ip_mreqn.
        self.label(Label::Short).if_not(4, 0, Label::Pass).set(2, 12).store_word(6, LENGTH, 2).set(3, 0)
    }

    /// An interface that is named must be in the map of ports; where none is, the value gets the one under `JOIN_PORT`. The
    /// kernel then reads our copy of the value, which the program cannot change meanwhile.
    fn check_interface(&mut self, ports: RawFd) -> &mut Self {
        self.label(Label::Interface).copy(9, 3).store_word(10, -4, 3).copy(2, 10).add(2, -4);
        self.set_map(1, ports).call(MAP_LOOKUP_ELEM).if_equal(0, 0, Label::Deny);
        self.if_not(9, JOIN_PORT as i32, Label::Allow).load_word(3, 0, 0).store_word(7, 0, 3).goto(Label::Allow)
    }

    /// The value is at least this long, or on to another place.
    fn needs(&mut self, length: i32, otherwise: Label) -> &mut Self {
        self.copy(2, 7).add(2, length).if_above(2, 8, otherwise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::tests::TARGET;

    #[test]
    fn a_short_name_is_compared_with_its_end_and_the_longest_without() {
        let letters = |name: &[u8]| {
            let code = setsockopt(&Target { name, ..TARGET }, 4, true).finish().unwrap();
            code.iter().filter(|step| step.code == 0x71).count()
        };
        assert_eq!(letters(b"blue"), 5);
        assert_eq!(letters(b"fifteen-letters"), 15);
    }
}
