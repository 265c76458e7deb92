//! BPF_CGROUP_INET4_CONNECT and INET6_CONNECT (4.17; ping sockets 6.1): binds a socket that is unbound when it connects.
//!
//! Stops: UDP and ping sockets that connect(AF_UNSPEC) unbound; MPTCP's subflows, the second one (MP_JOIN) too; and AF_SMC,
//! whose TCP socket can only be denied.

use super::{ADDR_SOCKET, Rescue, SOCK_BOUND_DEV_IF, Target};
use crate::asm::{Label, Program};

/// The program.
pub fn connect(target: &Target<'_>, rescue: Rescue) -> Program {
    let mut program = Program::default();
    program.begin_with_ours(target).load_long(7, 6, ADDR_SOCKET);
    program.load_word(3, 7, SOCK_BOUND_DEV_IF).if_not(3, 0, Label::Allow);
    match rescue {
        Rescue::Deny => program.goto(Label::Deny),
        rescue => program.sort_inner_sockets(rescue).label(Label::Bind).bind_to_device(target),
    };
    program.end_with_tag(target);
    program
}
