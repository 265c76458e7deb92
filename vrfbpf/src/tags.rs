//! Tags on sockets: a map whose entries live in the sockets themselves (BPF_MAP_TYPE_SK_STORAGE, 5.2; in a program at
//! socket creation 5.10).

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

use crate::call::{bpf, bpf_fd};
use crate::ids::MAPS;
use crate::map::{BPF_MAP_DELETE_ELEM, BPF_MAP_UPDATE_ELEM, CreateAttributes, ElementAttributes};
use crate::memlock::with_memlock;

const BPF_BTF_LOAD: libc::c_long = 18;
const BPF_MAP_CREATE: libc::c_long = 0;
const BPF_MAP_TYPE_SK_STORAGE: u32 = 24;
const BPF_F_NO_PREALLOC: u32 = 1;
const BPF_EXIST: u64 = 2;
/// An accepted socket has its listener's tag: without it, servers in child namespaces would lose their packets.
const BPF_F_CLONE: u32 = 1 << 9;

/// The map.
#[derive(Debug)]
pub struct Tags(OwnedFd);

impl Tags {
    /// Makes one.
    ///
    /// # Errors
    /// EINVAL where the kernel has no such maps; else as bpf(2).
    pub fn create() -> nix::Result<Self> {
        let btf = with_memlock(load_btf)?;
        let create = || {
            let mut attributes = CreateAttributes::new(BPF_MAP_TYPE_SK_STORAGE, b"vrfrun_tags", size_of::<i32>(), 0);
            attributes.map_flags = BPF_F_NO_PREALLOC | BPF_F_CLONE;
            attributes.btf_fd = btf.as_raw_fd() as u32;
            (attributes.btf_key_type_id, attributes.btf_value_type_id) = (1, 1);
            // SAFETY: plain numbers in a structure of the kernel's layout.
            unsafe { bpf_fd(BPF_MAP_CREATE, &mut attributes) }
        };
        with_memlock(create).map(Self)
    }

    /// The map of this id, which the caller knows to be one (CAP_SYS_ADMIN).
    pub(crate) fn by_id(id: u32) -> nix::Result<Self> {
        MAPS.open(id).map(Self)
    }

    /// Changes the tag of a socket that has one.
    ///
    /// # Errors
    /// As bpf(2).
    pub(crate) fn change(&self, socket: impl AsFd, tag: u32) -> nix::Result<()> {
        self.of(socket, BPF_MAP_UPDATE_ELEM, Some(&tag), BPF_EXIST)
    }

    /// Takes the tag of a socket away, if it has one.
    ///
    /// # Errors
    /// As bpf(2).
    pub(crate) fn remove(&self, socket: impl AsFd) -> nix::Result<()> {
        self.of(socket, BPF_MAP_DELETE_ELEM, None, 0)
    }

    /// Does something to the tag of a socket that has one.
    fn of(&self, socket: impl AsFd, command: libc::c_long, tag: Option<&u32>, flags: u64) -> nix::Result<()> {
        let socket = socket.as_fd().as_raw_fd();
        let key = (&raw const socket).expose_provenance() as u64;
        let value = tag.map_or(0, |tag| std::ptr::from_ref(tag).expose_provenance() as u64);
        let mut attributes = ElementAttributes { map_fd: self.as_raw_fd() as u32, key, value, flags };
        // SAFETY: the kernel reads a descriptor and, to change it, a number of 32 bits, both live.
        match unsafe { bpf(command, &mut attributes) } {
            Ok(_) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(errno),
        }
    }
}

impl AsRawFd for Tags {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// What such a map must say of its keys and values: one type, a signed 32-bit integer.
#[repr(C)]
struct Btf {
    magic: u16,
    version: u8,
    flags: u8,
    header_length: u32,
    types_offset: u32,
    types_length: u32,
    strings_offset: u32,
    strings_length: u32,
    /// `struct btf_type`: its name's place, its kind (BTF_KIND_INT), its size; then sign and bits.
    int: [u32; 4],
    strings: [u8; 8],
}

/// The names: none, and `int`; the structure's padding is not part of them.
const STRINGS: &[u8; 8] = b"\0int\0\0\0\0";
const STRINGS_LENGTH: u32 = 5;
const HEADER_LENGTH: u32 = 24;
const TYPES_LENGTH: u32 = 16;

/// The part of `union bpf_attr` for BPF_BTF_LOAD.
#[repr(C)]
struct BtfAttributes {
    btf: u64,
    log: u64,
    size: u32,
    log_size: u32,
    log_level: u32,
    /// A kernel that does not know what comes here wants it zero.
    padding: u32,
}

fn load_btf() -> nix::Result<OwnedFd> {
    let btf = Btf {
        magic: 0xeb9f,
        version: 1,
        flags: 0,
        header_length: HEADER_LENGTH,
        types_offset: 0,
        types_length: TYPES_LENGTH,
        strings_offset: TYPES_LENGTH,
        strings_length: STRINGS_LENGTH,
        int: [1, 1 << 24, 4, 1 << 24 | 32],
        strings: *STRINGS,
    };
    let size = HEADER_LENGTH + TYPES_LENGTH + STRINGS_LENGTH;
    let btf = (&raw const btf).expose_provenance() as u64;
    let mut attributes = BtfAttributes { btf, log: 0, size, log_size: 0, log_level: 0, padding: 0 };
    // SAFETY: the attributes name a live structure of at least `size` bytes, which the kernel only reads.
    unsafe { bpf_fd(BPF_BTF_LOAD, &mut attributes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_structures_have_the_kernels_sizes() {
        assert_eq!(size_of::<Btf>(), (HEADER_LENGTH + TYPES_LENGTH) as usize + STRINGS.len());
        assert_eq!(size_of::<BtfAttributes>(), 32);
    }
}
