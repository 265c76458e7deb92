//! The users whose sockets are in a VRF: a map, and the programs on the root cgroup that read it.
//!
//! Nothing is pinned. The programs stay as long as the cgroup, which is as long as the machine runs, and the map as long as
//! the programs. Whoever looks at what stands on the cgroup finds both (CAP_SYS_ADMIN).

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;

use crate::asm::Program;
use crate::attachment::{attach, attached, detach_program};
use crate::call::{Hook, load_as};
use crate::found::{Found, by_id};
use crate::map::Map;
use crate::memlock::OfNobody;
use crate::netns::netns_cookie;
use crate::programs::{Assignments, Rescue, SLOTS, user_bind, user_connect, user_create, user_sendmsg};

const MAP: &[u8] = b"vrfsetup_users";
const TABLE: &[u8] = b"vrfsetup_slots";
const PROGRAM: &[u8] = b"vrfsetup_user";

/// Room for as many users.
const ROOM: u32 = 4096;

/// The places of the programs. The one that lets sockets be made comes last: it must know whether the others bind MPTCP.
const HOOKS: [Hook; 7] =
    [Hook::CONNECT4, Hook::CONNECT6, Hook::BIND4, Hook::BIND6, Hook::SENDMSG4, Hook::SENDMSG6, Hook::SOCK_CREATE];

/// Where programs meet MPTCP's subflows.
const MPTCP: [Hook; 4] = [Hook::CONNECT4, Hook::CONNECT6, Hook::BIND4, Hook::BIND6];

/// A user of the map.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct User {
    /// The user id.
    pub uid: u32,
    /// The index of the VRF, or [`crate::programs::GONE`].
    pub ifindex: u32,
    /// The name of the VRF.
    pub vrf: Vec<u8>,
}

/// As many words as the table of slots has.
const WORDS: usize = SLOTS / 4;

/// The map, and the table that tells most others from its users.
#[derive(Debug)]
pub struct Users {
    map: Map<5>,
    slots: Map<WORDS>,
}

impl Users {
    /// The one whose programs stand on this cgroup, if there is one. A program of it at any hook is enough.
    ///
    /// # Errors
    /// EPERM without CAP_SYS_ADMIN; else as bpf(2).
    pub fn find(cgroup: impl AsFd) -> nix::Result<Option<Self>> {
        for hook in HOOKS {
            if let Some(found) = programs(hook, &cgroup)?.first() {
                let [slots, map] = found.maps;
                return Ok(Some(Self { map: Map::by_id(map)?, slots: Map::by_id(slots)? }));
            }
        }
        Ok(None)
    }

    /// Makes an empty one, without programs.
    ///
    /// # Errors
    /// As bpf(2).
    pub fn make() -> nix::Result<Self> {
        let _account = OfNobody::begin();
        Ok(Self { map: Map::create(MAP, ROOM)?, slots: Map::create_single(TABLE)? })
    }

    /// All users, by their ids.
    ///
    /// # Errors
    /// As bpf(2).
    pub fn all(&self) -> nix::Result<Vec<User>> {
        let read = |uid| match self.map.get(uid) {
            Err(Errno::ENOENT) => None, // removed meanwhile
            value => Some(value.map(|value| user(uid, value))),
        };
        let mut all = self.map.keys()?.into_iter().filter_map(read).collect::<nix::Result<Vec<User>>>()?;
        all.sort_unstable();
        Ok(all)
    }

    /// Adds a user, or changes where its sockets are: those of its programs that are made or used from now on.
    ///
    /// # Errors
    /// E2BIG for one too many; else as bpf(2).
    pub fn set(&self, user: &User) -> nix::Result<()> {
        let mut uids = self.map.keys()?;
        uids.push(user.uid);
        self.slots.set(0, slots(&uids))?;
        self.map.set(user.uid, value(user))
    }

    /// Removes a user, if it is there.
    ///
    /// # Errors
    /// As bpf(2).
    pub fn remove(&self, uid: u32) -> nix::Result<()> {
        self.map.remove(uid)?;
        self.slots.set(0, slots(&self.map.keys()?))
    }

    /// Whether one of this map's programs stands at each hook.
    ///
    /// # Errors
    /// As bpf(2).
    pub fn is_attached(&self, cgroup: impl AsFd) -> nix::Result<bool> {
        HOOKS.iter().try_fold(true, |all, hook| Ok(all && self.has_program(*hook, &cgroup)?))
    }

    /// Attaches the programs that are missing. Where one is refused, those that were attached here are detached.
    ///
    /// # Errors
    /// EPERM where the cgroup has a program that allows no other; else as bpf(2).
    pub fn attach(&self, cgroup: impl AsFd) -> nix::Result<()> {
        let _account = OfNobody::begin();
        let (mut added, mut binds_mptcp) = (Vec::new(), true);
        for hook in HOOKS {
            let outcome = self.attach_one(hook, &cgroup, &mut added, &mut binds_mptcp);
            if outcome.is_err() {
                for (hook, program) in &added {
                    // What cannot be detached finds an empty map, or one that is in use.
                    let _ = detach_program(*hook, program, &cgroup);
                }
                return outcome;
            }
        }
        Ok(())
    }

    fn attach_one(
        &self,
        hook: Hook,
        cgroup: impl AsFd,
        added: &mut Vec<(Hook, OwnedFd)>,
        binds_mptcp: &mut bool,
    ) -> nix::Result<()> {
        let (program, is_best) = self.load_best(hook, *binds_mptcp)?;
        *binds_mptcp &= is_best || !MPTCP.contains(&hook);
        if !self.has_program(hook, &cgroup)? {
            attach(hook, &program, &cgroup)?;
            added.push((hook, program));
        }
        Ok(())
    }

    /// The best variant that the kernel takes, and whether it is the best there is.
    fn load_best(&self, hook: Hook, binds_mptcp: bool) -> nix::Result<(OwnedFd, bool)> {
        let mut last = Errno::EINVAL;
        for (place, program) in self.variants(hook, binds_mptcp).iter().enumerate() {
            match load_as(hook, program, PROGRAM) {
                Ok(program) => return Ok((program, place == 0)),
                Err(errno) => last = errno,
            }
        }
        Err(last)
    }

    fn variants(&self, hook: Hook, binds_mptcp: bool) -> Vec<Program> {
        use Rescue::{BindAll, BindOwn, Deny};
        let users = Assignments { slots: self.slots.as_raw_fd(), map: self.map.as_raw_fd(), netns: netns_cookie() };
        let all = |make: fn(&Assignments, Rescue) -> Program, rescues: &[Rescue]| {
            rescues.iter().map(|rescue| make(&users, *rescue)).collect()
        };
        match hook {
            Hook::CONNECT4 | Hook::CONNECT6 => all(user_connect, &[BindAll, BindOwn, Deny]),
            Hook::BIND4 | Hook::BIND6 => all(user_bind, &[BindAll, Deny]),
            Hook::SENDMSG4 | Hook::SENDMSG6 => all(user_sendmsg, &[BindAll, Deny]),
            _ => vec![user_create(&users, binds_mptcp)],
        }
    }

    fn has_program(&self, hook: Hook, cgroup: impl AsFd) -> nix::Result<bool> {
        let id = self.map.id()?;
        Ok(programs(hook, cgroup)?.iter().any(|found| found.maps[1] == id))
    }

    /// Takes all such programs off the cgroup, whatever their map: the maps go with them.
    ///
    /// # Errors
    /// As bpf(2).
    pub fn detach_all(cgroup: impl AsFd) -> nix::Result<()> {
        for hook in HOOKS {
            for found in programs(hook, &cgroup)? {
                detach_program(hook, &found.program, &cgroup)?;
            }
        }
        Ok(())
    }
}

/// Our programs at this hook.
fn programs(hook: Hook, cgroup: impl AsFd) -> nix::Result<Vec<Found>> {
    let found = attached(hook, cgroup)?.into_iter().map(|id| match by_id(id, PROGRAM) {
        Err(Errno::ENOENT) => Ok(None), // it has gone meanwhile
        found => found,
    });
    found.filter_map(Result::transpose).collect()
}

/// The table for these users.
fn slots(uids: &[u32]) -> [u32; WORDS] {
    let mut bytes = [0; SLOTS];
    uids.iter().for_each(|uid| bytes[*uid as usize % SLOTS] = 1);
    std::array::from_fn(|at| u32::from_ne_bytes(std::array::from_fn(|byte| bytes[4 * at + byte])))
}

fn value(user: &User) -> [u32; 5] {
    let byte = |at: usize| user.vrf.get(at).copied().filter(|_| at < 15).unwrap_or(0);
    let word = |at: usize| u32::from_ne_bytes(std::array::from_fn(|place| byte(4 * at + place)));
    [user.ifindex, word(0), word(1), word(2), word(3)]
}

fn user(uid: u32, value: [u32; 5]) -> User {
    let name = value[1..].iter().flat_map(|word| word.to_ne_bytes());
    User { uid, ifindex: value[0], vrf: name.take_while(|byte| *byte != 0).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_the_slot_of_its_last_bits() {
        let bytes: Vec<u8> = slots(&[1000, u32::MAX - 1, 2024]).iter().flat_map(|word| word.to_ne_bytes()).collect();
        let taken: Vec<usize> = (0..SLOTS).filter(|slot| bytes[*slot] != 0).collect();
        assert_eq!(taken, [1000, 1022]);
    }

    #[test]
    fn a_user_is_read_back() {
        for name in ["blue", "b", "fifteen-letters"] {
            let alice = User { uid: 1000, ifindex: 7, vrf: name.as_bytes().to_vec() };
            assert_eq!(user(1000, value(&alice)), alice);
            // The kernel reads the name up to its NUL.
            let bytes: Vec<u8> = value(&alice)[1..].iter().flat_map(|word| word.to_ne_bytes()).collect();
            assert_eq!((&bytes[..name.len()], bytes[name.len()], bytes.len()), (name.as_bytes(), 0, 16));
        }
    }
}
