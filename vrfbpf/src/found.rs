//! bpf(2): programs that are there already, by their ids, with their names and maps.

use std::os::fd::{AsRawFd, OwnedFd};

use crate::call::{name, object_info};
use crate::ids::PROGRAMS;

/// No program of ours uses more maps.
const MOST_MAPS: usize = 4;

/// A program that some run has loaded.
#[derive(Debug)]
pub struct Found {
    /// Its descriptor.
    pub program: OwnedFd,
    /// The ids of the maps that it uses, in the order in which its instructions name them.
    pub maps: Vec<u32>,
}

/// The program of this id, if it has this name (CAP_SYS_ADMIN).
///
/// # Errors
/// ENOENT where it has gone; EPERM without CAP_SYS_ADMIN; else as bpf(2).
pub fn by_id(id: u32, program_name: &[u8]) -> nix::Result<Option<Found>> {
    let program = open(id)?;
    let mut maps = [0u32; MOST_MAPS];
    let room = MOST_MAPS as u32;
    let mut info = Info { map_count: room, maps: (&raw mut maps).expose_provenance() as u64, ..Info::default() };
    object_info(program.as_raw_fd(), &mut info)?;
    let maps = maps[..MOST_MAPS.min(info.map_count as usize)].to_vec();
    Ok((info.name == name(program_name)).then_some(Found { program, maps }))
}

/// The program of this id (CAP_SYS_ADMIN).
///
/// # Errors
/// As [`by_id`].
pub fn open(id: u32) -> nix::Result<OwnedFd> {
    PROGRAMS.open(id)
}

/// The beginning of `struct bpf_prog_info`, up to the name (4.15). The kernel writes as many ids of maps as there is room
/// for, and how many there are.
#[repr(C)]
#[derive(Default)]
struct Info {
    program_type: u32,
    id: u32,
    tag: u64,
    machine_code_length: u32,
    code_length: u32,
    machine_code: u64,
    code: u64,
    load_time: u64,
    created_by: u32,
    map_count: u32,
    maps: u64,
    name: [u8; 16],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_structures_have_the_kernels_sizes() {
        assert_eq!(size_of::<Info>(), 80);
        assert_eq!((std::mem::offset_of!(Info, map_count), std::mem::offset_of!(Info, name)), (52, 64));
    }
}
