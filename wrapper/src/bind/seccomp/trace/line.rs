//! One line of a trace, for people and as JSON.

use std::fmt::{self, Display, Formatter};
use std::net::SocketAddr;

use nix::errno::Errno;
use serde_json::{Value, json};
use vrfabi::socket::{AF_SMC, SOCK_TYPE};

/// What was asked for, by whom, and where it ends up.
pub struct Line {
    /// The process.
    pub pid: u32,
    /// The program that it runs, as the kernel calls it (comm).
    pub program: String,
    pub call: Call,
    /// Family, type with flags, protocol; None where the socket cannot be looked at.
    pub socket: Option<(i32, i32, i32)>,
    /// Who binds it.
    pub by: Option<&'static str>,
    pub bound: Bound,
}

pub enum Call {
    /// socket(2)
    Socket,
    /// connect(2); None where the destination cannot be read.
    Connect(Option<SocketAddr>),
}

/// Where a socket's packets go.
pub enum Bound {
    /// To this device.
    To(String),
    /// To this device, if the kernel makes the socket.
    For(String),
    /// To no device.
    Nowhere,
    /// It is of another network namespace.
    Elsewhere,
    /// The socket cannot be looked at.
    Unknown,
    /// There is no socket.
    Failed(Errno),
}

impl Line {
    /// An object in one line.
    pub fn json(&self) -> Value {
        let (call, destination) = match self.call {
            Call::Socket => ("socket", None),
            Call::Connect(destination) => ("connect", destination),
        };
        let mut object = json!({
            "pid": self.pid,
            "program": self.program,
            "call": call,
            "family": self.socket.map(|(family, ..)| name_of(family, &FAMILIES)),
            "type": self.socket.map(|(_, kind, _)| name_of(kind & SOCK_TYPE, &TYPES)),
            "protocol": self.socket.map(|(.., protocol)| protocol),
            "mechanism": self.by,
            "address": destination.map(|to| to.ip().to_string()),
            "port": destination.map(|to| to.port()),
            "bound": self.bound.is_bound(),
            "device": Value::Null,
        });
        match &self.bound {
            Bound::To(device) | Bound::For(device) => object["device"] = device.as_str().into(),
            Bound::Failed(errno) => object["error"] = format!("{errno:?}").into(),
            Bound::Elsewhere => object["netns"] = "other".into(),
            Bound::Nowhere | Bound::Unknown => {}
        }
        object
    }
}

impl Display for Line {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}] ", self.program, self.pid)?;
        match self.call {
            Call::Socket => f.write_str("socket")?,
            Call::Connect(Some(to)) => write!(f, "connect {to}")?,
            Call::Connect(None) => f.write_str("connect ?")?,
        }
        if let Some((family, kind, protocol)) = self.socket {
            write!(f, " {} {}", name_of(family, &FAMILIES), name_of(kind & SOCK_TYPE, &TYPES))?;
            if protocol != 0 {
                write!(f, " {}", name_of(protocol, &PROTOCOLS))?;
            }
        }
        write!(f, ": {}", self.bound)?;
        self.by.map_or(Ok(()), |by| write!(f, " by {by}"))
    }
}

impl Bound {
    /// None where nothing is known, or no socket is there.
    fn is_bound(&self) -> Option<bool> {
        match self {
            Self::To(_) => Some(true),
            Self::Nowhere => Some(false),
            Self::For(_) | Self::Elsewhere | Self::Unknown | Self::Failed(_) => None,
        }
    }
}

impl Display for Bound {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::To(device) | Self::For(device) => f.write_str(device),
            Self::Nowhere => f.write_str("no device"),
            Self::Elsewhere => f.write_str("in another network namespace"),
            Self::Unknown => f.write_str("device not known"),
            Self::Failed(errno) => write!(f, "{errno:?}"),
        }
    }
}

const FAMILIES: [(i32, &str); 5] =
    [(libc::AF_INET, "inet"), (libc::AF_INET6, "inet6"), (AF_SMC, "smc"), (21, "rds"), (33, "rxrpc")];

const TYPES: [(i32, &str); 6] = [
    (libc::SOCK_STREAM, "stream"),
    (libc::SOCK_DGRAM, "dgram"),
    (libc::SOCK_RAW, "raw"),
    (libc::SOCK_RDM, "rdm"),
    (libc::SOCK_SEQPACKET, "seqpacket"),
    (libc::SOCK_DCCP, "dccp"),
];

const PROTOCOLS: [(i32, &str); 6] = [
    (libc::IPPROTO_ICMP, "icmp"),
    (libc::IPPROTO_TCP, "tcp"),
    (libc::IPPROTO_UDP, "udp"),
    (libc::IPPROTO_ICMPV6, "icmp6"),
    (libc::IPPROTO_SCTP, "sctp"),
    (libc::IPPROTO_MPTCP, "mptcp"),
];

/// The number itself where nothing is called by it.
fn name_of(number: i32, names: &[(i32, &str)]) -> String {
    names.iter().find(|(known, _)| *known == number).map_or_else(|| number.to_string(), |(_, name)| (*name).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(call: Call, socket: Option<(i32, i32, i32)>, by: Option<&'static str>, bound: Bound) -> Line {
        Line { pid: 7, program: "curl".into(), call, socket, by, bound }
    }

    #[test]
    fn a_line_says_who_asks_for_what_and_where_it_goes() {
        let tcp = Some((2, 1 | libc::SOCK_CLOEXEC, 6));
        let to = "[2001:db8::1]:443".parse().ok();
        for (line, text, bound) in [
            (
                line(Call::Socket, tcp, Some("preload"), Bound::For("blue".into())),
                "socket inet stream tcp: blue by preload",
                Value::Null,
            ),
            (
                line(Call::Socket, Some((10, 3, 0)), None, Bound::Failed(Errno::EPERM)),
                "socket inet6 raw: EPERM",
                Value::Null,
            ),
            (
                line(Call::Socket, Some((33, 2, 99)), None, Bound::Elsewhere),
                "socket rxrpc dgram 99: in another network namespace",
                Value::Null,
            ),
            (
                line(Call::Connect(to), tcp, None, Bound::Nowhere),
                "connect [2001:db8::1]:443 inet stream tcp: no device",
                json!(false),
            ),
            (line(Call::Connect(None), None, None, Bound::Unknown), "connect ?: device not known", Value::Null),
        ] {
            assert_eq!(line.to_string(), format!("curl[7] {text}"));
            assert_eq!(line.json()["bound"], bound, "{text}");
        }
    }

    #[test]
    fn an_object_has_the_same_in_it() {
        let to = "192.0.2.1:53".parse().ok();
        let line = line(Call::Connect(to), Some((2, 2, 17)), None, Bound::To("blue".into()));
        let expected = json!({
            "pid": 7, "program": "curl", "call": "connect", "family": "inet", "type": "dgram", "protocol": 17,
            "mechanism": null, "address": "192.0.2.1", "port": 53, "bound": true, "device": "blue",
        });
        assert_eq!(line.json(), expected);
    }
}
