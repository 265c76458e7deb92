//! The shared object as the loader sees it: what it offers, what it asks for, how large it is.

mod product;

use product::shared_object;
use std::process::Command;

fn run(tool: &str, options: &[&str]) -> String {
    let output = Command::new(tool).args(options).arg(shared_object()).output().unwrap();
    assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A line of the table of segments; in bytes.
#[derive(Debug)]
struct Segment {
    kind: String,
    offset: usize,
    address: usize,
    size: usize,
    aligned_to: usize,
}

fn segments() -> Vec<Segment> {
    let table = run("readelf", &["--wide", "--segments"]);
    let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let segments: Vec<Segment> = lines
        .filter(|fields| fields.len() > 6 && fields[1].starts_with("0x"))
        .map(|fields| {
            let number = |field: &str| usize::from_str_radix(field.trim_start_matches("0x"), 16).unwrap();
            Segment {
                kind: fields[0].to_owned(),
                offset: number(fields[1]),
                address: number(fields[2]),
                size: number(fields[4]),
                aligned_to: fields.last().map(|field| number(field)).unwrap(),
            }
        })
        .collect();
    assert!(!segments.is_empty(), "{table}");
    segments
}

/// The last word of each line: the symbols' names.
fn symbols(nm_option: &str) -> Vec<String> {
    let listing = run("nm", &["--dynamic", nm_option]);
    let mut names: Vec<String> =
        listing.lines().filter_map(|line| line.split(' ').next_back()).map(Into::into).collect();
    names.sort();
    names
}

#[test]
fn it_exports_what_the_committed_list_says() {
    let wanted: Vec<&str> = include_str!("exports.txt").lines().collect();
    assert_eq!(symbols("--defined-only"), wanted, "tests/exports.txt: a change here is a change of the ABI");
}

/// Each is in every glibc since 2.16 and in musl, and allocates nothing.
#[test]
fn it_imports_what_the_committed_list_says() {
    let wanted: Vec<&str> = include_str!("imports.txt").lines().collect();
    assert_eq!(symbols("--undefined-only"), wanted, "tests/imports.txt: must be in glibc and in musl");
}

#[test]
fn it_needs_no_other_library_and_has_its_soname() {
    let dynamic = run("readelf", &["--wide", "--dynamic"]);
    assert!(!dynamic.contains("(NEEDED)"), "{dynamic}");
    assert!(dynamic.contains("(SONAME)             Library soname: [libvrfshim.so.0]"), "{dynamic}");
}

/// Resolving a symbol at the first call would run the loader inside somebody's signal handler.
#[test]
fn its_symbols_are_resolved_when_it_is_loaded() {
    let dynamic = run("readelf", &["--wide", "--dynamic"]);
    assert!(dynamic.contains("BIND_NOW"), "{dynamic}");
    assert!(run("readelf", &["--wide", "--segments"]).contains("GNU_RELRO"));
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_program_keeps_its_shadow_stack_beside_it() {
    let notes = run("readelf", &["--wide", "--notes"]);
    assert!(notes.contains("x86 feature: SHSTK"), "{notes}");
    // The loader finds a note by its segment, and reads what is mapped there.
    let segments = segments();
    let of = |kind: &str| segments.iter().filter(|segment| segment.kind == kind).collect::<Vec<_>>();
    let marks: Vec<_> = of("NOTE").into_iter().filter(|note| note.aligned_to == 8).chain(of("GNU_PROPERTY")).collect();
    assert!(!marks.is_empty(), "{segments:#?}");
    for mark in marks {
        let mapped = of("LOAD").into_iter().any(|load| {
            mark.offset >= load.offset
                && mark.offset + mark.size <= load.offset + load.size
                && mark.address - load.address == mark.offset - load.offset
        });
        assert!(mapped, "{mark:?} is not mapped: {segments:#?}");
    }
}

/// The general TLS models call `__tls_get_addr`, which may allocate.
#[test]
fn its_thread_local_word_is_at_a_fixed_offset() {
    let relocations = run("readelf", &["--wide", "--relocs"]);
    let tls: Vec<&str> = relocations.lines().filter(|line| line.contains("TPOFF") || line.contains("DTP")).collect();
    assert!(matches!(tls[..], [one] if one.contains("R_X86_64_TPOFF64")), "{tls:?}");
}

/// Such a reference would be resolved to another library's symbol, if that one comes first: to libc's `socket`, which
/// we make jump to ours, if we were opened by dlopen().
#[test]
fn it_never_asks_the_loader_for_its_own_symbols() {
    let relocations = run("readelf", &["--wide", "--relocs"]);
    for name in include_str!("exports.txt").lines() {
        let asked = relocations.lines().any(|line| line.split_whitespace().any(|word| word == name));
        assert!(!asked, "{name}: {relocations}");
    }
}

/// What the loader maps of it into each program. The file itself holds more: GNU ld fills up a page before the segment
/// that becomes read-only.
#[test]
fn it_is_at_most_16_kib() {
    let segments = segments();
    let size: usize = segments.iter().filter(|segment| segment.kind == "LOAD").map(|segment| segment.size).sum();
    assert!((1..=16 * 1024).contains(&size), "{size} bytes: {segments:#?}");
}

/// A panic would end the program it is loaded into. The panic handler says so, and is in the object as soon as any code
/// can get there.
#[test]
fn no_code_in_it_can_panic() {
    let words = b"libvrfshim: internal error";
    let source = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs")).unwrap();
    assert!(holds(&source, words), "the panic handler says something else, so that this test would see nothing");
    let object = std::fs::read(shared_object()).unwrap();
    assert!(!holds(&object, words), "something can panic: a slice index (use get()), an unwrap, arithmetic");
}

fn holds(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|window| window == words)
}
