//! The kernel's own types, as /sys/kernel/btf/vmlinux has them (Documentation/bpf/btf.rst). Pure.

const MAGIC: u16 = 0xeb9f;
const STRUCT: u32 = 4;
/// `struct btf_type` and `struct btf_member`.
const ENTRY: usize = 12;

/// Whether the struct of this name has a member of this name; None where there is no such struct, or the bytes are none
/// of this format.
pub fn has_member(bytes: &[u8], of: &str, member: &str) -> Option<bool> {
    let types = Types::of(bytes)?;
    let mut at = 0;
    while at < types.types.len() {
        let [name, info] = [types.word(at)?, types.word(at + 4)?];
        let (kind, count) = ((info >> 24) & 0x1f, (info & 0xffff) as usize);
        let members = at + ENTRY;
        if kind == STRUCT && types.is_called(name, of) {
            let mut names = (0..count).map(|place| types.word(members + place * ENTRY));
            return Some(names.any(|name| name.is_some_and(|name| types.is_called(name, member))));
        }
        at = members + length_behind(kind, count)?;
    }
    None
}

/// How many bytes a type of this kind has behind the first; None of a kind that is younger than this program.
fn length_behind(kind: u32, count: usize) -> Option<usize> {
    Some(match kind {
        // INT, VAR, DECL_TAG
        1 | 14 | 17 => 4,
        // ARRAY
        3 => 12,
        // STRUCT, UNION, DATASEC, ENUM64
        4 | 5 | 15 | 19 => count * 12,
        // ENUM, FUNC_PROTO
        6 | 13 => count * 8,
        // PTR, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FLOAT, TYPE_TAG
        2 | 7..=12 | 16 | 18 => 0,
        _ => return None,
    })
}

/// The two sections.
struct Types<'a> {
    types: &'a [u8],
    names: &'a [u8],
}

impl<'a> Types<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        if u16::from_ne_bytes(bytes.first_chunk().copied()?) != MAGIC {
            return None;
        }
        let header = |place: usize| word(bytes, place).map(|word| word as usize);
        let data = bytes.get(header(4)?..)?;
        let section = |start: usize, length: usize| data.get(start..)?.get(..length);
        Some(Self { types: section(header(8)?, header(12)?)?, names: section(header(16)?, header(20)?)? })
    }

    fn word(&self, at: usize) -> Option<u32> {
        word(self.types, at)
    }

    fn is_called(&self, name: u32, text: &str) -> bool {
        let rest = self.names.get(name as usize..).and_then(|names| names.strip_prefix(text.as_bytes()));
        rest.is_some_and(|rest| rest.first() == Some(&0))
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[u8] = b"\0sock_cgroup_data\0cgroup\0val\0";

    /// An int, and a struct of this name with one member.
    fn types(name: u32, member: u32) -> Vec<u8> {
        let int = [0, 1 << 24, 4, 32];
        let of = [name, STRUCT << 24 | 1, 8, member, 1, 0];
        let length = 4 * (int.len() + of.len()) as u32;
        let header = [24, 0, length, length, NAMES.len() as u32];
        let words = header.iter().chain(&int).chain(&of).flat_map(|word| word.to_ne_bytes());
        [&MAGIC.to_ne_bytes()[..], &[1, 0], &words.collect::<Vec<u8>>(), NAMES].concat()
    }

    #[test]
    fn a_structs_member_is_found_by_its_whole_name() {
        for (name, member, found) in [(1, 18, Some(true)), (1, 25, Some(false)), (18, 18, None), (1, 19, Some(false))] {
            assert_eq!(has_member(&types(name, member), "sock_cgroup_data", "cgroup"), found, "{name} {member}");
        }
    }

    #[test]
    fn what_is_cut_short_or_foreign_is_no_answer() {
        let whole = types(1, 18);
        for length in 0..whole.len() - NAMES.len() {
            assert_eq!(has_member(&whole[..length], "sock_cgroup_data", "cgroup"), None, "{length}");
        }
        assert_eq!(has_member(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "x", "y"), None);
    }

    /// Of the kernel that runs: since 5.15 all have it.
    #[test]
    fn the_running_kernel_can_be_asked() {
        let Ok(types) = std::fs::read("/sys/kernel/btf/vmlinux") else { return };
        assert_eq!(has_member(&types, "task_struct", "pid"), Some(true));
        assert_eq!(has_member(&types, "task_struct", "no such member"), Some(false));
        assert_eq!(has_member(&types, "no such struct", "pid"), None);
    }
}
