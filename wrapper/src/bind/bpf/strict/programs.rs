//! The two programs of `--strict`, as instructions.
//!
//! Both look at sockets that are bound to our device only: those of another network namespace, in which a child may be,
//! have its own devices. An unbound socket of ours is not made in this cgroup.

use vrfbpf::{Instruction, op};

// Instruction codes: class, size or operation, and source.
const LOAD_BYTE: u8 = 0x71;
const LOAD_WORD: u8 = 0x61;
const LOAD_LONG: u8 = 0x79;
const LOAD_MAP: u8 = 0x18; // a map's descriptor in two slots, with 1 as its source register
const STORE_WORD: u8 = 0x63;
const MOVE: u8 = 0xbf;
const SET: u8 = 0xb7;
const ADD: u8 = 0x07;
const IF_EQUAL: u8 = 0x15;
const IF_NOT: u8 = 0x55;
const IF_ABOVE: u8 = 0x2d; // compares two registers
const GOTO: u8 = 0x05;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;
const MAP_LOOKUP: i32 = 1;

// Offsets in struct bpf_sock, bpf_sockopt and __sk_buff.
const SOCK_BOUND_DEV_IF: i16 = 0;
const OPT_SOCKET: i16 = 0;
const OPT_VALUE: i16 = 8;
const OPT_VALUE_END: i16 = 16;
const OPT_LEVEL: i16 = 24;
const OPT_NAME: i16 = 28;
const OPT_LENGTH: i16 = 32;
const SKB_IFINDEX: i16 = 40;
const SKB_SOCKET: i16 = 168;

/// The kernel hands a program at least this much of an option's value, with zeros after it (5.8).
const VALUE: i32 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    Device,
    Index,
    Check,
    Allow,
    /// Allow, and let the kernel read the caller's own buffer: ours holds at most a page of it.
    Pass,
    Deny,
}

enum Step {
    Label(Label),
    Do(Instruction),
    /// A jump, whose distance is known later.
    Jump(Instruction, Label),
}

fn run(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Step {
    Step::Do(op(code, destination, source, offset, immediate))
}

fn jump(code: u8, register: u8, immediate: i32, to: Label) -> Step {
    Step::Jump(op(code, register, 0, 0, immediate), to)
}

/// setsockopt(2): a bound socket can be bound to its own device only.
pub fn setsockopt(name: &[u8], ifindex: u32) -> Vec<Instruction> {
    use Label::*;
    let mut steps = vec![
        run(MOVE, 6, 1, 0, 0),
        run(LOAD_LONG, 2, 6, OPT_SOCKET, 0),
        jump(IF_EQUAL, 2, 0, Pass),
        run(LOAD_WORD, 3, 2, SOCK_BOUND_DEV_IF, 0),
        jump(IF_NOT, 3, ifindex as i32, Pass),
        run(LOAD_WORD, 3, 6, OPT_LEVEL, 0),
        jump(IF_NOT, 3, libc::SOL_SOCKET, Pass),
        run(LOAD_LONG, 7, 6, OPT_VALUE, 0),
        run(LOAD_LONG, 8, 6, OPT_VALUE_END, 0),
        run(LOAD_WORD, 3, 6, OPT_NAME, 0),
        jump(IF_EQUAL, 3, libc::SO_BINDTODEVICE, Device),
        jump(IF_EQUAL, 3, libc::SO_BINDTOIFINDEX, Index),
        jump(GOTO, 0, 0, Pass),
        Step::Label(Device),
        run(MOVE, 2, 7, 0, 0),
        run(ADD, 2, 0, 0, VALUE),
        Step::Jump(op(IF_ABOVE, 2, 8, 0, 0), Deny),
    ];
    // A name of 15 letters needs no NUL: the kernel reads no further.
    let end = (name.len() < vrfnl::link::NAME_MAX).then_some(&0);
    for (at, &letter) in name.iter().chain(end).enumerate() {
        steps.extend([run(LOAD_BYTE, 3, 7, at as i16, 0), jump(IF_NOT, 3, i32::from(letter), Deny)]);
    }
    steps.extend([
        jump(GOTO, 0, 0, Allow),
        Step::Label(Index),
        run(MOVE, 2, 7, 0, 0),
        run(ADD, 2, 0, 0, VALUE),
        Step::Jump(op(IF_ABOVE, 2, 8, 0, 0), Deny),
        run(LOAD_WORD, 3, 7, 0, 0),
        jump(IF_NOT, 3, ifindex as i32, Deny),
        jump(GOTO, 0, 0, Allow),
        Step::Label(Pass),
        run(SET, 2, 0, 0, 0),
        run(STORE_WORD, 6, 2, OPT_LENGTH, 0), // before 6.3 the context takes no number directly
    ]);
    steps.extend(ends());
    resolve(&steps)
}

/// A packet that leaves: of a bound socket, by a device in the map only.
pub fn egress(ifindex: u32, ports: i32) -> Vec<Instruction> {
    use Label::*;
    let mut steps = vec![
        run(MOVE, 6, 1, 0, 0),
        run(LOAD_LONG, 2, 6, SKB_SOCKET, 0),
        jump(IF_EQUAL, 2, 0, Check),
        run(LOAD_WORD, 3, 2, SOCK_BOUND_DEV_IF, 0),
        jump(IF_NOT, 3, ifindex as i32, Allow),
        Step::Label(Check),
        run(LOAD_WORD, 3, 6, SKB_IFINDEX, 0),
        run(STORE_WORD, 10, 3, -4, 0), // the key, on the stack
        run(MOVE, 2, 10, 0, 0),
        run(ADD, 2, 0, 0, -4),
        run(LOAD_MAP, 1, 1, 0, ports),
        run(0, 0, 0, 0, 0),
        run(CALL, 0, 0, 0, MAP_LOOKUP),
        jump(IF_EQUAL, 0, 0, Deny),
    ];
    steps.extend(ends());
    resolve(&steps)
}

/// 1 lets it happen, 0 is EPERM.
fn ends() -> [Step; 6] {
    let answer = |value| [run(SET, 0, 0, 0, value), run(EXIT, 0, 0, 0, 0)];
    let ([set_one, exit_one], [set_zero, exit_zero]) = (answer(1), answer(0));
    [Step::Label(Label::Allow), set_one, exit_one, Step::Label(Label::Deny), set_zero, exit_zero]
}

/// Turns labels into distances.
fn resolve(steps: &[Step]) -> Vec<Instruction> {
    let is_code = |step: &&Step| !matches!(step, Step::Label(_));
    let address = |wanted: Label| {
        let at = steps.iter().position(|step| matches!(step, Step::Label(label) if *label == wanted));
        steps[..at.expect("every label that is jumped to stands somewhere")].iter().filter(is_code).count()
    };
    let code = steps.iter().filter(is_code).enumerate();
    code.map(|(at, step)| match step {
        Step::Do(instruction) => *instruction,
        Step::Jump(instruction, to) => Instruction { offset: (address(*to) - at - 1) as i16, ..*instruction },
        Step::Label(_) => unreachable!("labels are no code"),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_jump_lands_inside_the_program() {
        for program in [setsockopt(b"blue", 7), setsockopt(b"fifteen-letters", 7), egress(7, 3)] {
            for (at, step) in program.iter().enumerate() {
                let target = at as i32 + 1 + i32::from(step.offset);
                let is_jump = step.code & 7 == 5 && ![CALL, EXIT].contains(&step.code);
                assert!(!is_jump || (step.offset >= 0 && target < program.len() as i32), "{at}: {step:?}");
            }
        }
    }

    #[test]
    fn a_short_name_is_compared_with_its_end_and_the_longest_without() {
        let letters = |name: &[u8]| setsockopt(name, 7).iter().filter(|step| step.code == LOAD_BYTE).count();
        assert_eq!(letters(b"blue"), 5);
        assert_eq!(letters(b"fifteen-letters"), 15);
    }
}
