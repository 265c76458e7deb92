use super::*;

/// Appends 32-bit words.
fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

const STRINGS: &[u8] = b"\0socket\0socketpair\0data\0undefined\0";
const NAMES: [&[u8]; 4] = [b"socket", b"socketpair", b"data", b"undefined"];

/// The null symbol, two functions, an object and an undefined function, in the order of NAMES.
fn symbols() -> Vec<u8> {
    let mut table = symbol(0, 0, 0, 0, 0);
    for (name, info, section, value, size) in
        [(1, 0x12, 7, 0x1000, 33), (8, 0x22, 7, 0x2000, 40), (19, 0x11, 9, 0x3000, 8), (24, 0x12, 0, 0, 0)]
    {
        table.extend(symbol(name, info, section, value, size));
    }
    table
}

#[cfg(target_pointer_width = "64")]
fn symbol(name: u32, info: u8, section: u16, value: usize, size: usize) -> Vec<u8> {
    [&name.to_ne_bytes()[..], &[info, 0], &section.to_ne_bytes(), &value.to_ne_bytes(), &size.to_ne_bytes()].concat()
}

#[cfg(target_pointer_width = "32")]
fn symbol(name: u32, info: u8, section: u16, value: usize, size: usize) -> Vec<u8> {
    [&name.to_ne_bytes()[..], &value.to_ne_bytes(), &size.to_ne_bytes(), &[info, 0], &section.to_ne_bytes()].concat()
}

fn gnu(name: &[u8]) -> u32 {
    name.iter().fold(5381u32, |hash, &byte| hash.wrapping_mul(33).wrapping_add(u32::from(byte)))
}

/// One bucket with all four symbols as its chain, behind a Bloom filter of one word.
fn gnu_hash() -> Vec<u8> {
    let mut chain: Vec<u32> = NAMES.iter().map(|name| gnu(name) & !1).collect();
    *chain.last_mut().unwrap() |= 1;
    [words(&[1, 1, 1, 0]), vec![0xff; WORD], words(&[1]), words(&chain)].concat()
}

/// One bucket whose chain runs through the symbols 1, 2, 3, 4.
fn sysv_table() -> Vec<u8> {
    words(&[1, 5, 1, 0, 2, 3, 4, 0])
}

fn check(tables: Tables<'_>) {
    assert_eq!(tables.function(b"socket"), Some(Function { offset: 0x1000, size: 33 }));
    assert_eq!(tables.function(b"socketpair"), Some(Function { offset: 0x2000, size: 40 }));
    assert_eq!(tables.function(b"sock"), None, "a prefix is another name");
    assert_eq!(tables.function(b"data"), None, "an object is no function");
    assert_eq!(tables.function(b"undefined"), None, "what it imports is not its own");
    assert_eq!(tables.function(b"absent"), None);
}

#[test]
fn a_function_is_found_through_the_gnu_hash() {
    check(Tables { gnu_hash: &gnu_hash(), sysv_hash: &[], symbols: &symbols(), strings: STRINGS });
}

#[test]
fn a_function_is_found_through_the_old_hash() {
    check(Tables { gnu_hash: &[], sysv_hash: &sysv_table(), symbols: &symbols(), strings: STRINGS });
}

#[test]
fn the_old_hash_is_the_one_of_the_system_v_abi() {
    for (name, hash) in [(&b""[..], 0), (b"printf", 0x0779_05a6), (b"exit", 0x0006_cf04), (b"syscall", 0x0b09_985c)] {
        assert_eq!(sysv_hash(name), hash, "{name:?}");
    }
}

#[test]
fn tables_cut_anywhere_find_nothing_and_do_not_panic() {
    let (gnu_hash, sysv, symbols) = (gnu_hash(), sysv_table(), symbols());
    for end in 0..gnu_hash.len() - 12 {
        let tables = Tables { gnu_hash: &gnu_hash[..end], sysv_hash: &[], symbols: &symbols, strings: STRINGS };
        assert_eq!(tables.function(b"undefined"), None);
    }
    for end in 0..symbols.len() {
        let tables = Tables { gnu_hash: &gnu_hash, sysv_hash: &sysv, symbols: &symbols[..end], strings: STRINGS };
        assert_eq!(tables.function(b"data"), None);
        let tables = Tables { gnu_hash: &[], ..tables };
        assert_eq!(tables.function(b"data"), None);
    }
}

#[test]
fn a_chain_that_runs_in_a_circle_ends() {
    let circle = words(&[1, 3, 1, 0, 2, 1]);
    let tables = Tables { gnu_hash: &[], sysv_hash: &circle, symbols: &symbols(), strings: STRINGS };
    assert_eq!(tables.function(b"absent"), None);
}

/// Tables of any bytes, and true ones with some of their bytes changed.
#[cfg(target_arch = "x86_64")]
#[test]
fn no_bytes_make_the_reader_of_tables_panic() {
    use proptest::collection::vec;
    use proptest::prelude::*;
    let spoilt = |table: Vec<u8>| {
        let length = table.len();
        vec((0..length, prop_oneof![Just(0), Just(0xff), any::<u8>()]), 0..6).prop_map(move |changes| {
            let mut table = table.clone();
            changes.into_iter().for_each(|(at, byte)| table[at] = byte);
            table
        })
    };
    let any_table = || vec(any::<u8>(), 0..64);
    let gnu = prop_oneof![2 => spoilt(gnu_hash()), 1 => any_table()];
    let sysv = prop_oneof![2 => spoilt(sysv_table()), 1 => any_table()];
    let entries = prop_oneof![2 => spoilt(symbols()), 1 => any_table()];
    hostile((gnu, sysv, entries, any_table()), |(gnu, sysv, symbols, strings)| {
        for name in [&b"socket"[..], b"undefined", b"", &strings] {
            for (gnu_hash, sysv_hash) in [(&gnu[..], &[][..]), (&[][..], &sysv[..])] {
                let _ = Tables { gnu_hash, sysv_hash, symbols: &symbols, strings: STRINGS }.function(name);
                let _ = Tables { gnu_hash, sysv_hash, symbols: &symbols, strings: &strings }.function(name);
            }
        }
    });
}

/// Runs a test with many values; PROPTEST_CASES in the environment is another number than ten thousand.
#[cfg(target_arch = "x86_64")]
pub(crate) fn hostile<S: proptest::strategy::Strategy>(values: S, test: impl Fn(S::Value)) {
    use proptest::test_runner::{Config, TestRunner};
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|number| number.parse().ok()).unwrap_or(10_000);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&values, |value| {
        test(value);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
