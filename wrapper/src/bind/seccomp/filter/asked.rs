//! What a call asks for that the filter handed to the supervisor.

use libc::seccomp_data;

use crate::bind::seccomp::create::Wanted;
use crate::bind::seccomp::filter::{SYS_CONNECT, SYS_SOCKET};
use crate::sys::architecture::{Architecture, HOST, Table};

/// What a call that the filter handed to the supervisor asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    Socket {
        wanted: Wanted,
        /// What stands where the shim puts its cookie.
        cookie: Cookie,
    },
    /// A socket whose three numbers stand there in the caller's memory.
    Socketcall {
        /// Of three words of 32 bits.
        address: u64,
    },
    /// A connection.
    Connect(Connect),
    /// A connection whose three numbers stand there in the caller's memory.
    SocketcallConnect {
        /// Of three words of 32 bits.
        address: u64,
    },
    /// That a socket be bound to a device.
    Binding,
    /// Another network or user namespace.
    Namespace,
    /// Something that the filter does not hand over.
    Unknown,
}

/// The sixth argument of socket(2), as wide as the caller's table has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookie {
    Whole(u64),
    Low(u32),
}

impl Cookie {
    /// Whether the filter takes it for the shim's.
    pub fn is(self, shim: u64) -> bool {
        match self {
            Self::Whole(cookie) => cookie == shim,
            Self::Low(half) => half == shim as u32,
        }
    }
}

/// The arguments of connect(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connect {
    /// The socket's number in the caller.
    pub fd: i32,
    /// Of the destination, in the caller's memory.
    pub address: u64,
    /// How long that is.
    pub length: u32,
}

impl From<[u32; 3]> for Connect {
    fn from([fd, address, length]: [u32; 3]) -> Self {
        Self { fd: fd as i32, address: address.into(), length }
    }
}

/// Reads a call that the filter handed over.
pub fn asked(call: &seccomp_data) -> Asked {
    asked_on(HOST, call)
}

pub(super) fn asked_on(machine: &Architecture, call: &seccomp_data) -> Asked {
    let Some(table) = machine.tables.iter().find(|table| table.audit == call.arch) else { return Asked::Unknown };
    let number = call.nr as u32;
    if number == table.socket {
        let words = [call.args[0] as u32, call.args[1] as u32, call.args[2] as u32];
        Asked::Socket { wanted: Wanted::from(words), cookie: cookie(table, call.args[5]) }
    } else if number == table.connect {
        Asked::Connect(Connect { fd: call.args[0] as i32, address: call.args[1], length: call.args[2] as u32 })
    } else if number == table.setsockopt {
        Asked::Binding
    } else if Some(number) == table.socketcall {
        behind_pointer(call)
    } else if [table.unshare, table.setns].contains(&number) {
        Asked::Namespace
    } else {
        Asked::Unknown
    }
}

fn cookie(table: &Table, argument: u64) -> Cookie {
    if table.bits == 64 { Cookie::Whole(argument) } else { Cookie::Low(argument as u32) }
}

fn behind_pointer(call: &seccomp_data) -> Asked {
    let address = u64::from(call.args[1] as u32);
    match call.args[0] as u32 {
        SYS_SOCKET => Asked::Socketcall { address },
        SYS_CONNECT => Asked::SocketcallConnect { address },
        _ => Asked::Unknown,
    }
}
