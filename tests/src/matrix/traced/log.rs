//! Reads what strace(1) writes with `-f -X raw -e trace=socket,connect,clone,clone3,fork,vfork,execve`. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// One call of socket(2) or connect(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The process, whichever of its threads called.
    pub pid: u32,
    /// What was asked for.
    pub what: What,
    /// What became of it.
    pub end: End,
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It succeeded.
    Well,
    /// It failed, by this error.
    Failed(String),
    /// A signal interrupted it, before or after the supervisor had seen it.
    Interrupted,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// Family, type without flags, protocol.
    Socket(u32, u32, u32),
    /// An address of IPv4 or IPv6 and its port.
    Connect(String),
    /// A connection to something else.
    Other,
}

/// All that was seen.
#[derive(Debug, Default)]
pub struct Log {
    /// Every process that was watched.
    pub processes: BTreeSet<u32>,
    /// Their calls.
    pub calls: Vec<Call>,
}

/// CLONE_THREAD: what is made is no process of its own.
const THREAD: u32 = 0x10000;
/// SOCK_CLOEXEC and SOCK_NONBLOCK stand above it.
const TYPE: u32 = 0xf;

/// Reads the whole file.
pub fn read(text: &str) -> Log {
    let lines = whole(text);
    let parents: BTreeMap<u32, u32> = lines.iter().filter_map(|(id, line)| Some((thread(line)?, *id))).collect();
    let process = |id: u32| {
        let mut id = id;
        while let Some(parent) = parents.get(&id) {
            id = *parent;
        }
        id
    };
    let processes = lines.iter().map(|(id, _)| process(*id)).collect();
    let calls = lines.iter().filter_map(|(id, line)| {
        let what = asked(line)?;
        Some(Call { pid: process(*id), what, end: end(line) })
    });
    Log { processes, calls: calls.collect() }
}

/// Each call as one line, also one that strace shows in two halves.
fn whole(text: &str) -> Vec<(u32, String)> {
    let mut begun: BTreeMap<u32, String> = BTreeMap::new();
    let mut lines = Vec::new();
    for line in text.lines() {
        let Some((id, rest)) = line.split_once(' ') else { continue };
        let (Ok(id), rest) = (id.parse(), rest.trim_start()) else { continue };
        if let Some(beginning) = rest.strip_suffix("<unfinished ...>") {
            begun.insert(id, beginning.to_owned());
        } else if let Some((_, end)) = rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            lines.push((id, begun.remove(&id).unwrap_or_default() + end));
        } else {
            lines.push((id, rest.to_owned()));
        }
    }
    // A process that is killed leaves half a call.
    lines.extend(begun);
    lines
}

fn end(line: &str) -> End {
    let result = line.rsplit_once(" = ").map_or("?", |(_, result)| result);
    let mut words = result.split(' ');
    match (words.next(), words.next()) {
        // Also where strace did not see the end.
        (Some("?"), _) | (_, Some("EINTR")) => End::Interrupted,
        (Some("-1"), Some(error)) => End::Failed(error.to_owned()),
        _ => End::Well,
    }
}

/// The thread that this call has made in its own process.
fn thread(line: &str) -> Option<u32> {
    let is_clone = line.starts_with("clone(") || line.starts_with("clone3(");
    let flags = number(line.split_once("flags=").filter(|_| is_clone)?.1)?;
    let (_, result) = line.rsplit_once(" = ")?;
    result.trim().parse().ok().filter(|_| flags & THREAD != 0)
}

fn asked(line: &str) -> Option<What> {
    if let Some(words) = line.strip_prefix("socket(") {
        let mut numbers = words.split(", ").map(number);
        let (family, kind, protocol) = (numbers.next()??, numbers.next()??, numbers.next()??);
        return Some(What::Socket(family, kind & TYPE, protocol));
    }
    let words = line.strip_prefix("connect(")?;
    let address = [("sin_port", "sin_addr"), ("sin6_port", "sin6_addr")].iter().find_map(|(port, address)| {
        let port = u16::from_be_bytes(bytes(words, port)?);
        let address =
            bytes::<4>(words, address).map(IpAddr::from).or_else(|| bytes::<16>(words, address).map(IpAddr::from))?;
        Some(format!("{address} {port}"))
    });
    Some(address.map_or(What::Other, What::Connect))
}

/// A field that stands there as `name="\x20\x01"`.
fn bytes<const LENGTH: usize>(words: &str, name: &str) -> Option<[u8; LENGTH]> {
    let digits = between(words, &format!("{name}=\""), "\"")?.replace("\\x", "");
    let byte = |at: usize| u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok();
    let bytes: Vec<u8> = (0..digits.len() / 2).map_while(byte).collect();
    bytes.try_into().ok()
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(part, _)| part)
}

/// The number that a text begins with.
fn number(text: &str) -> Option<u32> {
    let (digits, radix) = text.strip_prefix("0x").map_or((text, 10), |digits| (digits, 16));
    let end = digits.find(|digit: char| !digit.is_digit(radix)).unwrap_or(digits.len());
    u32::from_str_radix(&digits[..end], radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = r#"
7  execve("/bin/x", ["x"], 0x7ffe /* 5 vars */) = 0
7  clone3({flags=0x3d0f00, child_tid=0x7f, exit_signal=0} => {parent_tid=[9]}, 88 <unfinished ...>
9  socket(0x2, 0x2|0x80800, 0x11 <unfinished ...>
7  <... clone3 resumed>)           = 9
9  <... socket resumed>)           = 3
7  clone(child_stack=NULL, flags=0x1200011, child_tidptr=0x7f) = 8
8  connect(3, {sa_family=0x2, sin_port="\x00\x35", sin_addr="\xc0\x00\x02\x35"}, 16) = -1 EINPROGRESS (Operation now in progress)
8  connect(3, {sa_family=0xa, sin6_port="\x00\x50", sin6_flowinfo="\x00\x00\x00\x00", sin6_addr="\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80", sin6_scope_id=0}, 28) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)
8  connect(3, {sa_family=0x1, sun_path="/run/x"}, 110) = 0
8  socket(0x2b, 0x1, 0 <unfinished ...>
"#;

    #[test]
    fn calls_are_those_of_processes_also_of_their_threads_and_in_halves() {
        let log = read(LOG);
        assert_eq!(log.processes, [7, 8].into());
        let connect = |to: &str| What::Connect(to.to_owned());
        let expected = [
            (7, What::Socket(2, 2, 17), End::Well),
            (8, connect("192.0.2.53 53"), End::Failed("EINPROGRESS".to_owned())),
            (8, connect("2001:db8::80 80"), End::Interrupted),
            (8, What::Other, End::Well),
            (8, What::Socket(43, 1, 0), End::Interrupted),
        ];
        assert_eq!(log.calls, expected.map(|(pid, what, end)| Call { pid, what, end }));
    }
}
