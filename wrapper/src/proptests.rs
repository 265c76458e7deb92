//! Hostile input for everything that reads foreign bytes: command lines, program files, mountinfo, netlink.
//!
//! `make test` tries ten thousand cases of each; PROPTEST_CASES in the environment is another number.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use vrfnl::{Messages, link, route, rule};

use crate::cli;
use crate::options::Task;
use crate::program::elf::{self, Kind};

const CASES: u32 = 10_000;

/// Runs a test with many values. It fails by panicking; the smallest value that makes it panic is shown.
pub fn check<S: Strategy>(values: S, test: impl Fn(S::Value)) {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|number| number.parse().ok()).unwrap_or(CASES);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&values, |value| {
        test(value);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// An absolute path of any bytes that a path may have.
pub fn path() -> impl Strategy<Value = Vec<u8>> {
    let letter = prop_oneof![4 => b'a'..=b'e', 2 => Just(b' '), 1 => Just(b'\\'), 1 => Just(b'\n'), 1 => 128u8..];
    let part = vec(letter, 1..6).prop_map(|part| [b"/", &part[..]].concat());
    let special = one_of(&["/vrf", "/vrfrun-blue-7-4026531840", "/\\040"]);
    vec(prop_oneof![3 => part, 1 => special], 1..5).prop_map(|parts| parts.concat())
}

/// One of these words.
fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(words).prop_map(|word| word.as_bytes().to_vec())
}

/// Bytes that look like lines of /proc now and then.
pub fn lines() -> impl Strategy<Value = Vec<u8>> {
    let words = one_of(&["0::/", "\n", " ", " - cgroup2 ", "\\04", "\\777", "/vrf/blue"]);
    let any = vec(any::<u8>(), 0..5);
    vec(prop_oneof![words, any], 0..30).prop_map(|parts| parts.concat())
}

/// A text that has these words in any order, and other letters between them.
pub fn text_of(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    let word = prop::sample::select(words).prop_map(str::to_owned);
    vec(prop_oneof![4 => word, 1 => ".{0,4}"], 0..24).prop_map(|parts| parts.concat())
}

/// These bytes, cut and with one of them changed.
pub fn cut_and_changed(bytes: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()).prop_map(move |(end, at, value)| {
        let mut bytes = bytes.clone();
        let at = at.index(bytes.len());
        bytes[at] = value;
        bytes.truncate(end.index(bytes.len() + 1).max(at));
        bytes
    })
}

#[test]
fn no_command_line_makes_a_panic_or_runs_an_option() {
    let known = one_of(&[
        "blue",
        "--",
        "-m",
        "bpf",
        "-v",
        "--explain",
        "-j",
        "--strict",
        "-n",
        "--dns",
        "192.0.2.53",
        "curl",
        "--keep-fds",
        "-",
        "--help",
    ]);
    let word = prop_oneof![4 => known, 1 => vec(1u8.., 0..6)];
    check(vec(word, 0..8), |words| {
        let words: Vec<OsString> = words.into_iter().map(OsString::from_vec).collect();
        let line = std::iter::once("vrfrun".into()).chain(words.clone());
        let Ok(options) = cli::parse(line) else { return };
        let Task::Run(command) = options.task else { return };
        let before = words.len() - command.argv().len();
        assert_eq!(&words[before..], command.argv());
        assert!(before >= 1, "VRF was taken for the command");
        let is_dashed = command.program().as_bytes().starts_with(b"-");
        assert!(!is_dashed || words[before - 1] == "--", "an option was taken for the command");
    });
}

/// A program header table with what the kernel would take, each segment the whole file; a dynamic section that names a
/// library, wherever it may lie; and then one byte of it all changed.
fn program_file() -> impl Strategy<Value = Vec<u8>> {
    let entry = (0u64..7, prop_oneof![0u64..400, any::<u64>()]);
    let file = (vec(0u32..8, 0..5), any::<bool>(), vec(entry, 0..5)).prop_map(|(kinds, is_ours, entries)| {
        let table = 64 + kinds.len() * 56;
        let mut bytes = vec![0; table];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[18] = if is_ours { 62 } else { 3 };
        (bytes[32], bytes[54], bytes[56]) = (64, 56, kinds.len() as u8);
        for (number, kind) in kinds.iter().enumerate() {
            let header = &mut bytes[64 + number * 56..];
            header[0] = *kind as u8;
            // Its place and size in the file: of the dynamic section those of the entries, else of everything.
            (header[8], header[32]) = if *kind == 2 { (table as u8, entries.len() as u8 * 16) } else { (0, 255) };
        }
        bytes.extend(entries.iter().flat_map(|(tag, value)| [tag.to_le_bytes(), value.to_le_bytes()].concat()));
        bytes.extend(b"libasan.so.8\0\0\0\0");
        bytes
    });
    (file, any::<prop::sample::Index>(), any::<u8>(), any::<bool>()).prop_map(|(mut bytes, at, value, is_changed)| {
        if is_changed {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes
    })
}

fn kind_of(bytes: &[u8]) -> Kind {
    elf::recognise(&bytes[..bytes.len().min(256)], |at, buffer| {
        assert!(buffer.len() <= 4096 * 56, "a file made us ask for {} bytes", buffer.len());
        let part = usize::try_from(at).ok().and_then(|at| bytes.get(at..)?.get(..buffer.len()));
        buffer.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    })
}

#[test]
fn no_program_file_makes_a_panic_and_only_an_interpreter_makes_it_dynamic() {
    let is_dynamic = |bytes: &[u8]| matches!(kind_of(bytes), Kind::Dynamic | Kind::Sanitized);
    check(program_file(), |bytes| {
        let has_interpreter = bytes.chunks_exact(4).any(|word| word == [3, 0, 0, 0]);
        assert!(!is_dynamic(&bytes) || has_interpreter);
        assert!(!is_dynamic(&bytes[..bytes.len() - 1]) || has_interpreter);
    });
    check(vec(any::<u8>(), 0..300), |bytes| {
        let script = [b"#!", &bytes[..]].concat();
        assert!(matches!(kind_of(&script), Kind::Script(_) | Kind::Unknown));
        kind_of(&bytes);
    });
}

/// A message of the kernel's form, cut and changed.
fn netlink() -> impl Strategy<Value = Vec<u8>> {
    let attribute = (0u16..32, vec(any::<u8>(), 0..24), any::<u16>(), any::<bool>());
    let body = vec(attribute, 0..6).prop_map(|attributes| {
        let mut bytes = vec![0; 16];
        for (kind, value, length, is_honest) in attributes {
            let length = if is_honest { 4 + value.len() as u16 } else { length };
            bytes.extend([length.to_ne_bytes(), kind.to_ne_bytes()].concat());
            bytes.extend(&value);
            bytes.resize((bytes.len() + 3) & !3, 0);
        }
        bytes
    });
    (body, 0u16..40, any::<u32>(), any::<bool>()).prop_map(|(body, kind, length, is_honest)| {
        let length = if is_honest { 16 + body.len() as u32 } else { length % 200 };
        [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], &body].concat()
    })
}

#[test]
fn no_netlink_message_makes_a_panic() {
    check(vec(netlink(), 0..3), |messages| {
        let bytes = messages.concat();
        assert!(Messages(&bytes).count() <= bytes.len() / 16, "messages without end");
        for message in &messages {
            let body = &message[16..];
            let (_, _, _) = (link::parse(body), rule::parse(body).is_some(), route::parse(body));
        }
    });
    check(vec(any::<u8>(), 0..200), |bytes| {
        let (_, _, _) = (link::parse(&bytes), rule::parse(&bytes).is_some(), route::parse(&bytes));
        assert!(Messages(&bytes).count() <= bytes.len() / 16);
    });
}
