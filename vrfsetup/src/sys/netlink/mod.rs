//! The kernel's routing netlink, over one socket: dumps come in as plain values, changes go out one at a time, or
//! several together where a refusal of one does no harm to the others.
//!
//! The network namespace is the one that the thread is in when the socket is opened.

pub mod address;
mod error;
pub mod ipsec;
pub mod link;
pub mod monitor;
mod neighbour;
mod nexthop;
pub mod outside;
mod raw;
pub mod reply;
pub mod route;
pub mod rule;
pub mod socket;
mod step;
pub mod wireguard;

use std::cell::RefCell;
use std::io;

use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST,
    NetlinkMessage,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::sys::protocols::NETLINK_ROUTE;

pub use error::{KernelError, errno_text};
use reply::{Message, Reply};
use socket::{Socket, bytes_of};

/// How often a list is asked for again that changed while the kernel was making it (NLM_F_DUMP_INTR, 3.11): entries
/// may be missing in it, or come twice.
const ATTEMPTS: usize = 20;

/// What a change does when the thing is already there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfPresent {
    /// The kernel answers EEXIST.
    Refuse,
    /// It takes the new form.
    Replace,
    /// Another one is made behind it, as the kernel does for the routes of its addresses.
    Append,
    /// A second one is made beside it, as the kernel does for routing rules.
    Duplicate,
}

/// One change as it is asked for.
#[derive(Clone, Debug)]
pub struct Change(RouteNetlinkMessage, IfPresent);

/// An open routing netlink socket.
pub struct Kernel {
    socket: RefCell<Socket>,
}

impl Kernel {
    /// Opens the socket in the thread's network namespace.
    ///
    /// # Errors
    /// Those of socket(2) and bind(2).
    pub fn open() -> io::Result<Self> {
        let socket = Socket::open(NETLINK_ROUTE)?;
        socket.ask_for_details();
        Ok(Self { socket: RefCell::new(socket) })
    }

    /// Asks for everything that `request` describes, and keeps what `wanted` recognises.
    ///
    /// # Errors
    /// The kernel's own; EINTR for a dump that changes kept interrupting.
    pub fn dump<T>(
        &self,
        request: RouteNetlinkMessage,
        wanted: impl Fn(RouteNetlinkMessage) -> Option<T>,
    ) -> Result<Vec<T>, KernelError> {
        self.dump_unread(request, |reply| reply.message().and_then(&wanted))
    }

    /// The same for who reads the messages himself.
    fn dump_unread<T>(
        &self,
        request: RouteNetlinkMessage,
        wanted: impl Fn(&Reply) -> Option<T>,
    ) -> Result<Vec<T>, KernelError> {
        let message = message(request, NLM_F_REQUEST | NLM_F_DUMP);
        for _ in 0..ATTEMPTS {
            match self.exchange(message.clone(), &wanted) {
                Err(refusal) if refusal.errno == libc::EINTR => {}
                answer => return answer,
            }
        }
        Err(KernelError::from_errno(libc::EINTR))
    }

    /// Asks for one thing.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn ask<T>(
        &self,
        request: RouteNetlinkMessage,
        wanted: impl Fn(RouteNetlinkMessage) -> Option<T>,
    ) -> Result<Vec<T>, KernelError> {
        self.exchange(message(request, NLM_F_REQUEST | NLM_F_ACK), &|reply| reply.message().and_then(&wanted))
    }

    /// Makes one change and waits for the acknowledgement.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn change(&self, change: Change) -> Result<(), KernelError> {
        let mut request = change.into_message();
        request.header.flags |= NLM_F_ACK;
        self.exchange(request, &|_| None::<()>).map(drop)
    }

    fn exchange<T>(&self, request: Message, wanted: &impl Fn(&Reply) -> Option<T>) -> Result<Vec<T>, KernelError> {
        self.exchange_bytes(bytes_of(request), wanted)
    }

    fn exchange_bytes<T>(
        &self,
        request: Vec<u8>,
        wanted: &impl Fn(&Reply) -> Option<T>,
    ) -> Result<Vec<T>, KernelError> {
        let (mut found, mut refusal, mut is_torn) = (Vec::new(), None, false);
        let answered = self.socket.borrow_mut().exchange(&[request], |_, reply| {
            is_torn |= reply.flags & NLM_F_DUMP_INTR != 0;
            match reply.is_end() {
                true => refusal = reply.error(),
                false => found.extend(wanted(&reply)),
            }
        });
        answered.map_err(|error| KernelError::from_io(&error))?;
        match refusal {
            Some(refusal) => Err(refusal),
            None if is_torn => Err(KernelError::from_errno(libc::EINTR)),
            None => Ok(found),
        }
    }
}

impl Change {
    /// Does not ask for an acknowledgement.
    fn into_message(self) -> Message {
        let Self(request, if_present) = self;
        let creates = matches!(
            request,
            RouteNetlinkMessage::NewRule(_)
                | RouteNetlinkMessage::NewLink(_)
                | RouteNetlinkMessage::NewAddress(_)
                | RouteNetlinkMessage::NewRoute(_)
        );
        let flags = match if_present {
            _ if !creates => 0,
            IfPresent::Refuse => NLM_F_CREATE | NLM_F_EXCL,
            IfPresent::Replace => NLM_F_CREATE | NLM_F_REPLACE,
            IfPresent::Append => NLM_F_CREATE | NLM_F_APPEND,
            IfPresent::Duplicate => NLM_F_CREATE,
        };
        message(request, NLM_F_REQUEST | flags)
    }
}

fn message(request: RouteNetlinkMessage, flags: u16) -> Message {
    let mut message = NetlinkMessage::from(request);
    message.header.flags = flags;
    message
}
