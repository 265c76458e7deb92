//! BPF_CGROUP_UDP4_SENDMSG and UDP6_SENDMSG (4.18): a datagram with an address, of a UDP socket that is unbound.
//!
//! Stops: sendto(2) after connect(AF_UNSPEC). The kernel has chosen the device of this datagram before it asks, so the
//! datagram is denied (EPERM); where the program can bind the socket (6.1), the next one leaves by the VRF.

use super::{ADDR_SOCKET, Rescue, SOCK_BOUND_DEV_IF, Target};
use crate::asm::{Label, Program};

/// The program.
pub fn sendmsg(target: &Target<'_>, rescue: Rescue) -> Program {
    let mut program = Program::default();
    program.begin_with_ours(target).load_long(2, 6, ADDR_SOCKET);
    program.load_word(3, 2, SOCK_BOUND_DEV_IF).if_not(3, 0, Label::Allow);
    if rescue != Rescue::Deny {
        program.bind_to_device(target);
    }
    program.goto(Label::Deny);
    program.end_with_tag(target);
    program
}
