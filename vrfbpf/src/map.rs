//! bpf(2) once more: hash maps of numbers, maps of one value, and how to find those that are there.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;

use crate::call::{bpf, bpf_fd, name, object_info};
use crate::ids::MAPS;
use crate::memlock::with_memlock;

/// A hash map whose keys are 32 bits, and its values so many times 32.
#[derive(Debug)]
pub struct Map<const WORDS: usize>(OwnedFd);

/// As many keys as are asked for at once.
const BATCH: usize = 64;

/// No map that we make has more keys.
const MOST: u32 = 1 << 20;

impl<const WORDS: usize> Map<WORDS> {
    /// Makes an empty one, with room for so many. Before 5.11 the room counts as locked memory of the user.
    pub fn create(map_name: &[u8], room: u32) -> nix::Result<Self> {
        with_memlock(|| create(BPF_MAP_TYPE_HASH, map_name, size_of::<[u32; WORDS]>(), room)).map(Self)
    }

    /// Makes one that has a single value, at key 0, which programs read without a call (5.2).
    pub fn create_single(map_name: &[u8]) -> nix::Result<Self> {
        with_memlock(|| create(BPF_MAP_TYPE_ARRAY, map_name, size_of::<[u32; WORDS]>(), 1)).map(Self)
    }

    /// The one of this id (CAP_SYS_ADMIN).
    pub fn by_id(id: u32) -> nix::Result<Self> {
        MAPS.open(id).map(Self)
    }

    /// Its id: no other map gets it while this one is there, nor for a long time after.
    pub fn id(&self) -> nix::Result<u32> {
        self.info().map(|info| info.id)
    }

    /// All that are there under this name (CAP_SYS_ADMIN).
    pub fn all(map_name: &[u8]) -> nix::Result<Vec<Self>> {
        let (mut found, mut id) = (Vec::new(), 0);
        loop {
            id = match MAPS.next(id) {
                Err(Errno::ENOENT) => return Ok(found),
                id => id?,
            };
            match MAPS.open(id).map(Self) {
                Err(Errno::ENOENT) => {} // it has gone meanwhile
                map => found.extend(Some(map?).filter(|map| map.is_called(map_name))),
            }
        }
    }

    /// Its keys, in no order: with one call (5.6), or one by one.
    pub fn keys(&self) -> nix::Result<Vec<u32>> {
        self.keys_at_once().or_else(|_| self.keys_one_by_one())
    }

    fn keys_at_once(&self) -> nix::Result<Vec<u32>> {
        let (mut keys, mut values, mut next) = ([0u32; BATCH], [[0u32; WORDS]; BATCH], 0u32);
        let mut attributes = BatchAttributes {
            in_batch: 0,
            out_batch: (&raw mut next).expose_provenance() as u64,
            keys: (&raw mut keys).expose_provenance() as u64,
            values: (&raw mut values).expose_provenance() as u64,
            count: BATCH as u32,
            map_fd: self.as_raw_fd() as u32,
            elem_flags: 0,
            flags: 0,
        };
        // SAFETY: the kernel writes at most `count` keys and values into live arrays, and one number into `next`.
        match unsafe { bpf(BPF_MAP_LOOKUP_BATCH, &mut attributes) } {
            // There is no more.
            Err(Errno::ENOENT) => Ok(keys[..BATCH.min(attributes.count as usize)].to_vec()),
            Ok(_) => Err(Errno::ENOSPC),
            Err(errno) => Err(errno),
        }
    }

    fn keys_one_by_one(&self) -> nix::Result<Vec<u32>> {
        let mut keys = Vec::new();
        loop {
            match self.next_key(keys.last()) {
                Ok(key) if keys.len() < MOST as usize => keys.push(key),
                // A walk that never ends has been sent back to the start by a change.
                Ok(_) => return Err(Errno::EAGAIN),
                Err(Errno::ENOENT) => return Ok(keys),
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Adds a key, or changes its value.
    pub fn set(&self, key: u32, value: [u32; WORDS]) -> nix::Result<()> {
        // SAFETY: the kernel reads a key and a value of the map's sizes, both live.
        unsafe { self.element(BPF_MAP_UPDATE_ELEM, &raw const key, (&raw const value).expose_provenance()) }
    }

    /// Takes a key away, if it is there.
    pub fn remove(&self, key: u32) -> nix::Result<()> {
        // SAFETY: the kernel reads a key of the map's size.
        match unsafe { self.element(BPF_MAP_DELETE_ELEM, &raw const key, 0) } {
            Err(Errno::ENOENT) => Ok(()),
            outcome => outcome,
        }
    }

    /// What stands beside a key.
    pub fn get(&self, key: u32) -> nix::Result<[u32; WORDS]> {
        let mut value = [0; WORDS];
        // SAFETY: the kernel reads a key and writes a value of the map's sizes, both live.
        unsafe { self.element(BPF_MAP_LOOKUP_ELEM, &raw const key, (&raw mut value).expose_provenance()) }?;
        Ok(value)
    }

    fn next_key(&self, after: Option<&u32>) -> nix::Result<u32> {
        let mut next = 0u32;
        let after = after.map_or(std::ptr::null(), |key| &raw const *key);
        // SAFETY: the kernel reads a key (none for the first) and writes the next one.
        unsafe { self.element(BPF_MAP_GET_NEXT_KEY, after, (&raw mut next).expose_provenance()) }?;
        Ok(next)
    }

    /// # Safety
    /// The key and the value must be live, of the map's sizes, and the value writable where the command writes.
    unsafe fn element(&self, command: libc::c_long, key: *const u32, value: usize) -> nix::Result<()> {
        let (key, value) = (key.expose_provenance() as u64, value as u64);
        let mut attributes = ElementAttributes { map_fd: self.as_raw_fd() as u32, key, value, flags: 0 };
        // SAFETY: the caller answers for the addresses.
        unsafe { bpf(command, &mut attributes) }.map(drop)
    }

    fn is_called(&self, map_name: &[u8]) -> bool {
        let sizes = |info: &Info| (info.map_type, info.key_size as usize, info.value_size as usize);
        let wanted = (BPF_MAP_TYPE_HASH, size_of::<u32>(), size_of::<[u32; WORDS]>());
        self.info().is_ok_and(|info| info.name == name(map_name) && sizes(&info) == wanted)
    }

    fn info(&self) -> nix::Result<Info> {
        let mut info = Info::default();
        object_info(self.as_raw_fd(), &mut info)?;
        Ok(info)
    }
}

impl<const WORDS: usize> AsRawFd for Map<WORDS> {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }
}

const BPF_MAP_CREATE: libc::c_long = 0;
const BPF_MAP_LOOKUP_ELEM: libc::c_long = 1;
pub(crate) const BPF_MAP_UPDATE_ELEM: libc::c_long = 2;
pub(crate) const BPF_MAP_DELETE_ELEM: libc::c_long = 3;
const BPF_MAP_GET_NEXT_KEY: libc::c_long = 4;
const BPF_MAP_LOOKUP_BATCH: libc::c_long = 24;
const BPF_MAP_TYPE_HASH: u32 = 1;
const BPF_MAP_TYPE_ARRAY: u32 = 2;
const BPF_F_NO_PREALLOC: u32 = 1;

/// The part of `union bpf_attr` for BPF_MAP_CREATE, up to what 4.18 knows.
#[repr(C)]
#[derive(Default)]
pub(crate) struct CreateAttributes {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    pub map_flags: u32,
    inner_map_fd: u32,
    numa_node: u32,
    map_name: [u8; 16],
    map_ifindex: u32,
    pub btf_fd: u32,
    pub btf_key_type_id: u32,
    pub btf_value_type_id: u32,
}

impl CreateAttributes {
    /// A map with keys of 32 bits.
    pub fn new(map_type: u32, map_name: &[u8], value_size: usize, max_entries: u32) -> Self {
        let (key_size, value_size) = (size_of::<u32>() as u32, value_size as u32);
        Self { map_type, key_size, value_size, max_entries, map_name: name(map_name), ..Self::default() }
    }
}

fn create(map_type: u32, map_name: &[u8], value_size: usize, room: u32) -> nix::Result<OwnedFd> {
    let mut attributes = CreateAttributes::new(map_type, map_name, value_size, room);
    attributes.map_flags = if map_type == BPF_MAP_TYPE_HASH { BPF_F_NO_PREALLOC } else { 0 };
    // SAFETY: plain numbers in a structure of the kernel's layout.
    unsafe { bpf_fd(BPF_MAP_CREATE, &mut attributes) }
}

/// The part of `union bpf_attr` for one element; `value` is the next key for BPF_MAP_GET_NEXT_KEY.
#[repr(C)]
pub(crate) struct ElementAttributes {
    pub map_fd: u32,
    pub key: u64,
    pub value: u64,
    pub flags: u64,
}

/// The part of `union bpf_attr` for BPF_MAP_LOOKUP_BATCH.
#[repr(C)]
struct BatchAttributes {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// The beginning of `struct bpf_map_info`.
#[repr(C)]
#[derive(Default)]
struct Info {
    map_type: u32,
    id: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    name: [u8; 16],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_structures_have_the_kernels_sizes() {
        assert_eq!((size_of::<CreateAttributes>(), size_of::<BatchAttributes>()), (60, 56));
        assert_eq!(size_of::<ElementAttributes>(), 32);
    }
}
