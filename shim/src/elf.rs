//! Finds a function in the dynamic symbols of a loaded object: pure bytes in, no memory of its own.
//!
//! Not dlsym: for a symbol that is missing it allocates, and allocators that open sockets would deadlock under us.

const WORD: usize = size_of::<usize>();
const STT_FUNC: u8 = 2;

/// The tables of an object, each from its first byte to the end of the segment it lies in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tables<'a> {
    /// DT_GNU_HASH; empty if there is none.
    pub(crate) gnu_hash: &'a [u8],
    /// DT_HASH; empty if there is none.
    pub(crate) sysv_hash: &'a [u8],
    /// DT_SYMTAB.
    pub(crate) symbols: &'a [u8],
    /// DT_STRTAB.
    pub(crate) strings: &'a [u8],
}

/// A function that an object defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// Its place, relative to where the object was loaded.
    pub(crate) offset: usize,
    /// Its length in bytes.
    pub(crate) size: usize,
}

impl Tables<'_> {
    /// The function of this name, if the object defines it. An indirect function (IFUNC) is none.
    pub(crate) fn function(&self, name: &[u8]) -> Option<Function> {
        if self.gnu_hash.is_empty() { self.by_sysv_hash(name) } else { self.by_gnu_hash(name) }
    }

    /// The table's Bloom filter only saves time where a name is absent; we ask once.
    fn by_gnu_hash(&self, name: &[u8]) -> Option<Function> {
        let table = self.gnu_hash;
        let [buckets, first, bloom_words] = [u32_at(table, 0)?, u32_at(table, 1)?, u32_at(table, 2)?];
        let heads = table.get(16 + bloom_words as usize * WORD..)?;
        let hash = name.iter().fold(5381u32, |hash, &byte| hash.wrapping_mul(33).wrapping_add(u32::from(byte)));
        let head = u32_at(heads, hash.checked_rem(buckets)? as usize)?;
        let mut index = head.checked_sub(first).map(|_| head)?;
        loop {
            let entry = u32_at(heads, buckets as usize + (index - first) as usize)?;
            if let Some(found) = self.symbol(index, name) {
                return Some(found);
            }
            if entry & 1 != 0 {
                return None; // the last of its chain
            }
            index = index.checked_add(1)?;
        }
    }

    fn by_sysv_hash(&self, name: &[u8]) -> Option<Function> {
        let table = self.sysv_hash;
        let [buckets, symbols] = [u32_at(table, 0)?, u32_at(table, 1)?];
        let mut index = u32_at(table, 2 + sysv_hash(name).checked_rem(buckets)? as usize)?;
        // No chain is longer than the table, whatever it says of itself.
        for _ in 0..(symbols as usize).min(table.len() / 4) {
            if index == 0 {
                return None;
            }
            if let Some(found) = self.symbol(index, name) {
                return Some(found);
            }
            index = u32_at(table, 2 + buckets as usize + index as usize)?;
        }
        None
    }

    fn symbol(&self, index: u32, wanted: &[u8]) -> Option<Function> {
        let symbol = Symbol::read(self.symbols, index as usize)?;
        let name = self.strings.get(symbol.name as usize..)?.strip_prefix(wanted)?;
        let is_it = name.first() == Some(&0) && symbol.info & 0xf == STT_FUNC && symbol.section != 0;
        is_it.then_some(Function { offset: symbol.value, size: symbol.size })
    }
}

fn sysv_hash(name: &[u8]) -> u32 {
    name.iter().fold(0u32, |hash, &byte| {
        let hash = (hash << 4).wrapping_add(u32::from(byte));
        let high = hash & 0xf000_0000;
        (hash ^ high >> 24) & !high
    })
}

struct Symbol {
    name: u32,
    info: u8,
    section: u16,
    value: usize,
    size: usize,
}

impl Symbol {
    /// Elf64_Sym: name, info, other, section, value, size.
    #[cfg(target_pointer_width = "64")]
    fn read(table: &[u8], index: usize) -> Option<Self> {
        let raw: &[u8; 24] = table.get(index.checked_mul(24)?..)?.first_chunk()?;
        let [value, size] = [word_at(raw, 8)?, word_at(raw, 16)?];
        Some(Self { name: u32_at(raw, 0)?, info: raw[4], section: u16::from_ne_bytes([raw[6], raw[7]]), value, size })
    }

    /// Elf32_Sym: name, value, size, info, other, section.
    #[cfg(target_pointer_width = "32")]
    fn read(table: &[u8], index: usize) -> Option<Self> {
        let raw: &[u8; 16] = table.get(index.checked_mul(16)?..)?.first_chunk()?;
        let [value, size] = [word_at(raw, 4)?, word_at(raw, 8)?];
        Some(Self {
            name: u32_at(raw, 0)?,
            info: raw[12],
            section: u16::from_ne_bytes([raw[14], raw[15]]),
            value,
            size,
        })
    }
}

/// The `index`th 32-bit word.
fn u32_at(bytes: &[u8], index: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(index.checked_mul(4)?..)?.first_chunk()?))
}

/// A machine word at a byte offset.
fn word_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
#[path = "elf_tests.rs"]
pub(crate) mod tests;
