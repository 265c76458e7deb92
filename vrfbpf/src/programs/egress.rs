//! BPF_CGROUP_INET_EGRESS (4.10): a packet leaves by the VRF or one of its ports, or not at all.
//!
//! Stops what no binding stops: IP_PKTINFO with a foreign index, IPv4 multicast and 255.255.255.255 (which the kernel
//! routes without the VRF), IPv6 scope ids of foreign interfaces (bind(2) and connect(2) even rebind a socket by them, and
//! SCTP goes by them whatever it is bound to), and raw and ping sockets after connect(AF_UNSPEC). The packet is dropped, and
//! the call that sent it fails with EPERM, where the kernel tells it: not of IPv6 ping sockets, and a connection times out.
//!
//! Allowed all the same: a socket of another network namespace, and one that is bound to a device because its program asked
//! for another device than the VRF (SO_BINDTODEVICE; `--strict` denies the asking). Both carry a tag. A raw or SCTP socket
//! without a tag and a device is one that the kernel made for a network namespace which a process of the cgroup made: it
//! answers pings, finds neighbours and refuses associations there. A program's own have a tag from their beginning: a 32-bit
//! program can unbind them, and no program is asked.

use std::os::fd::RawFd;

use super::{
    MAP_LOOKUP_ELEM, SK_FULLSOCK, SKB_IFINDEX, SKB_SOCKET, SOCK_BOUND_DEV_IF, SOCK_TYPE, TAG_FOREIGN, TAG_REBOUND,
    Target,
};
use crate::asm::{Label, Program};

/// The program, with the map of the devices that packets may leave by. Without tags it can judge bound sockets only.
pub fn egress(target: &Target<'_>, ports: RawFd) -> Program {
    let mut program = Program::default();
    program.copy(6, 1).load_word(3, 6, SKB_IFINDEX).store_word(10, -4, 3).copy(2, 10).add(2, -4);
    program.set_map(1, ports).call(MAP_LOOKUP_ELEM).if_not(0, 0, Label::Allow);
    program.load_long(7, 6, SKB_SOCKET).if_equal(7, 0, Label::Deny);
    match target.tags {
        Some(tags) => {
            program.copy(1, 7).call(SK_FULLSOCK).if_equal(0, 0, Label::Deny).copy(8, 0);
            program.tag_of(tags, 8, 0).if_equal(0, 0, Label::Untagged).load_word(3, 0, 0);
            program.if_equal(3, TAG_FOREIGN, Label::Allow).if_not(3, TAG_REBOUND, Label::Deny);
            program.load_word(3, 8, SOCK_BOUND_DEV_IF).if_equal(3, 0, Label::Deny);
            program.if_equal(3, target.ifindex as i32, Label::Deny).goto(Label::Allow);
            program.label(Label::Untagged).load_word(3, 8, SOCK_TYPE).if_equal(3, libc::SOCK_STREAM, Label::Deny);
            program.if_equal(3, libc::SOCK_DGRAM, Label::Deny);
            program.load_word(3, 8, SOCK_BOUND_DEV_IF).if_not(3, 0, Label::Deny)
        }
        None => program.load_word(3, 7, SOCK_BOUND_DEV_IF).if_equal(3, target.ifindex as i32, Label::Deny),
    };
    program.end();
    program
}
