//! The users whose sockets are in a VRF: a map, and the programs on the root cgroup that read it.
//!
//! Nothing is pinned. The programs stay as long as the cgroup, which is as long as the machine runs, and the maps as long as
//! the programs. Whoever looks at what stands on the cgroup finds both (CAP_SYS_ADMIN).

mod attach;
mod guard;

use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

use crate::map::Map;
use crate::memlock::OfNobody;
use crate::netns::netns_cookie;
use crate::programs::{Assignments, NO_GROUP, SLOTS};
use attach::ADDRESS_HOOKS;
use guard::Guarding;

const MAP: &[u8] = b"vrfsetup_users";
const TABLE: &[u8] = b"vrfsetup_slots";
const PROGRAM: &[u8] = b"vrfsetup_user";

/// Room for as many users.
const ROOM: u32 = 4096;

/// A user of the map.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct User {
    /// The user id.
    pub uid: u32,
    /// The index of the VRF, or [`crate::programs::GONE`].
    pub ifindex: u32,
    /// The name of the VRF.
    pub vrf: Vec<u8>,
    /// The group whose processes of this user are in no VRF.
    pub group: Option<u32>,
}

/// As many words as the table of slots has.
const WORDS: usize = SLOTS / 4;

/// The map, the table that tells most others from its users, and what keeps packets in.
#[derive(Debug)]
pub struct Users {
    map: Map<6>,
    slots: Map<WORDS>,
    guarding: Option<Guarding>,
}

impl Users {
    /// The one whose programs stand on this cgroup, if there is one. Any program of it but those of packets is enough.
    ///
    /// # Errors
    /// EPERM without CAP_SYS_ADMIN; else as bpf(2).
    pub fn find(cgroup: impl AsFd) -> nix::Result<Option<Self>> {
        let mut known = None;
        for hook in ADDRESS_HOOKS {
            for found in attach::programs(hook, &cgroup)? {
                match found.maps[..] {
                    // One that only denies does not know what guards.
                    [slots, map] => known = known.or(Some((slots, map, None))),
                    [slots, map, tags, devices] => known = Some((slots, map, Some((tags, devices)))),
                    _ => {}
                }
            }
            if matches!(known, Some((.., Some(_)))) {
                break;
            }
        }
        let Some((slots, map, guard)) = known else { return Ok(None) };
        let guarding = guard.map(|(tags, devices)| Guarding::by_ids(tags, devices)).transpose()?;
        Ok(Some(Self { map: Map::by_id(map)?, slots: Map::by_id(slots)?, guarding }))
    }

    /// The users of every such map that is there, for who cannot see the root cgroup: by its name.
    ///
    /// # Errors
    /// EPERM without CAP_SYS_ADMIN; else as bpf(2).
    pub fn out_of_sight() -> nix::Result<Vec<User>> {
        let maps = Map::all(MAP)?;
        maps.iter().try_fold(Vec::new(), |users, map| Ok([users, users_of(map)?].concat()))
    }

    /// Makes an empty one, without programs. A kernel that cannot keep packets in has one that does not.
    ///
    /// # Errors
    /// As bpf(2).
    pub fn make() -> nix::Result<Self> {
        let _account = OfNobody::begin();
        let (map, slots) = (Map::create(MAP, ROOM)?, Map::create_single(TABLE)?);
        let guarding = Guarding::make().ok();
        let users = Self { map, slots, guarding };
        let is_taken = users.guarding.is_none() || users.can_guard();
        Ok(if is_taken { users } else { Self { guarding: None, ..users } })
    }

    /// Whether packets of the users' sockets leave by their VRFs only, whatever their programs do with them. Where not, the
    /// kernel does not take what that needs (SK_STORAGE for cgroups, 5.10).
    pub fn is_guarded(&self) -> bool {
        self.guarding.is_some()
    }

    /// The devices by which packets may leave: each port with the index of its VRF. Empty where nothing is guarded.
    ///
    /// # Errors
    /// As bpf(2).
    pub fn devices(&self) -> nix::Result<Vec<(u32, u32)>> {
        self.guarding.as_ref().map_or(Ok(Vec::new()), Guarding::devices)
    }

    /// Writes them; whether there was anything to write.
    ///
    /// # Errors
    /// E2BIG for more ports than there is room for; else as bpf(2).
    pub fn write_devices(&self, devices: &[(u32, u32)]) -> nix::Result<bool> {
        self.guarding.as_ref().map_or(Ok(false), |guarding| guarding.write(devices))
    }

    /// Lets packets of a guarded socket pass by another VRF, which it is bound to.
    ///
    /// # Errors
    /// As bpf(2).
    pub fn retag(&self, socket: impl AsFd, vrf: u32) -> nix::Result<()> {
        self.guarding.as_ref().map_or(Ok(()), |guarding| guarding.retag(socket, vrf))
    }

    /// Guards the packets of a socket no more, which has left the VRFs.
    ///
    /// # Errors
    /// As bpf(2).
    pub fn untag(&self, socket: impl AsFd) -> nix::Result<()> {
        self.guarding.as_ref().map_or(Ok(()), |guarding| guarding.untag(socket))
    }

    /// All users, by their ids.
    ///
    /// # Errors
    /// As bpf(2).
    pub fn all(&self) -> nix::Result<Vec<User>> {
        users_of(&self.map)
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

    fn assignments(&self) -> Assignments {
        let guard = self.guarding.as_ref().map(Guarding::guard);
        Assignments { slots: self.slots.as_raw_fd(), map: self.map.as_raw_fd(), netns: netns_cookie(), guard }
    }
}

fn users_of(map: &Map<6>) -> nix::Result<Vec<User>> {
    let read = |uid| match map.get(uid) {
        Err(Errno::ENOENT) => None, // removed meanwhile
        value => Some(value.map(|value| user(uid, value))),
    };
    let mut all = map.keys()?.into_iter().filter_map(read).collect::<nix::Result<Vec<User>>>()?;
    all.sort_unstable();
    Ok(all)
}

/// The table for these users.
fn slots(uids: &[u32]) -> [u32; WORDS] {
    let mut bytes = [0; SLOTS];
    uids.iter().for_each(|uid| bytes[*uid as usize % SLOTS] = 1);
    std::array::from_fn(|at| u32::from_ne_bytes(std::array::from_fn(|byte| bytes[4 * at + byte])))
}

fn value(user: &User) -> [u32; 6] {
    let byte = |at: usize| user.vrf.get(at).copied().filter(|_| at < 15).unwrap_or(0);
    let word = |at: usize| u32::from_ne_bytes(std::array::from_fn(|place| byte(4 * at + place)));
    [user.ifindex, word(0), word(1), word(2), word(3), user.group.unwrap_or(NO_GROUP)]
}

fn user(uid: u32, value: [u32; 6]) -> User {
    let name = value[1..5].iter().flat_map(|word| word.to_ne_bytes());
    let group = Some(value[5]).filter(|group| *group != NO_GROUP);
    User { uid, ifindex: value[0], vrf: name.take_while(|byte| *byte != 0).collect(), group }
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
        for (name, group) in [("blue", None), ("b", Some(0)), ("fifteen-letters", Some(990))] {
            let alice = User { uid: 1000, ifindex: 7, vrf: name.as_bytes().to_vec(), group };
            assert_eq!(user(1000, value(&alice)), alice);
            // The kernel reads the name up to its NUL.
            let bytes: Vec<u8> = value(&alice)[1..5].iter().flat_map(|word| word.to_ne_bytes()).collect();
            assert_eq!((&bytes[..name.len()], bytes[name.len()], bytes.len()), (name.as_bytes(), 0, 16));
        }
    }
}
