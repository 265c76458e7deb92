//! A shared object whose symbol table says something else of `socket`. Pure, but for the file.

use std::fs;
use std::path::Path;

const SHT_DYNSYM: u32 = 11;
const SECTION: usize = 64;
const SYMBOL: usize = 24;

/// What is done to the symbol.
#[derive(Clone, Copy)]
pub enum Damage {
    /// It is of no type, which loaders do not mind.
    NoFunction,
    /// The function has two bytes.
    TooShort,
}

/// The object's bytes with that damage.
pub fn damaged(object: &Path, damage: Damage) -> Vec<u8> {
    let mut bytes = fs::read(object).expect("a shared object");
    let symbol = socket(&bytes).expect("a symbol 'socket'");
    match damage {
        Damage::NoFunction => bytes[symbol + 4] &= 0xf0,
        Damage::TooShort => bytes[symbol + 16..symbol + 24].copy_from_slice(&2u64.to_le_bytes()),
    }
    bytes
}

/// Where the symbol's entry is in the file.
fn socket(bytes: &[u8]) -> Option<usize> {
    let sections = word(bytes, 40);
    let section = |index: usize| sections + index * SECTION;
    let count = u16::from_le_bytes([bytes[60], bytes[61]]) as usize;
    let table = (0..count).map(section).find(|&at| half(bytes, at + 4) == SHT_DYNSYM)?;
    let names = word(bytes, section(half(bytes, table + 40) as usize) + 24);
    let (start, size) = (word(bytes, table + 24), word(bytes, table + 32));
    let named = |&at: &usize| bytes[names + half(bytes, at) as usize..].starts_with(b"socket\0");
    (start..start + size).step_by(SYMBOL).find(named)
}

fn half(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn word(bytes: &[u8], at: usize) -> usize {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes")) as usize
}
