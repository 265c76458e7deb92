//! The whole filter against one statement of what must happen: every architecture, call and family, and every value that
//! matters, through the filter and what the supervisor makes of it. And the check itself: wrong filters must fail it.

use super::*;
use crate::bind::seccomp::create::{self, Plan, Wanted};

/// The calls of a table, stated here again.
struct Stated {
    arch: u32,
    socket: u32,
    connect: u32,
    setsockopt: u32,
    unshare: u32,
    setns: u32,
}

const STATED: [Stated; 5] = [
    Stated { arch: AMD64, socket: 41, connect: 42, setsockopt: 54, unshare: 272, setns: 308 },
    Stated { arch: I686, socket: 359, connect: 362, setsockopt: 366, unshare: 310, setns: 346 },
    Stated { arch: ARM64, socket: 198, connect: 203, setsockopt: 208, unshare: 97, setns: 268 },
    Stated { arch: ARMHF, socket: 281, connect: 283, setsockopt: 294, unshare: 337, setns: 375 },
    Stated { arch: RV64, socket: 198, connect: 203, setsockopt: 208, unshare: 97, setns: 268 },
];

/// The tables that each machine's programs can use.
fn stated(machine: &Architecture, arch: u32) -> Option<&'static Stated> {
    let known: &[u32] = match machine.name {
        "x86_64" | "x86" => &[AMD64, I686],
        "aarch64" => &[ARM64, ARMHF],
        "riscv64" => &[RV64],
        name => panic!("nothing is stated of {name}"),
    };
    STATED.iter().find(|stated| stated.arch == arch && known.contains(&arch))
}

/// What must happen to a call.
fn must(machine: &Architecture, policy: &Policy, arch: u32, nr: u32, args: [u64; 6]) -> u32 {
    let word = |at: usize| args[at] as u32;
    let is_supervised = policy.unbound == Unbound::Supervised;
    let unbound = if is_supervised { NOTIFY } else { DENY };
    let is_traced = is_supervised && policy.is_traced;
    let refused = if is_traced { NOTIFY } else { DENY };
    let is_alone = is_supervised && policy.cookie.is_none();
    let is_32 = [I686, ARMHF].contains(&arch);
    let is_shim = policy.cookie.is_some_and(|cookie| args[5] == cookie || is_32 && word(5) == cookie as u32);
    let Some(stated) = stated(machine, arch) else { return KILL };
    match nr {
        0x4000_0000.. if arch == AMD64 => ENOSYS,
        425 if !policy.io_uring => ENOSYS,
        _ if nr == stated.socket && !is_shim && [2, 10, 43].contains(&word(0)) => unbound,
        _ if nr == stated.socket && !is_shim && [21, 33].contains(&word(0)) => refused,
        _ if nr == stated.socket && is_shim && is_traced => NOTIFY,
        _ if nr == stated.connect && is_traced => NOTIFY,
        102 if arch == I686 && word(0) == 1 => unbound,
        102 if arch == I686 && word(0) == 3 && is_traced => NOTIFY,
        _ if nr == stated.setsockopt && is_alone && word(1) == 1 && [25, 62].contains(&word(2)) => NOTIFY,
        _ if nr == stated.unshare && word(0) & 0x5000_0000 != 0 && is_supervised => NOTIFY,
        _ if nr == stated.setns && (word(1) == 0 || word(1) & 0x5000_0000 != 0) && is_supervised => NOTIFY,
        _ => ALLOW,
    }
}

fn policies() -> impl Iterator<Item = Policy> {
    let both = [false, true];
    let cookies = [None, Some(COOKIE)];
    [Unbound::Denied, Unbound::Supervised].into_iter().flat_map(move |unbound| {
        cookies.into_iter().flat_map(move |cookie| {
            both.into_iter()
                .flat_map(move |io_uring| both.map(|is_traced| Policy { unbound, cookie, io_uring, is_traced }))
        })
    })
}

fn architectures() -> impl Iterator<Item = u32> {
    // ... and s390x, and those that differ from a known one in one bit.
    let known = || STATED.iter().map(|stated| stated.arch);
    known().chain([0x8000_0016]).chain((0..32).flat_map(move |bit| known().map(move |arch| arch ^ 1 << bit)))
}

/// Of an unknown table, only those that mean something in a known one.
fn calls(is_known: bool) -> impl Iterator<Item = u32> {
    let x32 = [41, 54, 425, 512, 541].map(|nr| 0x4000_0000 | nr);
    let some = [0, 41, 54, 97, 102, 198, 281, 359, 425];
    let all = (0..600).filter(move |nr| is_known || some.contains(nr));
    all.chain(x32).chain([0x3fff_ffff, 0x4000_0000, 0x8000_0029, u32::MAX])
}

/// What the first argument can be: every family, with other upper halves, and flags.
fn firsts() -> Vec<u64> {
    (0..48).chain([1 << 32 | 2, 0x4000_0000, 0x1_4000_0000, 0x1000_0000, 0x2000_0000, 0x8000_0000, u64::MAX]).collect()
}

/// Enough of them to notice a wrong filter, and quickly.
const FEW_FIRSTS: [u64; 13] = [0, 1, 2, 3, 10, 21, 33, 43, 5, 1 << 32 | 2, 0x4000_0000, 0x1000_0000, 0x2000_0000];

/// All combinations of the values that matter of the four arguments that are looked at, with neighbours, and with other
/// upper halves.
fn arguments(firsts: &[u64]) -> impl Iterator<Item = [u64; 6]> {
    let second = [0, 1, 2, 4, 1 << 32 | 1, 0x4000_0000, 0x1000_0000, 0x2000_0000];
    let third = [0, 25, 26, 62, 1 << 32 | 25];
    let low = COOKIE & 0xffff_ffff;
    let sixth = [0, COOKIE, low, low << 32 | low, COOKIE & !0xffff_ffff, COOKIE ^ 1, COOKIE ^ 1 << 40];
    firsts.iter().flat_map(move |&a| {
        second.into_iter().flat_map(move |b| third.into_iter().flat_map(move |c| sixth.map(|f| [a, b, c, 0, 0, f])))
    })
}

/// Where the filter does what must not happen. A call by whose number alone it is judged has one verdict.
fn first_fault(machine: &Architecture, policy: &Policy, filter: &[sock_filter], firsts: &[u64]) -> Option<String> {
    let must = |arch, nr, args| must(machine, policy, arch, nr, args);
    let wrong = |arch, nr, args: [u64; 6]| {
        let (got, wanted) = (run(filter, arch, nr, args, |_| ()), must(arch, nr, args));
        (got != Some(wanted)).then(|| format!("{arch:x} {nr} {args:x?}: {got:x?}, not {wanted:x} ({policy:?})"))
    };
    let looks = |arch, nr| {
        let mut looks = false;
        run(filter, arch, nr, [0; 6], |at| looks |= at >= ARG0);
        let is_stated = |stated: &Stated| {
            [stated.socket, stated.setsockopt, stated.unshare, stated.setns].contains(&nr) || arch == I686 && nr == 102
        };
        looks || must(arch, nr, [0; 6]) != must(arch, nr, [1; 6]) || stated(machine, arch).is_some_and(is_stated)
    };
    architectures().find_map(|arch| {
        calls(stated(machine, arch).is_some()).find_map(|nr| {
            let one = || wrong(arch, nr, [0; 6]);
            if stated(machine, arch).is_some() && looks(arch, nr) {
                arguments(firsts).find_map(|args| wrong(arch, nr, args))
            } else {
                one()
            }
        })
    })
}

#[test]
fn every_call_meets_what_it_must() {
    for (machine, policy) in ALL.into_iter().flat_map(|machine| policies().map(move |policy| (machine, policy))) {
        let filter = assemble_for(machine, &policy);
        // i386's are x86-64's in another order.
        let firsts = if machine.name == "x86" { FEW_FIRSTS.to_vec() } else { firsts() };
        assert_eq!(first_fault(machine, &policy, &filter, &firsts), None, "{}", machine.name);
    }
}

/// With the supervisor behind it: whatever family, type and protocol, natively or behind the pointer of socketcall, what
/// a routing table could send for is bound or is not.
#[test]
fn whatever_reaches_the_supervisor_is_bound_or_refused() {
    let numbers = || (0..64).chain([255, 256, 262, 263, 0x0800, 0x80801, i32::MAX, -1]);
    for domain in (0..64).chain([-1, i32::MAX]) {
        for (kind, protocol) in numbers().flat_map(|kind| numbers().map(move |protocol| (kind, protocol))) {
            match create::plan(Wanted { domain, kind, protocol }) {
                Plan::Bound(made, ..) => {
                    let is_smc = domain == 43 && kind & 0xf == 1 && [0, 1].contains(&protocol);
                    assert!([2, 10, 43].contains(&domain));
                    assert_eq!(made.domain, if is_smc { [2, 10][protocol as usize] } else { domain });
                    let inner = made.kind & 0xf == 1 && [256, 262].contains(&made.protocol);
                    assert!(!inner, "the sockets inside MPTCP's and SMC's are nobody's");
                }
                Plan::Refused(_) => assert!([21, 33].contains(&domain)),
                Plan::Unrouted(made) => {
                    assert!(![2, 10, 43, 21, 33].contains(&domain) && made.domain == domain);
                }
            }
        }
    }
}

/// Where in the filter a comparison with this word is.
fn comparison(filter: &[sock_filter], word: u32) -> usize {
    let is_comparison = |step: &sock_filter| u32::from(step.code) & 0xf7 == libc::BPF_JMP | libc::BPF_JEQ;
    filter.iter().position(|step| is_comparison(step) && step.k == word).unwrap_or_else(|| panic!("no {word} in it"))
}

/// Where in the filter this is loaded.
fn load(filter: &[sock_filter], offset: u32) -> usize {
    let is_load = |step: &sock_filter| u32::from(step.code) == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    filter.iter().position(|step| is_load(step) && step.k == offset).unwrap_or_else(|| panic!("nothing loads {offset}"))
}

/// Breaks a good filter.
type Breakage = fn(&mut Vec<sock_filter>);

#[test]
fn a_filter_that_was_broken_on_purpose_fails() {
    let breakages: [(&str, Breakage); 12] = [
        ("IPv6 forgotten", |f| {
            let at = comparison(f, 10);
            f[at].k = 0xffff
        }),
        ("SMC forgotten", |f| {
            let at = comparison(f, 43);
            f[at].k = 44
        }),
        ("RXRPC let through", |f| {
            let at = comparison(f, 33);
            f[at].jt = 0
        }),
        ("half of the cookie is enough", |f| {
            let at = load(f, ARG5_HIGH);
            f[at].k = ARG5_LOW;
            f[at + 1].k = COOKIE as u32
        }),
        ("another argument is the cookie", |f| {
            let at = load(f, ARG5_LOW);
            f[at].k -= 8
        }),
        ("the table of x32 open", |f| {
            let at = f.iter().position(|s| s.k == 0x4000_0000).unwrap();
            f[at].k = 0x8000_0000
        }),
        ("io_uring let through", |f| {
            let at = comparison(f, 425);
            f[at].k = 426
        }),
        ("socket of i386 overlooked", |f| {
            let at = comparison(f, 359);
            f[at].k = 358
        }),
        ("socketcall overlooked", |f| {
            let at = comparison(f, 102);
            f[at].jt = 0
        }),
        ("setns without a kind overlooked", |f| {
            let at = comparison(f, 0);
            f[at].k = 1
        }),
        ("an unknown architecture allowed", |f| *f.last_mut().unwrap() = instruction(libc::BPF_RET, 0, 0, ALLOW)),
        ("what must be notified is allowed", |f| {
            let at = f.iter().position(|step| step.k == NOTIFY && u32::from(step.code) == libc::BPF_RET).unwrap();
            f[at].k = ALLOW;
        }),
    ];
    for (what, wreck) in breakages {
        let mut filter = assemble_for(&X86_64, &SUPERVISED);
        wreck(&mut filter);
        assert!(first_fault(&X86_64, &SUPERVISED, &filter, &FEW_FIRSTS).is_some(), "not noticed: {what}");
    }
}

/// Every instruction changed in every small way: other words, other distances, branches exchanged, or let through.
#[test]
fn no_instruction_can_be_changed_unnoticed() {
    let changes: [fn(&mut sock_filter); 6] = [
        |step| step.k ^= 1,
        |step| step.k = step.k.wrapping_add(4),
        |step| step.jt = step.jt.wrapping_add(1),
        |step| step.jf = step.jf.wrapping_add(1),
        |step| (step.jt, step.jf) = (step.jf, step.jt),
        |step| *step = instruction(libc::BPF_RET, 0, 0, ALLOW),
    ];
    let filters = [(&X86_64, SUPERVISED), (&X86_64, ALONE), (&AARCH64, SUPERVISED), (&RISCV64, SUPERVISED)];
    for (machine, policy) in filters {
        let good = assemble_for(machine, &policy);
        let mut unnoticed = Vec::new();
        for (at, (number, change)) in (0..good.len()).flat_map(|at| changes.iter().enumerate().map(move |c| (at, c))) {
            let mut filter = good.clone();
            change(&mut filter[at]);
            let is_noticed = || first_fault(machine, &policy, &filter, &FEW_FIRSTS).is_some();
            if has_another_meaning(&good, at, &filter[at]) && !is_noticed() {
                unnoticed.push((at, number, good[at].k));
            }
        }
        assert_eq!(unnoticed, [], "(instruction, change, its word) of {} for {}", good.len(), machine.name);
    }
}

/// Only a conditional jump has two distances; to return what one would be sent to is the same, and so is the long way around
/// a comparison that only shortens the way (the one that goes on where a number is not below), for all numbers or for some.
fn has_another_meaning(good: &[sock_filter], at: usize, changed: &sock_filter) -> bool {
    let (code, old) = (u32::from(good[at].code), &good[at]);
    let is_jump = code & 0x07 == libc::BPF_JMP;
    let is_goto = code == libc::BPF_JMP | libc::BPF_JA;
    let is_let_through = is_goto && good[at + 1 + old.k as usize].k == ALLOW && changed.k == ALLOW;
    let is_short_cut = |step: &sock_filter| {
        u32::from(step.code) == libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K && step.jt == 0 && step.jf > 0
    };
    let goes_around =
        is_jump && !is_goto && changed.jf == old.jf + 1 && is_short_cut(&good[at + 1 + usize::from(old.jf)]);
    if goes_around && (changed.code, changed.k, changed.jt) == (old.code, old.k, old.jt) {
        return false;
    }
    if is_short_cut(old) && changed.k < old.k && (changed.code, changed.jt, changed.jf) == (old.code, old.jt, old.jf) {
        return false;
    }
    let distances = (old.jt, old.jf) != (changed.jt, changed.jf);
    !is_let_through && ((old.code, old.k) != (changed.code, changed.k) || distances && is_jump && !is_goto)
}
