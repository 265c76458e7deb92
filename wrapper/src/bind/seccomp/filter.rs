//! The seccomp filter as a program: which `socket` calls pass, and what meets the others.
//!
//! It is a seat-belt for programs that do not know they are bound, not a security boundary: whoever reads the cookie
//! in its own environment can pass.

use libc::sock_filter;

use crate::sys::socket::AF_SMC;

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

// Offsets in struct seccomp_data (little endian: the low half of an argument comes first).
const NR: u32 = 0;
const ARCH: u32 = 4;
const ARG0: u32 = 16;
const ARG5_LOW: u32 = 16 + 5 * 8;
const ARG5_HIGH: u32 = ARG5_LOW + 4;

const IO_URING_SETUP: u32 = 425; // the same on every architecture
const AF_RDS: u32 = 21;
const AF_RXRPC: u32 = 33;
const INET: [u32; 3] = [libc::AF_INET as u32, libc::AF_INET6 as u32, AF_SMC as u32];
/// Families whose inner inet sockets nobody can bind.
const UNBINDABLE: [u32; 2] = [AF_RDS, AF_RXRPC];

#[cfg(target_arch = "x86_64")]
mod arch {
    //! x86-64 with its two compatible system call tables.
    pub const NATIVE: u32 = 0xc000_003e;
    pub const SOCKET: u32 = 41;
    /// System calls from here on are of the x32 table.
    pub const X32: u32 = 0x4000_0000;
    pub const COMPAT: u32 = 0x4000_0003; // AUDIT_ARCH_I386
    pub const COMPAT_SOCKET: u32 = 359;
    pub const COMPAT_SOCKETCALL: u32 = 102;
}

#[cfg(target_arch = "aarch64")]
mod arch {
    //! aarch64 and 32-bit ARM.
    pub const NATIVE: u32 = 0xc000_00b7;
    pub const SOCKET: u32 = 198;
    /// There is no third table: no number is as large as this.
    pub const X32: u32 = u32::MAX;
    pub const COMPAT: u32 = 0x4000_0028; // AUDIT_ARCH_ARM
    pub const COMPAT_SOCKET: u32 = 281;
    /// EABI has no socketcall.
    pub const COMPAT_SOCKETCALL: u32 = u32::MAX;
}

/// AUDIT_ARCH of the compatible 32-bit system calls.
pub const COMPAT_ARCH: u32 = arch::COMPAT;
/// The number of `socketcall` there.
pub const COMPAT_SOCKETCALL: u32 = arch::COMPAT_SOCKETCALL;
const SYS_SOCKET: u32 = 1; // socketcall's first argument for socket()

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    Native,
    Socket,
    Family,
    Compat,
    CompatSocket,
    Socketcall,
    Unbound,
    Deny,
    Allow,
    NoSuchCall,
    Kill,
}

enum Step {
    Label(Label),
    Load(u32),
    /// Goes there if the word is this; else on.
    IfEqual(u32, Label),
    /// Goes there if the word is another; else on.
    IfNot(u32, Label),
    /// Goes there if the word is at least this.
    IfAtLeast(u32, Label),
    Goto(Label),
    Return(u32),
}

/// Assembles the filter.
pub fn assemble(policy: &Policy) -> Vec<sock_filter> {
    use Label::*;
    use Step::{Goto, IfAtLeast, IfEqual, IfNot, Load, Return};
    let mut steps = vec![
        Load(ARCH),
        IfEqual(arch::NATIVE, Native),
        IfEqual(arch::COMPAT, Compat),
        Goto(Kill),
        Step::Label(Native),
        Load(NR),
        // The one call that is looked at closely comes first. The verdict on all others hangs on their number alone, so
        // that the kernel remembers it and does not ask again (5.11).
        IfEqual(arch::SOCKET, Socket),
        IfAtLeast(arch::X32, NoSuchCall),
    ];
    steps.extend(without_io_uring(policy));
    steps.extend([Goto(Allow), Step::Label(Socket)]);
    if let Some(cookie) = policy.cookie {
        steps.extend([Load(ARG5_LOW), IfNot(cookie as u32, Family), Load(ARG5_HIGH)]);
        steps.push(IfEqual((cookie >> 32) as u32, Allow));
    }
    steps.extend([Step::Label(Family), Load(ARG0)]);
    steps.extend(INET.map(|family| IfEqual(family, Unbound)));
    steps.extend(UNBINDABLE.map(|family| IfEqual(family, Deny)));
    steps.extend([
        Goto(Allow),
        Step::Label(Compat),
        Load(NR),
        IfEqual(arch::COMPAT_SOCKET, CompatSocket),
        IfEqual(arch::COMPAT_SOCKETCALL, Socketcall),
    ]);
    steps.extend(without_io_uring(policy));
    steps.extend([Goto(Allow), Step::Label(CompatSocket)]);
    if let Some(cookie) = policy.cookie {
        // A 32-bit shim can pass the low half only.
        steps.extend([Load(ARG5_LOW), IfEqual(cookie as u32, Allow)]);
    }
    steps.extend([Load(ARG0)]);
    steps.extend(INET.map(|family| IfEqual(family, Unbound)));
    steps.extend(UNBINDABLE.map(|family| IfEqual(family, Deny)));
    steps.extend([
        Goto(Allow),
        // socketcall hides its arguments behind a pointer: the gate cannot tell inet from the rest.
        Step::Label(Socketcall),
        Load(ARG0),
        IfEqual(SYS_SOCKET, Unbound),
        Goto(Allow),
        Step::Label(Unbound),
        Return(match policy.unbound {
            self::Unbound::Denied => errno(libc::ENETUNREACH),
            self::Unbound::Supervised => libc::SECCOMP_RET_USER_NOTIF,
        }),
        Step::Label(Deny),
        Return(errno(libc::ENETUNREACH)),
        Step::Label(Allow),
        Return(libc::SECCOMP_RET_ALLOW),
        Step::Label(NoSuchCall),
        Return(errno(libc::ENOSYS)),
        Step::Label(Kill),
        Return(libc::SECCOMP_RET_KILL_PROCESS),
    ]);
    resolve(&steps)
}

fn without_io_uring(policy: &Policy) -> Option<Step> {
    (!policy.io_uring).then_some(Step::IfEqual(IO_URING_SETUP, Label::NoSuchCall))
}

const fn errno(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno as u32
}

/// Turns labels into the forward distances that classic BPF wants.
fn resolve(steps: &[Step]) -> Vec<sock_filter> {
    let is_code = |step: &&Step| !matches!(step, Step::Label(_));
    let address = |wanted: Label| {
        let at = steps.iter().position(|step| matches!(step, Step::Label(label) if *label == wanted));
        at.map_or(0, |at| steps[..at].iter().filter(is_code).count())
    };
    let code = steps.iter().filter(is_code).enumerate();
    code.map(|(here, step)| {
        let distance = |label: &Label| address(*label) - here - 1;
        match step {
            Step::Load(offset) => instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, *offset),
            Step::IfEqual(value, to) => jump(libc::BPF_JEQ, distance(to), 0, *value),
            Step::IfNot(value, to) => jump(libc::BPF_JEQ, 0, distance(to), *value),
            Step::IfAtLeast(value, to) => jump(libc::BPF_JGE, distance(to), 0, *value),
            Step::Goto(to) => instruction(libc::BPF_JMP | libc::BPF_JA, 0, 0, distance(to) as u32),
            Step::Return(value) => instruction(libc::BPF_RET | libc::BPF_K, 0, 0, *value),
            Step::Label(_) => unreachable!("labels are no code"),
        }
    })
    .collect()
}

fn jump(test: u32, yes: usize, no: usize, value: u32) -> sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_K | test, yes as u8, no as u8, value)
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
