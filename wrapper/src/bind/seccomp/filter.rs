//! The seccomp filter as a program: which `socket` calls pass, and what meets the others. Behind a supervisor it also
//! shows it the calls that lead into another network or user namespace, and those that bind a socket to a device.
//!
//! It is a seat-belt for programs that do not know they are bound, not a security boundary: whoever reads the cookie
//! in its own environment can pass.

use libc::{seccomp_data, sock_filter};

use crate::bind::seccomp::create::{ROUTED, UNBINDABLE, Wanted};

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
}

impl Policy {
    fn is_supervised(&self) -> bool {
        self.unbound == Unbound::Supervised
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

const IO_URING_SETUP: u32 = 425; // the same on every architecture
#[cfg(target_arch = "x86_64")]
mod arch {
    //! x86-64 with its two compatible system call tables.
    pub const NATIVE: u32 = 0xc000_003e;
    pub const SOCKET: u32 = 41;
    pub const SETSOCKOPT: u32 = 54;
    pub const UNSHARE: u32 = 272;
    pub const SETNS: u32 = 308;
    /// System calls from here on are of the x32 table.
    pub const X32: u32 = 0x4000_0000;
    pub const COMPAT: u32 = 0x4000_0003; // AUDIT_ARCH_I386
    pub const COMPAT_SOCKET: u32 = 359;
    pub const COMPAT_SETSOCKOPT: u32 = 366;
    pub const COMPAT_UNSHARE: u32 = 310;
    pub const COMPAT_SETNS: u32 = 346;
    pub const COMPAT_SOCKETCALL: u32 = 102;
}

#[cfg(target_arch = "aarch64")]
mod arch {
    //! aarch64 and 32-bit ARM.
    pub const NATIVE: u32 = 0xc000_00b7;
    pub const SOCKET: u32 = 198;
    pub const SETSOCKOPT: u32 = 208;
    pub const UNSHARE: u32 = 97;
    pub const SETNS: u32 = 268;
    /// There is no third table: no number is as large as this.
    pub const X32: u32 = u32::MAX;
    pub const COMPAT: u32 = 0x4000_0028; // AUDIT_ARCH_ARM
    pub const COMPAT_SOCKET: u32 = 281;
    pub const COMPAT_SETSOCKOPT: u32 = 294;
    pub const COMPAT_UNSHARE: u32 = 337;
    pub const COMPAT_SETNS: u32 = 375;
    /// EABI has no socketcall.
    pub const COMPAT_SOCKETCALL: u32 = u32::MAX;
}

const SYS_SOCKET: u32 = 1; // socketcall's first argument for socket()
/// Namespaces without which a process is where it was, and who.
const NAMESPACES: u32 = (libc::CLONE_NEWNET | libc::CLONE_NEWUSER) as u32;

/// What a call that the filter handed to the supervisor asks for.
pub enum Asked {
    /// A socket.
    Socket(Wanted),
    /// A socket whose three numbers stand there in the caller's memory.
    Socketcall {
        /// Of three words of 32 bits.
        address: u64,
    },
    /// That a socket be bound to a device.
    Binding,
    /// Another network or user namespace.
    Namespace,
}

/// Reads a call that the filter handed over.
pub fn asked(call: &seccomp_data) -> Asked {
    let is_native = call.arch == arch::NATIVE;
    let (socket, setsockopt) =
        if is_native { (arch::SOCKET, arch::SETSOCKOPT) } else { (arch::COMPAT_SOCKET, arch::COMPAT_SETSOCKOPT) };
    let [domain, kind, protocol] = [call.args[0] as i32, call.args[1] as i32, call.args[2] as i32];
    match call.nr as u32 {
        number if number == socket => Asked::Socket(Wanted { domain, kind, protocol }),
        number if number == setsockopt => Asked::Binding,
        arch::COMPAT_SOCKETCALL if !is_native => Asked::Socketcall { address: u64::from(call.args[1] as u32) },
        _ => Asked::Namespace,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    Native,
    Socket,
    Family,
    Compat,
    CompatSocket,
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
    Goto(Label),
    Return(u32),
}

/// Assembles the filter.
pub fn assemble(policy: &Policy) -> Vec<sock_filter> {
    resolve(&[native(policy), compat(policy), shared(policy)].concat())
}

fn native(policy: &Policy) -> Vec<Step> {
    use Label::{Allow, Compat, Family, Kill, Native, NoSuchCall, Socket};
    use Step::{At, Goto, IfAtLeast, IfEqual, IfNot, Load};
    let mut steps = vec![
        Load(ARCH),
        IfEqual(arch::NATIVE, Native),
        IfEqual(arch::COMPAT, Compat),
        Goto(Kill),
        At(Native),
        Load(NR),
        // The call that is looked at most closely comes first. The verdict on most others hangs on their number alone, so
        // that the kernel remembers it and does not ask again (5.11).
        IfEqual(arch::SOCKET, Socket),
        IfAtLeast(arch::X32, NoSuchCall),
    ];
    steps.extend(without_io_uring(policy));
    steps.extend(watched(policy, [arch::UNSHARE, arch::SETNS, arch::SETSOCKOPT]));
    steps.extend([Goto(Allow), At(Socket)]);
    if let Some(cookie) = policy.cookie {
        steps.extend([Load(ARG5_LOW), IfNot(cookie as u32, Family), Load(ARG5_HIGH)]);
        steps.push(IfEqual((cookie >> 32) as u32, Allow));
    }
    steps.push(Goto(Family));
    steps
}

fn compat(policy: &Policy) -> Vec<Step> {
    use Label::{Allow, Compat, CompatSocket, Family, Socketcall, Unbound};
    use Step::{At, Goto, IfEqual, Load};
    let mut steps = vec![
        At(Compat),
        Load(NR),
        IfEqual(arch::COMPAT_SOCKET, CompatSocket),
        IfEqual(arch::COMPAT_SOCKETCALL, Socketcall),
    ];
    steps.extend(without_io_uring(policy));
    steps.extend(watched(policy, [arch::COMPAT_UNSHARE, arch::COMPAT_SETNS, arch::COMPAT_SETSOCKOPT]));
    steps.extend([Goto(Allow), At(CompatSocket)]);
    if let Some(cookie) = policy.cookie {
        // A 32-bit shim can pass the low half only.
        steps.extend([Load(ARG5_LOW), IfEqual(cookie as u32, Allow)]);
    }
    // socketcall hides its arguments behind a pointer: the gate cannot tell inet from the rest.
    steps.extend([Goto(Family), At(Socketcall), Load(ARG0), IfEqual(SYS_SOCKET, Unbound), Goto(Allow)]);
    steps
}

/// Calls that a supervisor looks at. The shim binds its own sockets and answers for them: behind it setsockopt stays a
/// call that the kernel need not ask about.
fn watched(policy: &Policy, [unshare, setns, setsockopt]: [u32; 3]) -> Vec<Step> {
    let mut steps = Vec::new();
    if policy.is_supervised() {
        steps.extend([Step::IfEqual(unshare, Label::Unshare), Step::IfEqual(setns, Label::Setns)]);
    }
    steps.extend(policy.is_alone().then_some(Step::IfEqual(setsockopt, Label::Level)));
    steps
}

/// What does not differ between the two tables: arguments and verdicts.
fn shared(policy: &Policy) -> Vec<Step> {
    use Label::{Allow, Deny, Family, Kill, Level, NoSuchCall, Notify, Setns, Unbound, Unshare};
    use Step::{At, Goto, IfAny, IfEqual, IfNot, Load, Return};
    let mut steps = vec![At(Family), Load(ARG0)];
    steps.extend(ROUTED.map(|family| IfEqual(family as u32, Unbound)));
    steps.extend(UNBINDABLE.map(|family| IfEqual(family as u32, Deny)));
    steps.push(Goto(Allow));
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

fn without_io_uring(policy: &Policy) -> Option<Step> {
    (!policy.io_uring).then_some(Step::IfEqual(IO_URING_SETUP, Label::NoSuchCall))
}

const fn errno(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno as u32
}

/// Turns labels into the forward distances that classic BPF wants.
fn resolve(steps: &[Step]) -> Vec<sock_filter> {
    let is_code = |step: &&Step| !matches!(step, Step::At(_));
    let address = |wanted: Label| {
        let at = steps.iter().position(|step| matches!(step, Step::At(label) if *label == wanted));
        let at = at.expect("a step goes to a label that stands nowhere");
        steps[..at].iter().filter(is_code).count()
    };
    let code = steps.iter().filter(is_code).enumerate();
    code.map(|(here, step)| {
        let distance = |label: &Label| address(*label) - here - 1;
        match step {
            Step::Load(offset) => instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, *offset),
            Step::IfEqual(value, to) => jump(libc::BPF_JEQ, distance(to), 0, *value),
            Step::IfNot(value, to) => jump(libc::BPF_JEQ, 0, distance(to), *value),
            Step::IfAny(bits, to) => jump(libc::BPF_JSET, distance(to), 0, *bits),
            Step::IfAtLeast(value, to) => jump(libc::BPF_JGE, distance(to), 0, *value),
            Step::Goto(to) => instruction(libc::BPF_JMP | libc::BPF_JA, 0, 0, distance(to) as u32),
            Step::Return(value) => instruction(libc::BPF_RET | libc::BPF_K, 0, 0, *value),
            Step::At(_) => unreachable!("labels are no code"),
        }
    })
    .collect()
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

#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
