//! The one door to the kernel's routing netlink: dumps come in as plain values, changes go out one at a time, or
//! several together where a refusal of one does no harm to the others.
//!
//! The network namespace is the one that the thread is in when the door is opened.

pub mod address;
mod error;
pub mod link;
pub mod route;
pub mod rule;
mod socket;
mod step;

use std::cell::RefCell;
use std::io;

use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage,
    NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;

pub use error::{Refusal, errno_text};
use socket::{Door, Heard, Message};

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
    /// A second one is made beside it, as the kernel does for routing rules.
    Duplicate,
}

/// One change as it is asked for.
#[derive(Clone, Debug)]
pub struct Change(RouteNetlinkMessage, IfPresent);

/// An open routing netlink socket.
pub struct Kernel {
    door: RefCell<Door>,
}

impl Kernel {
    /// Opens the socket in the thread's network namespace.
    ///
    /// # Errors
    /// Those of socket(2) and bind(2).
    pub fn open() -> io::Result<Self> {
        Ok(Self { door: RefCell::new(Door::open()?) })
    }

    /// Asks for everything that `request` describes, and keeps what `wanted` recognises.
    ///
    /// # Errors
    /// The kernel's own; EINTR for a dump that changes kept interrupting.
    pub fn dump<T>(
        &self,
        request: RouteNetlinkMessage,
        wanted: impl Fn(RouteNetlinkMessage) -> Option<T>,
    ) -> Result<Vec<T>, Refusal> {
        self.dump_unread(request, |heard| read(heard).and_then(&wanted))
    }

    /// The same for who reads the messages himself.
    fn dump_unread<T>(
        &self,
        request: RouteNetlinkMessage,
        wanted: impl Fn(&Heard) -> Option<T>,
    ) -> Result<Vec<T>, Refusal> {
        let message = message(request, NLM_F_REQUEST | NLM_F_DUMP);
        for _ in 0..ATTEMPTS {
            match self.exchange(message.clone(), &wanted) {
                Err(refusal) if refusal.errno == libc::EINTR => {}
                answer => return answer,
            }
        }
        Err(Refusal::from_errno(libc::EINTR))
    }

    /// Asks for one thing.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn ask<T>(
        &self,
        request: RouteNetlinkMessage,
        wanted: impl Fn(RouteNetlinkMessage) -> Option<T>,
    ) -> Result<Vec<T>, Refusal> {
        self.exchange(message(request, NLM_F_REQUEST | NLM_F_ACK), &|heard| read(heard).and_then(&wanted))
    }

    /// Makes one change and waits for the acknowledgement.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn change(&self, change: Change) -> Result<(), Refusal> {
        let mut request = change.into_message();
        request.header.flags |= NLM_F_ACK;
        self.exchange(request, &|_| None::<()>).map(drop)
    }

    fn exchange<T>(&self, request: Message, wanted: &impl Fn(&Heard) -> Option<T>) -> Result<Vec<T>, Refusal> {
        let (mut found, mut refusal, mut is_torn) = (Vec::new(), None, false);
        let heard = self.door.borrow_mut().exchange(&mut [request], |_, answer| {
            is_torn |= answer.flags & NLM_F_DUMP_INTR != 0;
            match answer.is_end() {
                true => refusal = refused(&answer),
                false => found.extend(wanted(&answer)),
            }
        });
        heard.map_err(|error| Refusal::from_io(&error))?;
        match refusal {
            Some(refusal) => Err(refusal),
            None if is_torn => Err(Refusal::from_errno(libc::EINTR)),
            None => Ok(found),
        }
    }
}

impl Change {
    /// Without a wish for an acknowledgement.
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

fn read(heard: &Heard) -> Option<RouteNetlinkMessage> {
    match heard.payload() {
        Some(NetlinkPayload::InnerMessage(inner)) => Some(inner),
        _ => None,
    }
}

/// The refusal that an answer is; a list that failed half-way says so at its end.
fn refused(heard: &Heard) -> Option<Refusal> {
    match heard.payload() {
        Some(NetlinkPayload::Error(error)) if error.code.is_some() => Some(Refusal::from_message(&error)),
        Some(NetlinkPayload::Done(done)) if done.code < 0 => Some(Refusal::from_errno(done.code.wrapping_neg())),
        _ => None,
    }
}
