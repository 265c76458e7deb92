//! The programs of mechanism `bpf`, one file for each hook: what they stop, from which kernel release on, and the
//! variants for kernels that know less. Pure: they turn numbers into instructions.
//!
//! A socket is *ours* if it is of the network namespace that the programs were made for. All others are left alone: a
//! device's index means another device there. Hooks that cannot ask for the namespace (egress before 7.0, setsockopt
//! before 5.15) find a *tag* on foreign sockets, which the other hooks put there.

mod bind;
mod connect;
mod create;
mod egress;
mod sendmsg;
mod setsockopt;
mod user;

pub use bind::bind;
pub use connect::connect;
pub use create::create;
pub use egress::egress;
pub use sendmsg::sendmsg;
pub use setsockopt::setsockopt;
pub use user::{
    Assignments, GONE, Guard, NO_GROUP, SLOTS, user_bind, user_connect, user_create, user_packet, user_sendmsg,
};

use std::os::fd::RawFd;

use crate::asm::{Label, Program};

/// What the programs know.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The index of the VRF device.
    pub ifindex: u32,
    /// Its name.
    pub name: &'a [u8],
    /// The cookie of our network namespace (5.14). Without it, ours must be the initial one.
    pub netns: Option<u64>,
    /// The map of tags, if the kernel has such maps.
    pub tags: Option<RawFd>,
}

/// What the kernel can do for a socket that is not bound when it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rescue {
    /// Bind it, MPTCP's inner sockets too (6.1).
    BindAll,
    /// Bind it, but no inner socket (5.10 for connect).
    BindOwn,
    /// Nothing: the call fails.
    Deny,
}

/// A socket of another network namespace: allowed everything.
const TAG_FOREIGN: i32 = 1;
/// A socket whose program asked to be bound to a device by name or index: allowed what that device reaches.
const TAG_REBOUND: i32 = 2;

/// A socket of ours that is neither a stream nor one of datagrams: raw, SCTP's for several peers, DCCP. Those of the kernel,
/// which it makes for a new network namespace, have none.
const TAG_OTHER: i32 = 3;

const MAP_LOOKUP_ELEM: i32 = 1;
const GET_CURRENT_UID_GID: i32 = 15;
const BPF_SETSOCKOPT: i32 = 49;
const SK_FULLSOCK: i32 = 95;
const SK_STORAGE_GET: i32 = 107;
const GET_NETNS_COOKIE: i32 = 122;
const SKC_TO_MPTCP_SOCK: i32 = 196;

const SK_STORAGE_CREATE: i32 = 1;

/// Where `struct bpf_sock_addr` has its socket and the socket's type.
const ADDR_SOCKET: i16 = 64;
const ADDR_TYPE: i16 = 32;
/// Where `struct __sk_buff` has the device that the packet leaves by, and its socket.
const SKB_IFINDEX: i16 = 40;
const SKB_SOCKET: i16 = 168;
/// Where `struct bpf_sock` has the device, the family, the type and the protocol.
const SOCK_BOUND_DEV_IF: i16 = 0;
const SOCK_FAMILY: i16 = 4;
const SOCK_TYPE: i16 = 8;
const SOCK_PROTOCOL: i16 = 12;

impl Program {
    /// r6 = the context; jumps to `Foreign` if its socket is of another network namespace (helper: 5.7).
    fn begin_with_ours(&mut self, target: &Target<'_>) -> &mut Self {
        self.copy(6, 1).if_not_ours(target.netns)
    }

    /// The same of the context in r6, for our network namespace's cookie.
    fn if_not_ours(&mut self, netns: Option<u64>) -> &mut Self {
        match netns {
            Some(cookie) => self.set_long(7, cookie),
            // NULL: the initial network namespace.
            None => self.set(1, 0).call(GET_NETNS_COOKIE).copy(7, 0),
        };
        self.copy(1, 6).call(GET_NETNS_COOKIE).if_differs(0, 7, Label::Foreign)
    }

    /// Binds the socket of the context in r6 as SO_BINDTODEVICE does; refused, the call fails.
    fn bind_to_device(&mut self, target: &Target<'_>) -> &mut Self {
        let mut name = [0; 16];
        name.iter_mut().zip(target.name.iter().take(15)).for_each(|(to, from)| *to = *from);
        let half = |at: usize| u64::from_ne_bytes(std::array::from_fn(|byte| name[at + byte]));
        self.set_long(1, half(0)).store_long(10, -16, 1).set_long(1, half(8)).store_long(10, -8, 1);
        self.copy(1, 6).set(2, libc::SOL_SOCKET).set(3, libc::SO_BINDTODEVICE).copy(4, 10).add(4, -16).set(5, 16);
        self.call(BPF_SETSOCKOPT).if_not(0, 0, Label::Deny)
    }

    /// Denies an unbound inner socket (SOCK_STREAM, r7) that cannot be bound: AF_SMC's TCP socket hangs when it is, and
    /// before 6.1 nobody can tell MPTCP's from it. Others go on to `Bind`.
    fn sort_inner_sockets(&mut self, rescue: Rescue) -> &mut Self {
        self.load_word(3, 6, ADDR_TYPE).if_not(3, libc::SOCK_STREAM, Label::Bind);
        match rescue {
            Rescue::BindAll => self.copy(1, 7).call(SKC_TO_MPTCP_SOCK).if_equal(0, 0, Label::Deny),
            Rescue::BindOwn | Rescue::Deny => self.goto(Label::Deny),
        }
    }

    /// r0 = the tag of the socket in `socket`, or NULL.
    fn tag_of(&mut self, tags: RawFd, socket: u8, flags: i32) -> &mut Self {
        self.copy(2, socket).set_map(1, tags).set(3, 0).set(4, flags).call(SK_STORAGE_GET)
    }

    /// The end of a program of `struct bpf_sock_addr`: tags a foreign socket. Kernels make some without the create hook.
    fn end_with_tag(&mut self, target: &Target<'_>) -> &mut Self {
        let Some(tags) = target.tags else { return self.label(Label::Foreign).end() };
        if !self.ends_with_goto() {
            self.goto(Label::Allow);
        }
        self.label(Label::Foreign).load_long(7, 6, ADDR_SOCKET);
        self.put_tag(tags, 7, TAG_FOREIGN).end()
    }

    /// Puts a tag on a socket; without memory for it, the call fails.
    fn put_tag(&mut self, tags: RawFd, socket: u8, tag: i32) -> &mut Self {
        self.tag_of(tags, socket, SK_STORAGE_CREATE).if_equal(0, 0, Label::Deny).set(2, tag).store_word(0, 0, 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::Instruction;

    pub(super) const TARGET: Target<'static> = Target { ifindex: 7, name: b"blue", netns: None, tags: Some(3) };

    /// Every program in every variant.
    fn all() -> Vec<(String, Vec<Instruction>)> {
        let mut all = Vec::new();
        for (netns, tags) in [(None, None), (None, Some(3)), (Some(1 << 40), None), (Some(1 << 40), Some(3))] {
            let target = Target { netns, tags, ..TARGET };
            let mut add = |what: &str, program: Program| {
                all.push((format!("{what} of {target:?}"), program.finish().expect(what)));
            };
            [false, true].iter().for_each(|mptcp| add("create", create(&target, *mptcp)));
            for rescue in [Rescue::BindAll, Rescue::BindOwn, Rescue::Deny] {
                add("connect", connect(&target, rescue));
                add("bind", bind(&target, rescue));
                add("sendmsg", sendmsg(&target, rescue));
            }
            add("egress", egress(&target, 4));
            [false, true].iter().for_each(|fixed| add("setsockopt", setsockopt(&target, 4, *fixed)));
            let guard = tags.map(|tags| Guard { tags, devices: 6 });
            let users = Assignments { slots: 4, map: 5, netns, guard };
            add("user_create", user_create(&users));
            add("user_bind", user_bind(&users));
            for rescue in [Rescue::BindOwn, Rescue::Deny] {
                add("user_connect", user_connect(&users, rescue));
                add("user_sendmsg", user_sendmsg(&users, rescue));
            }
            guard.iter().for_each(|guard| add("user_packet", user_packet(guard)));
        }
        all
    }

    #[test]
    fn every_jump_goes_forward_and_lands_inside_the_program() {
        for (what, code) in all() {
            for (at, step) in code.iter().enumerate() {
                let is_jump = step.code & 7 == 5 && ![0x85, 0x95].contains(&step.code);
                let target = at as i32 + 1 + i32::from(step.offset);
                assert!(!is_jump || (step.offset >= 0 && target < code.len() as i32), "{what} at {at}: {step:?}");
            }
            assert_eq!(code.last().map(|last| last.code), Some(0x95), "{what}");
        }
    }

    #[test]
    fn a_name_is_padded_with_zeros_to_sixteen_bytes() {
        let mut program = Program::default();
        program.bind_to_device(&TARGET).end();
        let code = program.finish().unwrap();
        assert_eq!(code[0].immediate.to_ne_bytes(), *b"blue");
        assert_eq!((code[1].immediate, code[3].immediate, code[4].immediate), (0, 0, 0));
    }
}
