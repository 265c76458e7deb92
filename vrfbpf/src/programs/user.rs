//! The programs of `vrfsetup user`, which stand on the root cgroup: they bind each inet socket of the users in a map, however
//! its process was started, when it is made and, if it is unbound by then, when it is used.
//!
//! A user is the *real* user id of the process that calls. All others cost one look into a small table, which is a third of
//! what the map would cost them. A socket that is bound
//! already stays as it is: programs of inner cgroups run before these. One of another network namespace does, too.
//!
//! There is no program at egress: it would judge every packet of the machine, and most are no such user's.

use std::os::fd::RawFd;

use libc::IPPROTO_MPTCP;
use vrfabi::socket::IPPROTO_SMC;

use super::{
    ADDR_SOCKET, ADDR_TYPE, BPF_SETSOCKOPT, GET_CURRENT_UID_GID, MAP_LOOKUP_ELEM, Rescue, SOCK_BOUND_DEV_IF,
    SOCK_PROTOCOL,
};
use crate::asm::{Label, Program};

/// The index of a VRF that is not there: no device has it, so who is bound to it gets nowhere.
pub const GONE: u32 = i32::MAX as u32;

/// Where a value of the map has the device's index and its name.
const INDEX: i16 = 0;
const NAME: i32 = 4;

/// How many slots the table has: a power of two.
pub const SLOTS: usize = 1024;

/// What these programs know.
#[derive(Clone, Copy, Debug)]
pub struct Assignments {
    /// The table: a byte for the user ids of each slot (their last bits), 0 where the map has none of them.
    pub slots: RawFd,
    /// The map: beside each user id stand the index of the VRF and its name, padded with zeros to 16 bytes.
    pub map: RawFd,
    /// The cookie of our network namespace (5.14). Without it, ours must be the initial one.
    pub netns: Option<u64>,
}

/// BPF_CGROUP_INET_SOCK_CREATE. `allows_mptcp`: the programs at connect and bind bind its subflows.
pub fn user_create(users: &Assignments, allows_mptcp: bool) -> Program {
    let mut program = Program::default();
    program.begin_with_user(users).load_word(1, 6, SOCK_BOUND_DEV_IF).if_not(1, 0, Label::Allow);
    program.load_word(1, 6, SOCK_PROTOCOL).if_equal(1, IPPROTO_SMC, Label::Deny);
    if !allows_mptcp {
        program.if_equal(1, IPPROTO_MPTCP, Label::Deny);
    }
    program.load_word(2, 8, INDEX).store_word(6, SOCK_BOUND_DEV_IF, 2).label(Label::Foreign).end();
    program
}

/// BPF_CGROUP_INET4_CONNECT and INET6_CONNECT: what connect(AF_UNSPEC) has unbound, and sockets that others made.
pub fn user_connect(users: &Assignments, rescue: Rescue) -> Program {
    let mut program = Program::default();
    program.begin_with_user(users).load_long(7, 6, ADDR_SOCKET);
    program.load_word(3, 7, SOCK_BOUND_DEV_IF).if_not(3, 0, Label::Allow);
    match rescue {
        Rescue::Deny => program.goto(Label::Deny),
        rescue => program.sort_inner_sockets(rescue).label(Label::Bind).bind_to_users_device(),
    };
    program.label(Label::Foreign).end();
    program
}

/// BPF_CGROUP_INET4_BIND and INET6_BIND: listeners that are unbound, and MPTCP's inside others. Datagram sockets pass: they
/// are bound or denied when they send.
pub fn user_bind(users: &Assignments, rescue: Rescue) -> Program {
    let mut program = Program::default();
    program.begin_with_user(users).load_word(3, 6, ADDR_TYPE).if_not(3, libc::SOCK_STREAM, Label::Allow);
    program.load_long(7, 6, ADDR_SOCKET).load_word(3, 7, SOCK_BOUND_DEV_IF).if_not(3, 0, Label::Allow);
    match rescue {
        Rescue::BindAll => program.sort_inner_sockets(rescue).label(Label::Bind).bind_to_users_device(),
        Rescue::BindOwn | Rescue::Deny => program.goto(Label::Deny),
    };
    program.label(Label::Foreign).end();
    program
}

/// BPF_CGROUP_UDP4_SENDMSG and UDP6_SENDMSG: a datagram of an unbound socket is denied, and the socket bound for the next.
pub fn user_sendmsg(users: &Assignments, rescue: Rescue) -> Program {
    let mut program = Program::default();
    program.begin_with_user(users).load_long(7, 6, ADDR_SOCKET);
    program.load_word(3, 7, SOCK_BOUND_DEV_IF).if_not(3, 0, Label::Allow);
    if rescue != Rescue::Deny {
        program.bind_to_users_device();
    }
    program.goto(Label::Deny).label(Label::Foreign).end();
    program
}

impl Program {
    /// r6 = the context, r8 = what stands beside the caller's user id in the map. Goes on for such a user only, and for a
    /// socket of our network namespace.
    fn begin_with_user(&mut self, users: &Assignments) -> &mut Self {
        self.copy(6, 1).call(GET_CURRENT_UID_GID).store_word(10, -4, 0).and(0, SLOTS as i32 - 1);
        self.set_map_value(1, users.slots).add_register(1, 0).load_byte(1, 1, 0).if_equal(1, 0, Label::Allow);
        self.copy(2, 10).add(2, -4);
        self.set_map(1, users.map).call(MAP_LOOKUP_ELEM).if_equal(0, 0, Label::Allow).copy(8, 0);
        self.if_not_ours(users.netns)
    }

    /// Binds the socket of the context in r6 to the device in r8, by its name; refused, the call fails. The name of a VRF
    /// that is known to be gone may be another device's by now.
    fn bind_to_users_device(&mut self) -> &mut Self {
        self.load_word(3, 8, INDEX).if_equal(3, GONE as i32, Label::Deny);
        self.copy(1, 6).set(2, libc::SOL_SOCKET).set(3, libc::SO_BINDTODEVICE).copy(4, 8).add(4, NAME).set(5, 16);
        self.call(BPF_SETSOCKOPT).if_not(0, 0, Label::Deny)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: Assignments = Assignments { slots: 4, map: 5, netns: None };

    /// What another program has bound is looked at before anything is written.
    #[test]
    fn a_bound_socket_is_left_alone() {
        let code = user_create(&USERS, true).finish().unwrap();
        let store = code.iter().position(|step| step.code == 0x63 && step.registers & 15 == 6).unwrap();
        let test = code.iter().position(|step| step.code == 0x55).unwrap();
        assert!(test < store && test + 1 + code[test].offset as usize > store, "{code:?}");
    }

    #[test]
    fn mptcp_is_refused_unless_its_subflows_are_bound() {
        let refuses = |allows, protocol| {
            let code = user_create(&USERS, allows).finish().unwrap();
            code.iter().any(|step| (step.code, step.immediate) == (0x15, protocol))
        };
        assert!(refuses(false, IPPROTO_MPTCP) && !refuses(true, IPPROTO_MPTCP));
        assert!(refuses(false, IPPROTO_SMC) && refuses(true, IPPROTO_SMC));
    }
}
