//! Reads of a program file only what tells whether the dynamic linker will load the shim into it.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::sys::architecture::HOST;

/// What a program file is, to the shim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It names a dynamic linker of this machine's own word size.
    Dynamic,
    /// The same, but AddressSanitizer's runtime comes first in it, and will not start behind a preloaded object.
    Sanitized,
    /// It starts without a dynamic linker: no preload reaches it.
    Static,
    /// It is of another architecture than the shim.
    Foreign,
    /// It is a script; this is its interpreter.
    Script(PathBuf),
    /// It is something else: binfmt_misc, or a script without a first line.
    Unknown,
}

const HEADER: usize = 64;
/// PATH_MAX.
const MAX_PATH: usize = 4096;
const PROGRAM_HEADER: usize = 56;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const MAX_PROGRAM_HEADERS: usize = 4096;
/// Ten times what programs have.
const MAX_DYNAMIC: usize = 64 * 1024;
/// As deep as the kernel follows scripts.
pub const MAX_SCRIPTS: usize = 5;

/// The kind of the file that will run in the end: scripts are followed to their interpreters. A file that may be run
/// but not read is unknown.
pub fn kind_of(path: &Path) -> Kind {
    let mut path = path.to_owned();
    for _ in 0..MAX_SCRIPTS {
        match inspect(&path).unwrap_or(Kind::Unknown) {
            Kind::Script(interpreter) => path = interpreter,
            kind => return kind,
        }
    }
    Kind::Unknown
}

/// What the kernel runs in the place of this file: a script's interpreter, or a program's dynamic linker.
pub fn interpreter_of(path: &Path) -> Option<PathBuf> {
    match inspect(path).ok()? {
        Kind::Script(interpreter) => Some(interpreter),
        Kind::Dynamic | Kind::Sanitized => linker_of(path).ok()?,
        Kind::Static | Kind::Foreign | Kind::Unknown => None,
    }
}

/// The path in PT_INTERP, which ends with a NUL. For a file that `recognise` took for a dynamic one.
fn linker_of(path: &Path) -> io::Result<Option<PathBuf>> {
    let file = File::open(path)?;
    let mut header = [0; HEADER];
    file.read_exact_at(&mut header, 0)?;
    let mut headers = vec![0; PROGRAM_HEADER * usize::from(u16_at(&header, 56)).min(MAX_PROGRAM_HEADERS)];
    file.read_exact_at(&mut headers, u64_at(&header, 32))?;
    let mut segments = headers.chunks_exact(PROGRAM_HEADER);
    let Some(segment) = segments.find(|header| u32_at(header, 0) == PT_INTERP) else { return Ok(None) };
    let mut name = vec![0; usize::try_from(u64_at(segment, 32)).unwrap_or_default().min(MAX_PATH)];
    file.read_exact_at(&mut name, u64_at(segment, 8))?;
    name.truncate(name.iter().position(|&b| b == 0).unwrap_or(name.len()));
    Ok(Some(std::ffi::OsString::from_vec(name).into()))
}

fn inspect(path: &Path) -> io::Result<Kind> {
    let file = File::open(path)?;
    let mut start = Vec::with_capacity(256);
    (&file).take(256).read_to_end(&mut start)?;
    Ok(recognise(&start, |at, buffer| file.read_exact_at(buffer, at)))
}

/// Decides by the file's first bytes; `read_at` fetches the program headers, and what they lead to.
pub fn recognise(start: &[u8], read_at: impl Fn(u64, &mut [u8]) -> io::Result<()>) -> Kind {
    if let Some(line) = start.strip_prefix(b"#!") {
        return script(line);
    }
    let Some(header) = start.get(..HEADER).filter(|header| header.starts_with(b"\x7fELF")) else {
        return if start.starts_with(b"\x7fELF") { Kind::Foreign } else { Kind::Unknown };
    };
    const CLASS_64_LITTLE: &[u8] = &[2, 1];
    if &header[4..6] != CLASS_64_LITTLE || u16_at(header, 18) != HOST.elf_machine {
        return Kind::Foreign;
    }
    let offset = u64_at(header, 32);
    let (size, count) = (usize::from(u16_at(header, 54)), usize::from(u16_at(header, 56)));
    // The kernel runs no other size; what it does not run, a file may claim for the sake of our memory.
    if size != PROGRAM_HEADER || count > MAX_PROGRAM_HEADERS {
        return Kind::Unknown;
    }
    let mut headers = vec![0; PROGRAM_HEADER * count];
    if read_at(offset, &mut headers).is_err() {
        return Kind::Unknown;
    }
    let is_interpreter = |header: &[u8]| u32_at(header, 0) == PT_INTERP;
    if !headers.chunks_exact(PROGRAM_HEADER).any(is_interpreter) {
        return Kind::Static;
    }
    match first_library(&headers, read_at) {
        Some(name) if name.starts_with(b"libasan.so") || &name == b"libclang_rt.asan" => Kind::Sanitized,
        _ => Kind::Dynamic,
    }
}

/// The first letters of the first library that the program asks for.
fn first_library(headers: &[u8], read_at: impl Fn(u64, &mut [u8]) -> io::Result<()>) -> Option<[u8; 16]> {
    let segments = || headers.chunks_exact(PROGRAM_HEADER);
    let dynamic = segments().find(|header| u32_at(header, 0) == PT_DYNAMIC)?;
    let size = usize::try_from(u64_at(dynamic, 32)).unwrap_or(MAX_DYNAMIC);
    let mut entries = vec![0; size.min(MAX_DYNAMIC)];
    read_at(u64_at(dynamic, 8), &mut entries).ok()?;
    let entries = entries.chunks_exact(16).map(|entry| (u64_at(entry, 0), u64_at(entry, 8)));
    let value = |tag| entries.clone().take_while(|entry| entry.0 != DT_NULL).find(|entry| entry.0 == tag);
    let address = value(DT_STRTAB)?.1.checked_add(value(DT_NEEDED)?.1)?;
    let holds = |header: &&[u8]| {
        let distance = address.checked_sub(u64_at(header, 16));
        u32_at(header, 0) == PT_LOAD && distance.is_some_and(|distance| distance < u64_at(header, 32))
    };
    let segment = segments().find(holds)?;
    let mut name = [0; 16];
    read_at(u64_at(segment, 8).checked_add(address - u64_at(segment, 16))?, &mut name).ok()?;
    Some(name)
}

/// `#! interpreter [argument]`, as the kernel reads it.
fn script(line: &[u8]) -> Kind {
    let line = line.split(|&b| b == b'\n').next().unwrap_or_default();
    let mut words = line.split(|&b| matches!(b, b' ' | b'\t')).filter(|word| !word.is_empty());
    match words.next() {
        Some(interpreter) => Kind::Script(std::ffi::OsString::from_vec(interpreter.to_vec()).into()),
        None => Kind::Unknown,
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(class: u8, machine: u16, headers: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER + headers.len() * PROGRAM_HEADER];
        bytes[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, 1]);
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes[32] = HEADER as u8;
        bytes[54] = PROGRAM_HEADER as u8;
        bytes[56] = headers.len() as u8;
        for (number, kind) in headers.iter().enumerate() {
            let at = HEADER + number * PROGRAM_HEADER;
            bytes[at..at + 4].copy_from_slice(&kind.to_le_bytes());
        }
        bytes
    }

    fn kind(bytes: &[u8]) -> Kind {
        recognise(bytes, |at, buffer| {
            let end = at as usize + buffer.len();
            buffer.copy_from_slice(bytes.get(at as usize..end).ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    #[test]
    fn an_interpreter_makes_a_program_dynamic() {
        assert_eq!(kind(&elf(2, HOST.elf_machine, &[6, PT_INTERP, 1])), Kind::Dynamic);
        assert_eq!(kind(&elf(2, HOST.elf_machine, &[6, 1])), Kind::Static);
    }

    #[test]
    fn another_word_size_or_machine_is_foreign() {
        assert_eq!(kind(&elf(1, 3, &[PT_INTERP])), Kind::Foreign);
        assert_eq!(kind(&elf(2, HOST.elf_machine + 1, &[PT_INTERP])), Kind::Foreign);
    }

    #[test]
    fn a_script_leads_to_its_interpreter() {
        assert_eq!(kind(b"#! /bin/sh -e\necho"), Kind::Script("/bin/sh".into()));
        assert_eq!(kind(b"#!\n"), Kind::Unknown);
        assert_eq!(kind(b"echo"), Kind::Unknown);
    }

    #[test]
    fn damaged_files_are_unknown_and_no_panic() {
        let whole = elf(2, HOST.elf_machine, &[PT_INTERP]);
        for length in 0..whole.len() {
            assert_ne!(kind(&whole[..length]), Kind::Dynamic, "length {length}");
        }
    }

    #[test]
    fn this_machines_own_programs_are_told_apart() {
        assert_eq!(kind_of(Path::new("/bin/ls")), Kind::Dynamic);
        assert_eq!(kind_of(Path::new("/nowhere")), Kind::Unknown);
    }
}
