//! The C libraries of four Debian releases, each in a root directory of its own in which `vrfrun` itself is started:
//! whether the shim finds the function by which the library makes its own sockets, or the program is refused. A program
//! resolves a name and connects, and the packets say where. The outcome is the tables of docs/libc.md, which are written by
//! WRITE_LIBC=1, and otherwise have to be the same.
#![cfg(target_arch = "x86_64")]

mod doctor;
mod library;
mod page;

use library::Library;
use page::Table;
use vrftests::harness::judge::{Outcome, Verdict, root};
use vrftests::harness::programs::Set;
use vrftests::harness::world::{Domain, Kind, World};

/// A program of tests/libc/Makefile, and what is put before it or into its environment.
struct Row {
    name: &'static str,
    settings: &'static [&'static str],
    command: &'static [&'static str],
}

const fn row(name: &'static str, settings: &'static [&'static str], command: &'static [&'static str]) -> Row {
    Row { name, settings, command }
}

/// By every library.
const WAYS: [Row; 5] = [
    row("dynamic, `-z lazy`", &[], &["/programs/dynamic"]),
    row("dynamic, hardened: `-z now`, `-fcf-protection=full`", &[], &["/programs/hardened"]),
    row("dynamic, at an address of its own", &[], &["/programs/fixed"]),
    row("static", &[], &["/programs/static"]),
    row("static-pie", &[], &["/programs/static_pie"]),
];
const OF_GLIBC: [Row; 8] = [
    row("started by the loader's name", &[], &["/lib64/ld-linux-x86-64.so.2", "/programs/dynamic"]),
    row("`LD_BIND_NOW`", &["LD_BIND_NOW=1"], &["/programs/dynamic"]),
    row("`LD_AUDIT`", &["LD_AUDIT=/programs/libaudit.so"], &["/programs/dynamic"]),
    row("jemalloc preloaded", &["LD_PRELOAD=libjemalloc.so.2"], &["/programs/dynamic"]),
    row("malloc with its checks", &["MALLOC_CHECK_=3", "LD_PRELOAD=libc_malloc_debug.so.0"], &["/programs/dynamic"]),
    row(
        "malloc with one arena and no cache",
        &["GLIBC_TUNABLES=glibc.malloc.arena_max=1:glibc.malloc.tcache_count=0"],
        &["/programs/dynamic"],
    ),
    row(
        "libraries below 4 GiB, which 2.41 and later know",
        &["GLIBC_TUNABLES=glibc.cpu.prefer_map_32bit_exec=1"],
        &["/programs/dynamic"],
    ),
    row("a shadow stack asked for", &["GLIBC_TUNABLES=glibc.cpu.x86_shstk=on"], &["/programs/hardened"]),
];
const OF_MUSL: [Row; 1] =
    [row("started by the loader's name", &[], &["/lib/ld-musl-x86_64.so.1", "/programs/dynamic"])];
/// The function is there, and the symbol table does not say so, or gives it less room than a jump takes.
const DAMAGED: [(&str, doctor::Damage); 2] = [
    ("dynamic; libc's `socket` not to be found", doctor::Damage::NoFunction),
    ("dynamic; libc's `socket` too short", doctor::Damage::TooShort),
];

#[test]
fn libcs_own_sockets_are_bound_or_the_program_is_refused_as_the_page_says() {
    let libraries = library::fetch();
    let mut world = World::with(Kind::Links, Set::Products).unwrap_or_else(|error| panic!("{error}"));
    let of = |name: &str| libraries.iter().filter(|library| library.name == name).collect::<Vec<&Library>>();
    let (glibc, musl) = (of("glibc"), [of("musl"), of("musl_built")].concat());
    for library in glibc.iter().chain(&musl) {
        library.furnish(world.bin());
        println!("{} of {}: {}", library.name, library.suite, library.package);
    }
    let mut tables = [Table::new(&glibc), Table::new(&musl)];
    for (table, more) in tables.iter_mut().zip([&OF_GLIBC[..], &OF_MUSL[..]]) {
        for row in WAYS.iter().chain(more) {
            table.row(row.name, |library| cell(&mut world, library, row));
        }
    }
    for (name, damage) in DAMAGED {
        tables[0].row(name, |library| {
            let _damaged = library.replace_by(&doctor::damaged(&library.object(), damage));
            cell(&mut world, library, &WAYS[0])
        });
    }
    page::compare(&tables);
}

/// What became of a program by the shim alone, and as vrfrun chooses; Err: what no page may say.
fn cell(world: &mut World, library: &Library, row: &Row) -> Result<String, String> {
    let mut started = |options: &[&str]| {
        let place = library.root.to_str().expect("a path");
        let inside = ["chroot", "--userspec=1000:1000", place, "/programs/busybox", "env"];
        let vrfrun = ["/vrfrun/vrfrun", "--interface"];
        world.judge(&root([&inside, row.settings, &vrfrun, options, &["blue"], row.command].concat()))
    };
    let alone = started(&["-m", "preload", "--no-supervisor"]);
    let chosen = started(&[]);
    let seen = || format!("by the shim alone: {alone}\nas vrfrun chooses: {chosen}");
    let said = chosen.error_text();
    assert!(!said.contains("libjemalloc") && !said.contains("libaudit"), "not loaded:\n{chosen}");
    if chosen.code == 0 && library.name == "glibc" {
        let by = format!("by glibc {}\n", library.version());
        assert!(said.contains(&by), "it was not linked with it:\n{chosen}");
    }
    match (Became::of(&alone), Became::of(&chosen)) {
        (Some(Became::Blue), Some(Became::Blue)) => Ok("blue".into()),
        (Some(Became::Refused(_)), Some(Became::Blue)) => Ok("blue, by the supervisor".into()),
        // And without the shim it is bound.
        (Some(Became::Refused(why)), Some(Became::Refused(again))) if why == again => {
            let without = started(&["-m", "seccomp"]);
            let is_blue = Became::of(&without) == Some(Became::Blue);
            if is_blue { Ok(format!("refused: {why}")) } else { Err(format!("{}by seccomp: {without}", seen())) }
        }
        _ => Err(seen()),
    }
}

/// What became of one program.
#[derive(PartialEq, Eq)]
enum Became {
    /// All its packets were in the VRF, its library's too.
    Blue,
    /// It did not start; why.
    Refused(String),
}

impl Became {
    fn of(verdict: &Verdict) -> Option<Self> {
        match (verdict.outcome, verdict.code) {
            (Outcome::Blue, 0) if verdict.answers == [Domain::Blue] => Some(Self::Blue),
            (Outcome::Closed, 125) => {
                let said = verdict.error_text();
                let why = said.lines().find_map(|line| line.strip_prefix("vrfrun: cannot bind"))?;
                Some(Self::Refused(why.rsplit(": ").next()?.to_owned()))
            }
            _ => None,
        }
    }
}
