//! The seccomp filter as a program: which `socket` calls pass, and what meets the others. Behind a supervisor it also
//! shows it the calls that lead into another network or user namespace, those that bind a socket to a device, and under
//! `--trace` those that are only written down.
//!
//! It is a seat-belt for programs that do not know they are bound, not a security boundary: whoever reads the cookie
//! in its own environment can pass.

pub mod asked;

use libc::sock_filter;
use vrfabi::socket::ROUTED;
use vrfbpf::Labels;

use crate::bind::seccomp::create::UNBINDABLE;
use crate::sys::architecture::{Architecture, HOST, IO_URING_SETUP, Table};

/// What meets an inet socket that the shim did not make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unbound {
    /// It fails with ENETUNREACH: the gate.
    Denied,
    /// It goes to the supervisor (SECCOMP_RET_USER_NOTIF, 5.0).
    Supervised,
}

/// What the filter is made for.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// What meets an inet socket without the cookie.
    pub unbound: Unbound,
    /// The number that the shim passes in the sixth argument of `socket`; None where there is no shim.
    pub cookie: Option<u64>,
    /// io_uring makes sockets that no filter sees: without another guard over it, it must not be had.
    pub io_uring: bool,
    /// The supervisor is also shown the shim's sockets, those that it will refuse, and each connect(2).
    pub is_traced: bool,
}

impl Policy {
    fn is_supervised(&self) -> bool {
        self.unbound == Unbound::Supervised
    }

    fn is_traced(&self) -> bool {
        self.is_supervised() && self.is_traced
    }

    /// No shim is before the supervisor.
    fn is_alone(&self) -> bool {
        self.is_supervised() && self.cookie.is_none()
    }
}

// Offsets in struct seccomp_data (little endian: the low half of an argument comes first).
const NR: u32 = 0;
const ARCH: u32 = 4;
const ARG0: u32 = 16;
const ARG1: u32 = ARG0 + 8;
const ARG2: u32 = ARG0 + 16;
const ARG5_LOW: u32 = 16 + 5 * 8;
const ARG5_HIGH: u32 = ARG5_LOW + 4;

// socketcall's first argument
const SYS_SOCKET: u32 = 1;
const SYS_CONNECT: u32 = 3;
/// Namespaces without which a process is where it was, and who.
const NAMESPACES: u32 = (libc::CLONE_NEWNET | libc::CLONE_NEWUSER) as u32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    /// The calls of the table that the kernel names so.
    Calls(u32),
    /// socket(2) of this table.
    Socket(u32),
    Family,
    Socketcall,
    Level,
    Unshare,
    Setns,
    Unbound,
    Notify,
    Deny,
    Allow,
    NoSuchCall,
    Kill,
}

#[derive(Clone, Copy)]
enum Step {
    At(Label),
    Load(u32),
    /// Goes there if the word is this; else on.
    IfEqual(u32, Label),
    /// Goes there if the word is another; else on.
    IfNot(u32, Label),
    /// Goes there if the word has one of these bits.
    IfAny(u32, Label),
    /// Goes there if the word is at least this.
    IfAtLeast(u32, Label),
    /// Goes there if the word is less.
    IfBelow(u32, Label),
    Goto(Label),
    Return(u32),
}

/// Assembles the filter for the machine that this was built for.
pub fn assemble(policy: &Policy) -> Vec<sock_filter> {
    assemble_for(HOST, policy)
}

fn assemble_for(machine: &Architecture, policy: &Policy) -> Vec<sock_filter> {
    let mut steps = which_table(machine);
    for table in machine.tables {
        steps.extend(calls(table, policy));
        steps.push(Step::Goto(Label::Family));
    }
    // It is the next instruction.
    steps.pop();
    let has_socketcall = machine.tables.iter().any(|table| table.socketcall.is_some());
    steps.extend(shared(policy, has_socketcall));
    resolve(&steps)
}

/// A call of a table that is not this machine's ends the program.
fn which_table(machine: &Architecture) -> Vec<Step> {
    let tables = machine.tables.iter().map(|table| Step::IfEqual(table.audit, Label::Calls(table.audit)));
    [Step::Load(ARCH)].into_iter().chain(tables).chain([Step::Goto(Label::Kill)]).collect()
}

/// Ends where the family of a socket is to be looked at.
fn calls(table: &Table, policy: &Policy) -> Vec<Step> {
    use Label::{Allow, Calls, NoSuchCall, Socket};
    use Step::{At, Goto, IfAtLeast, IfEqual, Load};
    let mut special = special(table, policy);
    special.sort_unstable_by_key(|(number, _)| *number);
    // The call that is looked at most closely comes first. The verdict on most others depends on their number alone, so
    // that the kernel remembers it and does not ask again (5.11); it asks about each when the filter is installed.
    let mut steps = vec![At(Calls(table.audit)), Load(NR), IfEqual(table.socket, Socket(table.audit))];
    let (low, others) = low_calls(&special);
    steps.extend(low);
    steps.extend(table.foreign_from.map(|first| IfAtLeast(first, NoSuchCall)));
    steps.extend(others.iter().map(|(number, label)| IfEqual(*number, *label)));
    steps.extend([Goto(Allow), At(Socket(table.audit))]);
    steps.extend(policy.cookie.map(|cookie| with_cookie(table, cookie, policy)).into_iter().flatten());
    steps
}

/// Most calls are below all that are special; or below all but the first, where the second is far behind it. With those that
/// remain to be looked at.
fn low_calls(special: &[(u32, Label)]) -> (Vec<Step>, &[(u32, Label)]) {
    match special {
        [(first, label), others @ ..] if others.first().is_some_and(|(second, _)| second - first > *first) => {
            (vec![Step::IfEqual(*first, *label), Step::IfBelow(others[0].0, Label::Allow)], others)
        }
        [(first, _), ..] => (vec![Step::IfBelow(*first, Label::Allow)], special),
        [] => (Vec::new(), special),
    }
}

/// The calls beside socket(2) that are not simply allowed.
fn special(table: &Table, policy: &Policy) -> Vec<(u32, Label)> {
    let io_uring = (!policy.io_uring).then_some((IO_URING_SETUP, Label::NoSuchCall));
    let socketcall = table.socketcall.map(|number| (number, Label::Socketcall));
    socketcall.into_iter().chain(io_uring).chain(watched(table, policy)).collect()
}

/// A 32-bit shim can pass the low half only.
fn with_cookie(table: &Table, cookie: u64, policy: &Policy) -> Vec<Step> {
    use Step::{IfEqual, IfNot, Load};
    let passes = if policy.is_traced() { Label::Notify } else { Label::Allow };
    let (low, high) = (cookie as u32, (cookie >> 32) as u32);
    if table.bits == 64 {
        vec![Load(ARG5_LOW), IfNot(low, Label::Family), Load(ARG5_HIGH), IfEqual(high, passes)]
    } else {
        vec![Load(ARG5_LOW), IfEqual(low, passes)]
    }
}

/// Calls that a supervisor looks at. The shim binds its own sockets and answers for them: behind it setsockopt stays a
/// call that the kernel need not ask about.
fn watched(table: &Table, policy: &Policy) -> Vec<(u32, Label)> {
    let mut watched = Vec::new();
    if policy.is_supervised() {
        watched.extend([(table.unshare, Label::Unshare), (table.setns, Label::Setns)]);
    }
    watched.extend(policy.is_alone().then_some((table.setsockopt, Label::Level)));
    watched.extend(policy.is_traced().then_some((table.connect, Label::Notify)));
    watched
}

/// What does not differ between the tables: arguments and verdicts.
fn shared(policy: &Policy, has_socketcall: bool) -> Vec<Step> {
    use Label::{Allow, Deny, Family, Kill, Level, NoSuchCall, Notify, Setns, Socketcall, Unbound, Unshare};
    use Step::{At, Goto, IfAny, IfEqual, IfNot, Load, Return};
    let mut steps = vec![At(Family), Load(ARG0)];
    steps.extend(ROUTED.map(|family| IfEqual(family as u32, Unbound)));
    let unbindable = if policy.is_traced() { Notify } else { Deny };
    steps.extend(UNBINDABLE.map(|family| IfEqual(family as u32, unbindable)));
    steps.push(Goto(Allow));
    if has_socketcall {
        // It hides its arguments behind a pointer: the gate cannot tell inet from the rest.
        steps.extend([At(Socketcall), Load(ARG0), IfEqual(SYS_SOCKET, Unbound)]);
        steps.extend(policy.is_traced().then_some(IfEqual(SYS_CONNECT, Notify)));
        steps.push(Goto(Allow));
    }
    if policy.is_alone() {
        steps.extend([At(Level), Load(ARG1), IfNot(libc::SOL_SOCKET as u32, Allow), Load(ARG2)]);
        steps.extend([libc::SO_BINDTODEVICE, libc::SO_BINDTOIFINDEX].map(|option| IfEqual(option as u32, Notify)));
        steps.push(Goto(Allow));
    }
    if policy.is_supervised() {
        steps.extend([At(Unshare), Load(ARG0), IfAny(NAMESPACES, Notify), Goto(Allow)]);
        // setns takes any kind of namespace where none is named.
        steps.extend([At(Setns), Load(ARG1), IfEqual(0, Notify), IfAny(NAMESPACES, Notify), Goto(Allow)]);
    }
    steps.push(At(Unbound));
    if !policy.is_supervised() {
        steps.push(Goto(Deny));
    }
    steps.extend([At(Notify), Return(libc::SECCOMP_RET_USER_NOTIF), At(Deny), Return(errno(libc::ENETUNREACH))]);
    steps.extend([At(Allow), Return(libc::SECCOMP_RET_ALLOW), At(NoSuchCall), Return(errno(libc::ENOSYS))]);
    steps.extend([At(Kill), Return(libc::SECCOMP_RET_KILL_PROCESS)]);
    steps
}

const fn errno(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno as u32
}

/// Turns labels into the forward distances that classic BPF wants.
fn resolve(steps: &[Step]) -> Vec<sock_filter> {
    let (mut code, mut labels) = (Vec::new(), Labels::default());
    for step in steps {
        match *step {
            Step::At(label) => labels.mark(label, code.len()),
            Step::IfEqual(_, to)
            | Step::IfNot(_, to)
            | Step::IfAny(_, to)
            | Step::IfAtLeast(_, to)
            | Step::IfBelow(_, to)
            | Step::Goto(to) => {
                labels.jump(code.len(), to);
                code.push(*step);
            }
            Step::Load(_) | Step::Return(_) => code.push(*step),
        }
    }
    let distances = labels.distances().unwrap_or_else(|bad| panic!("{bad}"));
    let mut filter: Vec<sock_filter> = code.iter().map(|step| encode(step, 0)).collect();
    distances.into_iter().for_each(|(at, distance)| filter[at] = encode(&code[at], distance));
    filter
}

fn encode(step: &Step, distance: usize) -> sock_filter {
    match *step {
        Step::Load(offset) => instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset),
        Step::IfEqual(value, _) => jump(libc::BPF_JEQ, distance, 0, value),
        Step::IfNot(value, _) => jump(libc::BPF_JEQ, 0, distance, value),
        Step::IfAny(bits, _) => jump(libc::BPF_JSET, distance, 0, bits),
        Step::IfAtLeast(value, _) => jump(libc::BPF_JGE, distance, 0, value),
        Step::IfBelow(value, _) => jump(libc::BPF_JGE, 0, distance, value),
        Step::Goto(_) => instruction(libc::BPF_JMP | libc::BPF_JA, 0, 0, distance as u32),
        Step::Return(value) => instruction(libc::BPF_RET | libc::BPF_K, 0, 0, value),
        Step::At(_) => unreachable!("labels are no code"),
    }
}

fn jump(test: u32, yes: usize, no: usize, value: u32) -> sock_filter {
    let distance = |steps| u8::try_from(steps).expect("a jump goes further than classic BPF can");
    instruction(libc::BPF_JMP | libc::BPF_K | test, distance(yes), distance(no), value)
}

const fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

/// A filter that refuses whatever it is asked about: io_uring's verdicts are 0 and 1.
pub fn refuse_all() -> [sock_filter; 1] {
    [instruction(libc::BPF_RET | libc::BPF_K, 0, 0, 0)]
}

#[cfg(test)]
mod tests;
