//! bpf(2) as vrfrun and vrfsetup need it: an assembler, the programs that bind sockets to a device and hold their packets in
//! its VRF, loading, attaching and pinning them, their maps (the lists of ports, the tags on sockets, and the users whose
//! sockets are in a VRF), and all of these on one cgroup (`set`).
//!
//! By hand, and no loader of ELF objects: the programs are a few dozen instructions that depend on numbers known at run
//! time, and every byte of them can be read here.

mod asm;
mod attachment;
mod call;
mod found;
mod ids;
mod labels;
mod map;
mod memlock;
mod netns;
mod ports;
pub mod programs;
pub mod set;
mod tags;
mod users;

pub use asm::{Instruction, Label, Program};
pub use attachment::{attach, attached};
pub use call::{Hook, load, pin, program_id, verifier_log};
pub use labels::{BadLabel, Labels};
pub use netns::netns_cookie;
pub use ports::List;
pub use tags::Tags;
pub use users::{User, Users};
