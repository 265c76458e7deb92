//! bpf(2) as vrfrun and vrfsetup need it: loading, attaching and pinning a program, one kind of map, the program that
//! binds sockets to a device, and the lists of ports that `vrfrun --strict` keeps.
//!
//! By hand, and no loader of ELF objects: the programs are a dozen instructions that depend on numbers known at run
//! time, and every byte of them can be read here.

mod bind;
mod call;
mod map;
mod ports;

pub use bind::instructions as binding;
pub use bind::netns_cookie;
pub use call::{Hook, Instruction, attach, load, op, pin};
pub use map::{Map, Value};
pub use ports::List;
