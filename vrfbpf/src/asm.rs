//! Assembles a BPF program: instructions in the order in which they run, and jumps to labels.
//!
//! The programs are short and depend on numbers known at run time (an index, a cookie, a map's descriptor), so they are
//! written here and not compiled from C.

use crate::labels::{BadLabel, Labels};

/// One instruction: `struct bpf_insn`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// The operation.
    pub code: u8,
    /// The source register in the high half, the destination in the low one.
    pub registers: u8,
    /// Where to: a distance in instructions, or an offset in memory.
    pub offset: i16,
    /// A number.
    pub immediate: i32,
}

/// Writes an instruction in the order of the kernel's own documentation.
const fn op(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: source << 4 | destination, offset, immediate }
}

/// A place in a program. Every program ends with `Allow` and `Deny`; the others belong to the program that uses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// Return 1: the call goes on, the packet leaves.
    Allow,
    /// Return 0: the call fails with EPERM, the packet is dropped.
    Deny,
    /// The socket is of another network namespace.
    Foreign,
    /// Bind the socket to the device.
    Bind,
    /// The option matters: whose is the socket?
    Ours,
    /// The socket is an inet socket.
    Inet,
    /// The socket has no tag.
    Untagged,
    /// The options of one level.
    Level(i32),
    /// Let the kernel use the caller's value as it is.
    Pass,
    /// One of the options that the setsockopt program reads.
    Option(Value),
    /// The program asks for a device that is not the VRF's.
    Device,
    /// The value names this interface, or 0 for none.
    Interface,
    /// A value that has no room for an index.
    Short,
}

/// How an option's value is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// `struct ip_mreqn`, or the shorter `struct ip_mreq`.
    Mreqn,
    /// `struct ip_mreq_source`, which has no index.
    MreqSource,
    /// `struct ipv6_mreq`.
    Mreq6,
    /// `struct group_req` and `struct group_source_req`.
    GroupReq,
    /// An interface's name.
    Name,
    /// An interface's index.
    Index,
}

/// A program that is being written.
#[derive(Debug, Default)]
pub struct Program {
    code: Vec<Instruction>,
    labels: Labels<Label>,
}

impl Program {
    /// The instructions, each jump with its distance.
    ///
    /// # Errors
    /// A label is missing, there twice, or before the jump: programs without loops load on every kernel.
    pub fn finish(&self) -> Result<Vec<Instruction>, BadLabel<Label>> {
        let mut code = self.code.clone();
        for (at, distance) in self.labels.distances()? {
            code[at].offset = distance as i16;
        }
        Ok(code)
    }

    /// Marks this place.
    pub(crate) fn label(&mut self, label: Label) -> &mut Self {
        self.labels.mark(label, self.code.len());
        self
    }

    /// `to = from`
    pub(crate) fn copy(&mut self, to: u8, from: u8) -> &mut Self {
        self.push(op(0xbf, to, from, 0, 0))
    }

    /// `to = number`, with its sign.
    pub(crate) fn set(&mut self, to: u8, number: i32) -> &mut Self {
        self.push(op(0xb7, to, 0, 0, number))
    }

    /// `to = number`, in two slots.
    pub(crate) fn set_long(&mut self, to: u8, number: u64) -> &mut Self {
        self.push(op(0x18, to, 0, 0, number as i32)).push(op(0, 0, 0, 0, (number >> 32) as i32))
    }

    /// `to =` the map of this descriptor, in two slots.
    pub(crate) fn set_map(&mut self, to: u8, descriptor: i32) -> &mut Self {
        self.push(op(0x18, to, 1, 0, descriptor)).push(op(0, 0, 0, 0, 0))
    }

    /// `to =` the only value of the map of this descriptor, in two slots (5.2).
    pub(crate) fn set_map_value(&mut self, to: u8, descriptor: i32) -> &mut Self {
        self.push(op(0x18, to, 2, 0, descriptor)).push(op(0, 0, 0, 0, 0))
    }

    /// `to &= number`
    pub(crate) fn and(&mut self, to: u8, number: i32) -> &mut Self {
        self.push(op(0x57, to, 0, 0, number))
    }

    /// `to >>= number`, without a sign.
    pub(crate) fn shift_right(&mut self, to: u8, number: i32) -> &mut Self {
        self.push(op(0x77, to, 0, 0, number))
    }

    /// `to += from`
    pub(crate) fn add_register(&mut self, to: u8, from: u8) -> &mut Self {
        self.push(op(0x0f, to, from, 0, 0))
    }

    /// `to += number`
    pub(crate) fn add(&mut self, to: u8, number: i32) -> &mut Self {
        self.push(op(0x07, to, 0, 0, number))
    }

    /// `to = *(u8 *)(from + offset)`
    pub(crate) fn load_byte(&mut self, to: u8, from: u8, offset: i16) -> &mut Self {
        self.push(op(0x71, to, from, offset, 0))
    }

    /// `to = *(u32 *)(from + offset)`
    pub(crate) fn load_word(&mut self, to: u8, from: u8, offset: i16) -> &mut Self {
        self.push(op(0x61, to, from, offset, 0))
    }

    /// `to = *(u64 *)(from + offset)`: a pointer that the kernel puts into a context.
    pub(crate) fn load_long(&mut self, to: u8, from: u8, offset: i16) -> &mut Self {
        self.push(op(0x79, to, from, offset, 0))
    }

    /// `*(u32 *)(to + offset) = from`. Before 6.3 a context takes no number directly.
    pub(crate) fn store_word(&mut self, to: u8, offset: i16, from: u8) -> &mut Self {
        self.push(op(0x63, to, from, offset, 0))
    }

    /// `*(u64 *)(to + offset) = from`
    pub(crate) fn store_long(&mut self, to: u8, offset: i16, from: u8) -> &mut Self {
        self.push(op(0x7b, to, from, offset, 0))
    }

    /// `r0 = helper(r1, …)`; r1 to r5 are lost.
    pub(crate) fn call(&mut self, helper: i32) -> &mut Self {
        self.push(op(0x85, 0, 0, 0, helper))
    }

    /// `if register == number goto to`
    pub(crate) fn if_equal(&mut self, register: u8, number: i32, to: Label) -> &mut Self {
        self.jump(op(0x15, register, 0, 0, number), to)
    }

    /// `if register != number goto to`
    pub(crate) fn if_not(&mut self, register: u8, number: i32, to: Label) -> &mut Self {
        self.jump(op(0x55, register, 0, 0, number), to)
    }

    /// `if one != other goto to`
    pub(crate) fn if_differs(&mut self, one: u8, other: u8, to: Label) -> &mut Self {
        self.jump(op(0x5d, one, other, 0, 0), to)
    }

    /// `if one == other goto to`
    pub(crate) fn if_same(&mut self, one: u8, other: u8, to: Label) -> &mut Self {
        self.jump(op(0x1d, one, other, 0, 0), to)
    }

    /// `if register < number goto to`, without signs.
    pub(crate) fn if_below(&mut self, register: u8, number: i32, to: Label) -> &mut Self {
        self.jump(op(0xa5, register, 0, 0, number), to)
    }

    /// `if one > other goto to`, without signs.
    pub(crate) fn if_above(&mut self, one: u8, other: u8, to: Label) -> &mut Self {
        self.jump(op(0x2d, one, other, 0, 0), to)
    }

    /// `goto to`
    pub(crate) fn goto(&mut self, to: Label) -> &mut Self {
        self.jump(op(GOTO, 0, 0, 0, 0), to)
    }

    /// The end: 1 at `Allow`, to which the last instruction falls through, and 0 at `Deny` if anything leads there. The
    /// verifier refuses a program that has instructions which nothing reaches.
    pub(crate) fn end(&mut self) -> &mut Self {
        self.label(Label::Allow).set(0, 1).push(EXIT);
        if self.labels.is_used(Label::Deny) {
            self.label(Label::Deny).set(0, 0).push(EXIT);
        }
        self
    }

    /// Whether the place after the last instruction is reached by jumps only.
    pub(crate) fn ends_with_goto(&self) -> bool {
        self.code.last().is_some_and(|last| last.code == GOTO)
    }

    fn jump(&mut self, instruction: Instruction, to: Label) -> &mut Self {
        self.labels.jump(self.code.len(), to);
        self.push(instruction)
    }

    fn push(&mut self, instruction: Instruction) -> &mut Self {
        self.code.push(instruction);
        self
    }
}

const GOTO: u8 = 0x05;
const EXIT: Instruction = op(0x95, 0, 0, 0, 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_gets_the_distance_to_its_label() {
        let mut program = Program::default();
        program.if_equal(1, 7, Label::Deny).set(2, 3).end();
        let code = program.finish().unwrap();
        assert_eq!(code[0].offset, 3, "over set, set and exit: {code:?}");
        assert_eq!(code.len(), 6);
    }

    #[test]
    fn a_label_that_is_missing_double_or_behind_is_an_error() {
        let mut missing = Program::default();
        missing.goto(Label::Foreign).end();
        assert_eq!(missing.finish(), Err(BadLabel(Label::Foreign)));

        let mut double = Program::default();
        double.goto(Label::Ours).label(Label::Ours).set(1, 1).label(Label::Ours).end();
        assert_eq!(double.finish(), Err(BadLabel(Label::Ours)));

        let mut behind = Program::default();
        behind.label(Label::Ours).set(1, 1).goto(Label::Ours).end();
        assert_eq!(behind.finish(), Err(BadLabel(Label::Ours)));
    }

    #[test]
    fn nothing_that_cannot_be_reached_is_written() {
        let mut program = Program::default();
        assert_eq!(program.end().finish().unwrap().len(), 2);
    }

    #[test]
    fn a_long_number_stands_in_two_slots() {
        let mut program = Program::default();
        let code = program.set_long(7, 0x1_0000_0002).finish().unwrap();
        assert_eq!((code[0].immediate, code[1].immediate), (2, 1));
    }
}
