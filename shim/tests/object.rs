//! The shared object as the loader sees it: what it offers, what it asks for, how large it is.

mod product;

use product::shared_object;
use std::process::Command;

fn run(tool: &str, options: &[&str]) -> String {
    let output = Command::new(tool).args(options).arg(shared_object()).output().unwrap();
    assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
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

/// What the loader maps of it into each program. The file itself holds more, and how much is the linker's choice: GNU ld
/// fills up a page before the segment that becomes read-only, lld does not.
#[test]
fn it_is_at_most_16_kib() {
    let segments = run("readelf", &["--wide", "--segments"]);
    let loaded = segments.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let sizes = loaded.filter(|fields| fields.first() == Some(&"LOAD")).map(|fields| {
        let size = fields[4].trim_start_matches("0x");
        usize::from_str_radix(size, 16).unwrap_or_else(|error| panic!("{size}: {error}\n{segments}"))
    });
    let size: usize = sizes.sum();
    assert!((1..=16 * 1024).contains(&size), "{size} bytes\n{segments}");
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
