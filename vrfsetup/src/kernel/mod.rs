//! The one door to the kernel's routing netlink: dumps come in as plain values, changes go out one at a time.
//!
//! Everything is synchronous for its callers: the executor that `rtnetlink` needs runs only while a request is out,
//! on the calling thread. The network namespace is the one that the thread is in when the door is opened.

pub mod address;
pub mod link;
mod refusal;
pub mod route;
pub mod rule;
mod step;

use std::io;

use futures_util::StreamExt;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage,
    NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::sys::AsyncSocket;
use tokio::runtime::Runtime;

pub use refusal::{Refusal, errno_text};

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

/// An open routing netlink socket.
pub struct Kernel {
    runtime: Runtime,
    handle: rtnetlink::Handle,
}

impl Kernel {
    /// Opens the socket in the thread's network namespace.
    ///
    /// # Errors
    /// Those of socket(2) and bind(2).
    pub fn open() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let handle = {
            let _context = runtime.enter();
            let (mut connection, handle, _) = rtnetlink::new_connection()?;
            let socket = connection.socket_mut().socket_mut();
            // Without these two (4.12, 4.20) errors come without text and dumps without filters; neither is needed.
            let _ = socket.set_ext_ack(true);
            let _ = socket.set_netlink_get_strict_chk(true);
            runtime.spawn(connection);
            handle
        };
        Ok(Self { runtime, handle })
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
        let mut message = NetlinkMessage::from(request);
        message.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
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
        let mut message = NetlinkMessage::from(request);
        message.header.flags = NLM_F_REQUEST | NLM_F_ACK;
        self.exchange(message, &wanted)
    }

    /// Makes one change and waits for the acknowledgement.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn change(&self, request: RouteNetlinkMessage, if_present: IfPresent) -> Result<(), Refusal> {
        let creates = matches!(
            request,
            RouteNetlinkMessage::NewRule(_)
                | RouteNetlinkMessage::NewLink(_)
                | RouteNetlinkMessage::NewAddress(_)
                | RouteNetlinkMessage::NewRoute(_)
        );
        let mut message = NetlinkMessage::from(request);
        message.header.flags = NLM_F_REQUEST | NLM_F_ACK;
        if creates {
            message.header.flags |= NLM_F_CREATE;
            message.header.flags |= match if_present {
                IfPresent::Refuse => NLM_F_EXCL,
                IfPresent::Replace => NLM_F_REPLACE,
                IfPresent::Duplicate => 0,
            };
        }
        self.exchange(message, &|_| None::<()>).map(|_| ())
    }

    fn exchange<T>(
        &self,
        message: NetlinkMessage<RouteNetlinkMessage>,
        wanted: &impl Fn(RouteNetlinkMessage) -> Option<T>,
    ) -> Result<Vec<T>, Refusal> {
        let mut handle = self.handle.clone();
        self.runtime.block_on(async {
            let mut answers = handle.request(message).map_err(|_| Refusal::from_errno(libc::EPIPE))?;
            let mut found = Vec::new();
            let mut is_torn = false;
            while let Some(answer) = answers.next().await {
                is_torn |= answer.header.flags & NLM_F_DUMP_INTR != 0;
                match answer.payload {
                    NetlinkPayload::InnerMessage(inner) => found.extend(wanted(inner)),
                    NetlinkPayload::Error(error) if error.code.is_some() => return Err(Refusal::from_message(&error)),
                    _ => {}
                }
            }
            if is_torn { Err(Refusal::from_errno(libc::EINTR)) } else { Ok(found) }
        })
    }
}
