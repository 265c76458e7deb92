use super::*;

mod exhaustive;

const COOKIE: u64 = 0x1122_3344_5566_7788;
const GATE: Policy = Policy { unbound: Unbound::Denied, cookie: Some(COOKIE), io_uring: false };

/// What the kernel's interpreter would answer to this call.
fn verdict(policy: &Policy, arch: u32, nr: u32, args: [u64; 6]) -> u32 {
    interpret(policy, arch, nr, args, |_| ())
}

/// What the filter looks at to judge this call.
fn loads(policy: &Policy, arch: u32, nr: u32) -> Vec<u32> {
    let mut loads = Vec::new();
    interpret(policy, arch, nr, [0; 6], |at| loads.push(at));
    loads
}

fn interpret(policy: &Policy, arch: u32, nr: u32, args: [u64; 6], load: impl FnMut(u32)) -> u32 {
    run(&assemble(policy), arch, nr, args, load).expect("a filter that ends")
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

fn socket(policy: &Policy, family: u64, cookie: u64) -> u32 {
    verdict(policy, arch::NATIVE, 41, [family, 1, 0, 0, 0, cookie])
}

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const DENY: u32 = errno(libc::ENETUNREACH);
const ENOSYS: u32 = errno(libc::ENOSYS);

#[test]
fn inet_sockets_need_the_whole_cookie() {
    for family in [2, 10, 43, 2 | 1 << 32] {
        assert_eq!(socket(&GATE, family, COOKIE), ALLOW);
        for wrong in [0, COOKIE & 0xffff_ffff, COOKIE & !0xffff_ffff, COOKIE + 1, !COOKIE] {
            assert_eq!(socket(&GATE, family, wrong), DENY, "family {family} cookie {wrong:x}");
        }
    }
}

#[test]
fn other_families_pass_and_unbindable_ones_do_not() {
    for family in [1, 16, 17, 38, 40, 44] {
        assert_eq!(socket(&GATE, family, 0), ALLOW, "family {family}");
    }
    for family in [21, 33] {
        assert_eq!(socket(&GATE, family, 0), DENY, "family {family}");
    }
}

#[test]
fn i386_is_seen_through_both_calls() {
    let compat = |nr, args| verdict(&GATE, arch::COMPAT, nr, args);
    assert_eq!(compat(359, [2, 1, 0, 0, 0, 0]), DENY);
    assert_eq!(compat(359, [2, 1, 0, 0, 0, COOKIE & 0xffff_ffff]), ALLOW);
    assert_eq!(compat(359, [1, 1, 0, 0, 0, 0]), ALLOW);
    assert_eq!(compat(102, [1, 0xffff_0000, 0, 0, 0, 0]), DENY);
    assert_eq!(compat(102, [3, 0xffff_0000, 0, 0, 0, 0]), ALLOW);
    assert_eq!(compat(41, [2, 1, 0, 0, 0, 0]), ALLOW); // dup, not socket
}

#[test]
fn x32_io_uring_and_strange_architectures_are_closed() {
    assert_eq!(verdict(&GATE, arch::NATIVE, arch::X32 | 41, [2, 1, 0, 0, 0, COOKIE]), ENOSYS);
    assert_eq!(verdict(&GATE, arch::NATIVE, 425, [8, 0, 0, 0, 0, 0]), ENOSYS);
    assert_eq!(verdict(&GATE, arch::COMPAT, 425, [8, 0, 0, 0, 0, 0]), ENOSYS);
    assert_eq!(verdict(&GATE, 0xc000_00b7, 198, [2, 1, 0, 0, 0, 0]), libc::SECCOMP_RET_KILL_PROCESS);
    let guarded = Policy { io_uring: true, ..GATE };
    assert_eq!(verdict(&guarded, arch::NATIVE, 425, [8, 0, 0, 0, 0, 0]), ALLOW);
}

#[test]
fn everything_else_passes() {
    for nr in (0..470).filter(|nr| ![41, 425].contains(nr)) {
        assert_eq!(verdict(&GATE, arch::NATIVE, nr, [2, 10, 1, 0, 0, 0]), ALLOW, "call {nr}");
    }
}

/// What the kernel itself finds out about a filter (seccomp_is_const_allow, 5.11): that a call is always allowed, if
/// nothing but its number and the architecture was looked at on the way.
#[test]
fn the_kernel_need_not_ask_again_for_most_calls() {
    let policy = Policy { unbound: Unbound::Supervised, ..GATE };
    for (arch, asked) in [(arch::NATIVE, vec![41, 272, 308]), (arch::COMPAT, vec![102, 310, 346, 359])] {
        let looks = |nr| loads(&policy, arch, nr).iter().any(|&at| at >= ARG0);
        let unsure: Vec<u32> = (0..470).filter(|&nr| looks(nr)).collect();
        assert_eq!(unsure, asked);
    }
}

#[test]
fn the_supervisor_gets_what_the_gate_denies() {
    let policy = Policy { unbound: Unbound::Supervised, cookie: None, io_uring: false };
    assert_eq!(socket(&policy, 2, 0), libc::SECCOMP_RET_USER_NOTIF);
    assert_eq!(socket(&policy, 2, COOKIE), libc::SECCOMP_RET_USER_NOTIF);
    assert_eq!(verdict(&policy, arch::COMPAT, 102, [1, 0, 0, 0, 0, 0]), libc::SECCOMP_RET_USER_NOTIF);
    assert_eq!(socket(&policy, 33, 0), DENY);
}
