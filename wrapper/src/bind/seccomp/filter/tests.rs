use libc::seccomp_data;

use super::asked::{Asked, asked_on};
use super::*;
use crate::sys::architecture::{AARCH64, ALL, I386, RISCV64, X86_64};

mod exhaustive;

const COOKIE: u64 = 0x1122_3344_5566_7788;
const GATE: Policy = Policy { unbound: Unbound::Denied, cookie: Some(COOKIE), io_uring: false, is_traced: false };

// What the kernel calls the tables, and their calls, as its own tables have them: written here again, not read from
// the values that are tested.
const AMD64: u32 = 0xc000_003e;
const I686: u32 = 0x4000_0003;
const ARM64: u32 = 0xc000_00b7;
const ARMHF: u32 = 0x4000_0028;
const RV64: u32 = 0xc000_00f3;

/// What the kernel's interpreter would answer to this call.
fn verdict(machine: &Architecture, policy: &Policy, arch: u32, nr: u32, args: [u64; 6]) -> u32 {
    run(&assemble_for(machine, policy), arch, nr, args, |_| ()).expect("a filter that ends")
}

/// What the filter looks at to judge this call.
fn loads(machine: &Architecture, policy: &Policy, arch: u32, nr: u32) -> Vec<u32> {
    let mut loads = Vec::new();
    run(&assemble_for(machine, policy), arch, nr, [0; 6], |at| loads.push(at)).expect("a filter that ends");
    loads
}

/// What the kernel's interpreter makes of these instructions; None for a program that it would not take.
fn run(filter: &[sock_filter], arch: u32, nr: u32, args: [u64; 6], mut load: impl FnMut(u32)) -> Option<u32> {
    let words = |at: u32| match at {
        NR => Some(nr),
        ARCH => Some(arch),
        8 | 12 => Some(0), // the instruction pointer
        at if at % 4 != 0 => None,
        at => args.get((at as usize - 16) / 8).map(|word| (word >> (u64::from(at % 8) * 8)) as u32),
    };
    let (mut at, mut accumulator) = (0, 0);
    loop {
        let step = filter.get(at)?;
        at += 1;
        match u32::from(step.code) {
            code if code == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS => {
                load(step.k);
                accumulator = words(step.k)?;
            }
            code if code == libc::BPF_RET | libc::BPF_K => return Some(step.k),
            code if code == libc::BPF_JMP | libc::BPF_JA => at += step.k as usize,
            code => {
                let is_true = match code & 0xf0 {
                    libc::BPF_JEQ => accumulator == step.k,
                    libc::BPF_JSET => accumulator & step.k != 0,
                    _ => accumulator >= step.k,
                };
                at += usize::from(if is_true { step.jt } else { step.jf });
            }
        }
    }
}

/// socket(2) of each machine's own programs.
const SOCKETS: [(&Architecture, u32, u32); 4] =
    [(&X86_64, AMD64, 41), (&I386, I686, 359), (&AARCH64, ARM64, 198), (&RISCV64, RV64, 198)];
const SUPERVISED: Policy = Policy { unbound: Unbound::Supervised, ..GATE };
const ALONE: Policy = Policy { cookie: None, ..SUPERVISED };
const TRACED: Policy = Policy { is_traced: true, ..ALONE };
const NOTIFY: u32 = libc::SECCOMP_RET_USER_NOTIF;
const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;
const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const DENY: u32 = errno(libc::ENETUNREACH);
const ENOSYS: u32 = errno(libc::ENOSYS);

#[test]
fn inet_sockets_need_the_whole_cookie() {
    for (machine, arch, nr) in SOCKETS {
        let socket = |family, cookie| verdict(machine, &GATE, arch, nr, [family, 1, 0, 0, 0, cookie]);
        for family in [2, 10, 43, 2 | 1 << 32] {
            assert_eq!(socket(family, COOKIE), ALLOW);
            for wrong in [0, COOKIE & !0xffff_ffff, COOKIE + 1, !COOKIE] {
                assert_eq!(socket(family, wrong), DENY, "{} family {family} cookie {wrong:x}", machine.name);
            }
            // Into 32 bits goes the lower half only.
            let half = if arch == I686 { ALLOW } else { DENY };
            assert_eq!(socket(family, COOKIE & 0xffff_ffff), half, "{}", machine.name);
        }
    }
}

#[test]
fn other_families_pass_and_unbindable_ones_do_not() {
    for (machine, arch, nr) in SOCKETS {
        let socket = |family| verdict(machine, &GATE, arch, nr, [family, 1, 0, 0, 0, 0]);
        for family in [1, 16, 17, 38, 40, 44] {
            assert_eq!(socket(family), ALLOW, "{} family {family}", machine.name);
        }
        for family in [21, 33] {
            assert_eq!(socket(family), DENY, "{} family {family}", machine.name);
        }
    }
}

#[test]
fn i386_is_seen_through_both_calls() {
    for machine in [&X86_64, &I386] {
        let compat = |nr, args| verdict(machine, &GATE, I686, nr, args);
        assert_eq!(compat(359, [2, 1, 0, 0, 0, 0]), DENY);
        assert_eq!(compat(359, [2, 1, 0, 0, 0, COOKIE & 0xffff_ffff]), ALLOW);
        assert_eq!(compat(359, [1, 1, 0, 0, 0, 0]), ALLOW);
        assert_eq!(compat(102, [1, 0xffff_0000, 0, 0, 0, 0]), DENY);
        assert_eq!(compat(102, [3, 0xffff_0000, 0, 0, 0, 0]), ALLOW);
        assert_eq!(compat(41, [2, 1, 0, 0, 0, 0]), ALLOW); // dup, not socket
    }
}

#[test]
fn armhf_is_seen_on_aarch64() {
    let compat = |nr, args| verdict(&AARCH64, &GATE, ARMHF, nr, args);
    assert_eq!(compat(281, [2, 1, 0, 0, 0, 0]), DENY);
    assert_eq!(compat(281, [2, 1, 0, 0, 0, COOKIE & 0xffff_ffff]), ALLOW);
    assert_eq!(compat(281, [1, 1, 0, 0, 0, 0]), ALLOW);
    assert_eq!(compat(102, [1, 0xffff_0000, 0, 0, 0, 0]), ALLOW); // EABI has no socketcall
    assert_eq!(compat(198, [2, 1, 0, 0, 0, 0]), ALLOW); // lchown32, not socket
    for policy in [&SUPERVISED, &ALONE] {
        assert_eq!(verdict(&AARCH64, policy, ARMHF, 281, [10, 2, 0, 0, 0, 0]), NOTIFY);
    }
}

#[test]
fn x32_io_uring_and_strange_architectures_are_closed() {
    let x32 = |machine, nr: u32| verdict(machine, &GATE, AMD64, 0x4000_0000 | nr, [2, 1, 0, 0, 0, COOKIE]);
    assert_eq!([x32(&X86_64, 41), x32(&I386, 41)], [ENOSYS; 2]);
    let guarded = Policy { io_uring: true, ..GATE };
    for machine in ALL {
        for table in machine.tables {
            let setup = |policy| verdict(machine, policy, table.audit, 425, [8, 0, 0, 0, 0, 0]);
            assert_eq!([setup(&GATE), setup(&guarded)], [ENOSYS, ALLOW], "{} {:x}", machine.name, table.audit);
        }
        // s390x, and RISC-V's own 32-bit kernel
        for strange in [0x8000_0016, 0x4000_00f3] {
            assert_eq!(verdict(machine, &GATE, strange, 198, [2, 1, 0, 0, 0, COOKIE]), KILL, "{}", machine.name);
        }
    }
    for (machine, strange) in
        [(&X86_64, ARM64), (&X86_64, RV64), (&AARCH64, AMD64), (&AARCH64, I686), (&RISCV64, ARM64)]
    {
        assert_eq!(verdict(machine, &GATE, strange, 41, [2, 1, 0, 0, 0, COOKIE]), KILL, "{}", machine.name);
    }
}

#[test]
fn everything_else_passes() {
    for (machine, arch, socket) in SOCKETS {
        let socketcall = (arch == I686).then_some(102);
        for nr in (0..470).filter(|nr| ![socket, 425].contains(nr) && Some(*nr) != socketcall) {
            assert_eq!(verdict(machine, &GATE, arch, nr, [2, 10, 1, 0, 0, 0]), ALLOW, "{} call {nr}", machine.name);
        }
    }
}

/// What the kernel itself finds out about a filter (seccomp_is_const_allow, 5.11): that a call is always allowed, if
/// nothing but its number and the architecture was looked at on the way.
#[test]
fn the_kernel_need_not_ask_again_for_most_calls() {
    let asked: [(&Architecture, u32, &[u32]); 5] = [
        (&X86_64, AMD64, &[41, 272, 308]),
        (&X86_64, I686, &[102, 310, 346, 359]),
        (&AARCH64, ARM64, &[97, 198, 268]),
        (&AARCH64, ARMHF, &[281, 337, 375]),
        (&RISCV64, RV64, &[97, 198, 268]),
    ];
    for (machine, arch, asked) in asked {
        let looks = |nr: &u32| loads(machine, &SUPERVISED, arch, *nr).iter().any(|&at| at >= ARG0);
        assert_eq!((0..470).filter(looks).collect::<Vec<u32>>(), asked, "{} {arch:x}", machine.name);
    }
}

#[test]
fn the_supervisor_gets_what_the_gate_denies() {
    for (machine, arch, nr) in SOCKETS {
        let socket = |family, cookie| verdict(machine, &ALONE, arch, nr, [family, 1, 0, 0, 0, cookie]);
        assert_eq!([socket(2, 0), socket(2, COOKIE), socket(33, 0)], [NOTIFY, NOTIFY, DENY], "{}", machine.name);
    }
    assert_eq!(verdict(&X86_64, &ALONE, I686, 102, [1, 0, 0, 0, 0, 0]), NOTIFY);
}

/// Under `--trace` the supervisor is shown the shim's sockets, those of the families that it refuses, and connections.
#[test]
fn a_trace_is_shown_what_passes_and_what_is_refused() {
    let traced = Policy { is_traced: true, ..SUPERVISED };
    for ((machine, arch, socket), connect) in SOCKETS.into_iter().zip([42, 362, 203, 203]) {
        let verdict = |policy, nr, args| verdict(machine, policy, arch, nr, args);
        for args in [[2, 1, 0, 0, 0, COOKIE], [10, 1, 0, 0, 0, 0], [21, 1, 0, 0, 0, 0], [33, 1, 0, 0, 0, 0]] {
            assert_eq!(verdict(&traced, socket, args), NOTIFY, "{} {args:x?}", machine.name);
        }
        assert_eq!(verdict(&traced, socket, [1, 1, 0, 0, 0, 0]), ALLOW, "{}", machine.name);
        assert_eq!([&traced, &SUPERVISED].map(|policy| verdict(policy, connect, [0; 6])), [NOTIFY, ALLOW]);
    }
    assert_eq!(
        [&traced, &SUPERVISED].map(|policy| verdict(&X86_64, policy, I686, 102, [3, 0, 0, 0, 0, 0])),
        [NOTIFY, ALLOW]
    );
}

/// Whatever a filter hands over is read as the call that it is, and nothing else is read as one.
#[test]
fn the_supervisor_reads_what_the_filter_hands_over() {
    for machine in ALL {
        for (table, nr) in machine.tables.iter().flat_map(|table| (0..600).map(move |nr| (table, nr))) {
            let args = [[2, 1, 0, 0, 0, 0], [1, 1, 25, 0, 0, 0], [3, 0, 0, 0, 0, 0], [0x4000_0000, 0, 0, 0, 0, 0]];
            let is_handed_over = |args: &[u64; 6]| verdict(machine, &TRACED, table.audit, nr, *args) == NOTIFY;
            let is_read = |args: &[u64; 6]| {
                let call = seccomp_data { nr: nr as i32, arch: table.audit, instruction_pointer: 0, args: *args };
                asked_on(machine, &call) != Asked::Unknown
            };
            assert!(args.iter().all(|args| !is_handed_over(args) || is_read(args)), "{} {nr}", machine.name);
            assert_eq!(args.iter().any(is_read), args.iter().any(is_handed_over), "{} {nr}", machine.name);
        }
    }
}
