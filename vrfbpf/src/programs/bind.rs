//! BPF_CGROUP_INET4_BIND and INET6_BIND (4.17): binds the unbound inner socket of a listener.
//!
//! Stops: MPTCP listeners (and the subflow of a second path, which is bound before it connects) outside the VRF; an
//! AF_SMC listener, whose TCP socket can only be denied.
//!
//! Unbound datagram sockets pass: a program's own is bound or denied when it sends, and a tunnel's, which the kernel makes
//! for a process of the cgroup, is the kernel's affair.

use super::{ADDR_SOCKET, ADDR_TYPE, Rescue, SOCK_BOUND_DEV_IF, Target};
use crate::asm::{Label, Program};

/// The program.
pub fn bind(target: &Target<'_>, rescue: Rescue) -> Program {
    let mut program = Program::default();
    program.begin_with_ours(target).load_word(3, 6, ADDR_TYPE).if_not(3, libc::SOCK_STREAM, Label::Allow);
    program.load_long(7, 6, ADDR_SOCKET).load_word(3, 7, SOCK_BOUND_DEV_IF).if_not(3, 0, Label::Allow);
    match rescue {
        Rescue::BindAll => program.sort_inner_sockets(rescue).label(Label::Bind).bind_to_device(target),
        Rescue::BindOwn | Rescue::Deny => program.goto(Label::Deny),
    };
    program.end_with_tag(target);
    program
}
