//! The programs of `vrfsetup user`, which stand on the root cgroup: they bind each inet socket of the users in a map, however
//! its process was started, when it is made and, if it is unbound by then, when it is used; and they let its packets leave by
//! its VRF only.
//!
//! A user is the *real* user id of the process that calls. All others cost one look into a small table, which is a third of
//! what the map would cost them. A socket that is bound already stays as it is: programs of inner cgroups run before these,
//! and nobody else binds a socket before it is made. One of another network namespace does, too.
//!
//! What these programs bind they *guard*: the socket carries a tag with the index of its VRF, which nothing that its program
//! does can change. The program at egress asks for the tag only, which is the cheapest thing to ask for there, and lets
//! packets of all sockets without one pass: those of others, of other network namespaces, and those that an inner program
//! has bound. So it needs to know neither the user nor the namespace. The same program at ingress keeps out what comes by
//! another domain to a socket that has lost its device.
//!
//! A user may have a *group* whose processes are let alone: the real group id is the one thing that a process keeps over
//! execve(2), that these programs can ask for on every kernel, and that nobody without the right to it can give itself.

use std::os::fd::RawFd;

use libc::IPPROTO_MPTCP;
use vrfabi::socket::IPPROTO_SMC;

use super::{
    ADDR_SOCKET, ADDR_TYPE, BPF_SETSOCKOPT, GET_CURRENT_UID_GID, MAP_LOOKUP_ELEM, Rescue, SK_STORAGE_CREATE,
    SKB_IFINDEX, SKB_SOCKET, SOCK_BOUND_DEV_IF, SOCK_PROTOCOL,
};
use crate::asm::{Label, Program};

/// The index of a VRF that is not there: no device has it, so who is bound to it gets nowhere.
pub const GONE: u32 = i32::MAX as u32;

/// No group: nobody has this id.
pub const NO_GROUP: u32 = u32::MAX;

/// Where a value of the map has the device's index, its name, and the group whose processes are let alone.
const INDEX: i16 = 0;
const NAME: i32 = 4;
const GROUP: i16 = 20;

/// How many slots the table has: a power of two.
pub const SLOTS: usize = 1024;

/// What these programs know.
#[derive(Clone, Copy, Debug)]
pub struct Assignments {
    /// The table: a byte for the user ids of each slot (their last bits), 0 where the map has none of them.
    pub slots: RawFd,
    /// The map: beside each user id stand the index of the VRF, its name, padded with zeros to 16 bytes, and the group.
    pub map: RawFd,
    /// The cookie of our network namespace (5.14). Without it, ours must be the initial one.
    pub netns: Option<u64>,
    /// What the programs at egress and ingress judge by; None where the kernel has no such maps.
    pub guard: Option<Guard>,
}

/// What keeps packets in the VRF.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    /// The map of tags: on each guarded socket, the index of its VRF.
    pub tags: RawFd,
    /// The map of devices: beside each port of a VRF, the index of the VRF.
    pub devices: RawFd,
}

/// BPF_CGROUP_INET_SOCK_CREATE. MPTCP is refused: the kernel makes and connects its further subflows itself, and no program
/// could tell whose they are.
pub fn user_create(users: &Assignments) -> Program {
    let mut program = Program::default();
    program.begin_with_user(users).load_word(1, 6, SOCK_BOUND_DEV_IF).if_not(1, 0, Label::Allow);
    program.load_word(1, 6, SOCK_PROTOCOL).if_equal(1, IPPROTO_SMC, Label::Deny).if_equal(
        1,
        IPPROTO_MPTCP,
        Label::Deny,
    );
    program.load_word(2, 8, INDEX).store_word(6, SOCK_BOUND_DEV_IF, 2);
    program.guard(users, 6).label(Label::Foreign).end();
    program
}

/// BPF_CGROUP_INET4_CONNECT and INET6_CONNECT: what connect(AF_UNSPEC) has unbound, and sockets that others made.
pub fn user_connect(users: &Assignments, rescue: Rescue) -> Program {
    let mut program = Program::default();
    program.begin_with_user(users).load_long(7, 6, ADDR_SOCKET);
    program.load_word(3, 7, SOCK_BOUND_DEV_IF).if_not(3, 0, Label::Allow);
    match rescue {
        Rescue::Deny => program.goto(Label::Deny),
        rescue => program.sort_inner_sockets(rescue).label(Label::Bind).bind_to_users_device().guard(users, 7),
    };
    program.label(Label::Foreign).end();
    program
}

/// BPF_CGROUP_INET4_BIND and INET6_BIND: unbound streams, which others made, and those inside MPTCP's and AF_SMC's sockets.
/// Datagram sockets pass: they are bound or denied when they send.
pub fn user_bind(users: &Assignments) -> Program {
    let mut program = Program::default();
    program.begin_with_user(users).load_word(3, 6, ADDR_TYPE).if_not(3, libc::SOCK_STREAM, Label::Allow);
    program.load_long(7, 6, ADDR_SOCKET).load_word(3, 7, SOCK_BOUND_DEV_IF).if_equal(3, 0, Label::Deny);
    program.label(Label::Foreign).end();
    program
}

/// BPF_CGROUP_UDP4_SENDMSG and UDP6_SENDMSG: a datagram of an unbound socket is denied, and the socket bound for the next.
pub fn user_sendmsg(users: &Assignments, rescue: Rescue) -> Program {
    let mut program = Program::default();
    program.begin_with_user(users).load_long(7, 6, ADDR_SOCKET);
    program.load_word(3, 7, SOCK_BOUND_DEV_IF).if_not(3, 0, Label::Allow);
    if rescue != Rescue::Deny {
        program.bind_to_users_device().guard(users, 7);
    }
    program.goto(Label::Deny).label(Label::Foreign).end();
    program
}

/// BPF_CGROUP_INET_EGRESS and INGRESS: a packet of a guarded socket leaves and comes by its VRF or one of its ports, or not at
/// all, whatever device the socket has by now (SO_BINDTODEVICE, scope ids, connect(AF_UNSPEC)) and its packet names
/// (IP_PKTINFO, multicast).
pub fn user_packet(guard: &Guard) -> Program {
    let mut program = Program::default();
    program.copy(6, 1).load_long(7, 6, SKB_SOCKET).if_equal(7, 0, Label::Allow);
    program.tag_of(guard.tags, 7, 0).if_equal(0, 0, Label::Allow).load_word(7, 0, 0);
    program.load_word(3, 6, SKB_IFINDEX).if_same(3, 7, Label::Allow).store_word(10, -4, 3).copy(2, 10).add(2, -4);
    program.set_map(1, guard.devices).call(MAP_LOOKUP_ELEM).if_equal(0, 0, Label::Deny);
    program.load_word(3, 0, 0).if_differs(3, 7, Label::Deny).end();
    program
}

impl Program {
    /// r6 = the context, r8 = what stands beside the caller's user id in the map. Goes on for such a user only, unless it is
    /// in the group that stands there, and for a socket of our network namespace.
    fn begin_with_user(&mut self, users: &Assignments) -> &mut Self {
        self.copy(6, 1).call(GET_CURRENT_UID_GID).and(0, SLOTS as i32 - 1);
        self.set_map_value(1, users.slots).add_register(1, 0).load_byte(1, 1, 0).if_equal(1, 0, Label::Allow);
        // Asked for once more: to keep it would cost everybody an instruction.
        self.call(GET_CURRENT_UID_GID).store_word(10, -4, 0).copy(2, 10).add(2, -4).shift_right(0, 32).copy(7, 0);
        self.set_map(1, users.map).call(MAP_LOOKUP_ELEM).if_equal(0, 0, Label::Allow).copy(8, 0);
        self.load_word(1, 8, GROUP).if_same(1, 7, Label::Allow);
        self.if_not_ours(users.netns)
    }

    /// Binds the socket of the context in r6 to the device in r8, by its name; refused, the call fails. The name of a VRF
    /// that is known to be gone may be another device's by now.
    fn bind_to_users_device(&mut self) -> &mut Self {
        self.load_word(3, 8, INDEX).if_equal(3, GONE as i32, Label::Deny);
        self.copy(1, 6).set(2, libc::SOL_SOCKET).set(3, libc::SO_BINDTODEVICE).copy(4, 8).add(4, NAME).set(5, 16);
        self.call(BPF_SETSOCKOPT).if_not(0, 0, Label::Deny)
    }

    /// Puts the index in r8 on the socket as its tag; without memory for it, the call fails. The map of devices is named
    /// beside it, so that whoever finds this program finds all maps.
    fn guard(&mut self, users: &Assignments, socket: u8) -> &mut Self {
        let Some(guard) = users.guard else { return self };
        self.load_word(9, 8, INDEX).tag_of(guard.tags, socket, SK_STORAGE_CREATE).if_equal(0, 0, Label::Deny);
        self.store_word(0, 0, 9).set_map(1, guard.devices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUARD: Guard = Guard { tags: 6, devices: 7 };
    const USERS: Assignments = Assignments { slots: 4, map: 5, netns: None, guard: Some(GUARD) };

    /// What another program has bound is looked at before anything is written.
    #[test]
    fn a_bound_socket_is_left_alone() {
        let code = user_create(&USERS).finish().unwrap();
        let store = code.iter().position(|step| step.code == 0x63 && step.registers & 15 == 6).unwrap();
        let test = code.iter().position(|step| step.code == 0x55).unwrap();
        assert!(test < store && test + 1 + code[test].offset as usize > store, "{code:?}");
    }

    #[test]
    fn what_is_bound_is_guarded_and_all_maps_are_named_in_their_order() {
        let maps = |program: Program| {
            let code = program.finish().unwrap();
            let is_map = |step: &&crate::asm::Instruction| step.code == 0x18 && step.registers >> 4 != 0;
            code.iter().filter(is_map).map(|step| step.immediate).collect::<Vec<_>>()
        };
        for program in
            [user_create(&USERS), user_connect(&USERS, Rescue::BindOwn), user_sendmsg(&USERS, Rescue::BindOwn)]
        {
            assert_eq!(maps(program), [4, 5, 6, 7]);
        }
        assert_eq!(maps(user_create(&Assignments { guard: None, ..USERS })), [4, 5]);
        assert_eq!(maps(user_packet(&GUARD)), [6, 7]);
    }

    #[test]
    fn mptcp_and_smc_are_refused() {
        let code = user_create(&USERS).finish().unwrap();
        for protocol in [IPPROTO_MPTCP, IPPROTO_SMC] {
            assert!(code.iter().any(|step| (step.code, step.immediate) == (0x15, protocol)));
        }
    }
}
