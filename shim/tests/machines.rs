//! i386, aarch64 and riscv64: the object builds, its unit tests pass, and its hook works in a program there — i386 on this
//! very kernel, the others under qemu-user. Also proves that Rust 1.85 is enough, which is what Debian's cross libraries
//! are of.
#![cfg(target_arch = "x86_64")]

mod namespace;
mod product;

use namespace::DEVICES;
use product::{compile, shared_object, source};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const I386: &str = "i686-unknown-linux-gnu";
const ORDER: &str = "VRFSHIM=0123456789abcdef:blue";
const AARCH64: Foreign = Foreign {
    machine: "aarch64-unknown-linux-gnu",
    gnu: "aarch64-linux-gnu",
    emulator: ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"],
};
const RISCV64: Foreign = Foreign {
    machine: "riscv64gc-unknown-linux-gnu",
    gnu: "riscv64-linux-gnu",
    emulator: ["qemu-riscv64", "-L", "/usr/riscv64-linux-gnu"],
};

/// A machine whose programs qemu-user runs.
struct Foreign {
    /// As Rust names it.
    machine: &'static str,
    /// As compilers and Debian's packages do.
    gnu: &'static str,
    emulator: [&'static str; 3],
}

/// Debian's compiler, fetched into the cache the first time.
fn compiler() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/fetch-cross-rust");
    let output = Command::new(script).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end()).join("rustc")
}

/// `cargo VERB` for another machine. Two tests at once are safe: cargo locks the directory.
fn cargo(machine: &str, words: &[&str]) {
    let mut command = Command::new(env!("CARGO"));
    command.args(words).args(["--lib", "--package", "vrfshim", "--target", machine]);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.env("RUSTC", compiler()).env("CARGO_TARGET_DIR", target_directory());
    for Foreign { machine, gnu, emulator } in [AARCH64, RISCV64] {
        let variable = |part: &str| format!("CARGO_TARGET_{}_{part}", machine.to_uppercase().replace('-', "_"));
        command.env(variable("LINKER"), "clang").env(variable("RUNNER"), emulator.join(" "));
        command.env(variable("RUSTFLAGS"), format!("-Clink-arg=--target={gnu}"));
    }
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{machine}: {said}");
}

fn target_directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("machines")
}

fn object(machine: &str) -> PathBuf {
    cargo(machine, &["build", "--release"]);
    target_directory().join(machine).join("release/libvrfshim.so")
}

#[test]
fn the_unit_tests_pass_on_i386() {
    cargo(I386, &["test"]);
}

#[test]
fn the_unit_tests_pass_on_aarch64() {
    cargo(AARCH64.machine, &["test"]);
}

#[test]
fn the_unit_tests_pass_on_riscv64() {
    cargo(RISCV64.machine, &["test"]);
}

const WAYS: [&str; 6] = ["socket", "inet6", "__socket", "syscall", "thread", "signal"];

fn all(outcome: &str) -> String {
    WAYS.iter().map(|way| format!("{way} {outcome}\n")).collect()
}

#[test]
fn every_way_to_make_an_inet_socket_is_bound_on_i386() {
    let program =
        compile("cc -m32 -isystem /usr/include/x86_64-linux-gnu", &source("probe.c"), "probe-i386", &["-pthread"]);
    let mut command = namespace::command(DEVICES, "env");
    command.arg(ORDER).arg(format!("LD_PRELOAD={}", object(I386).display())).arg(program).args(WAYS);
    assert_eq!(namespace::stdout(&mut command), all("blue"));
}

/// The emulator answers EINVAL to getsockopt(SO_BINDTODEVICE), so that the self-test cannot prove a binding there. With
/// a device that is missing each way that comes to us fails, and each that does not is open.
fn every_way_comes_to_us(on: &Foreign) {
    let compiler = format!("clang --target={}", on.gnu);
    let program = compile(&compiler, &source("probe.c"), &format!("probe-{}", on.gnu), &["-pthread"]);
    let preload = format!("LD_PRELOAD={}", object(on.machine).display());
    let mut command = namespace::command("true", on.emulator[0]);
    command.args(&on.emulator[1..]).args(["-E", ORDER, "-E", &preload]).arg(program).args(WAYS);
    assert_eq!(namespace::stdout(&mut command), all("No such device"));
}

#[test]
fn every_way_to_make_an_inet_socket_comes_to_us_on_aarch64() {
    every_way_comes_to_us(&AARCH64);
}

#[test]
fn every_way_to_make_an_inet_socket_comes_to_us_on_riscv64() {
    every_way_comes_to_us(&RISCV64);
}

/// The glibc of four releases of Debian for aarch64: the version of its package, and its root directory.
fn libraries() -> Vec<(String, String)> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/fetch-libcs");
    let output = Command::new(script).arg("arm64").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let all = String::from_utf8(output.stdout).unwrap();
    let of = |suite: &str| {
        let root = format!("{}/{suite}/glibc", all.trim_end());
        (fs::read_to_string(format!("{root}.version")).unwrap().trim_end().to_owned(), root)
    };
    ["bullseye", "bookworm", "trixie", "sid"].map(of).into()
}

/// The first two are of before Debian built for branch protection; under `-cpu max` the emulator holds the others to it. The
/// program is built for it. Without the shim libc's own function makes a socket; behind it there is no such device.
#[test]
fn libcs_own_socket_comes_to_us_in_each_glibc_for_aarch64() {
    let preload = format!("LD_PRELOAD={}", object(AARCH64.machine).display());
    for (number, (version, root)) in libraries().into_iter().enumerate() {
        let library = format!("{root}/usr/lib/aarch64-linux-gnu");
        let file = |name: &str| format!("{library}/{name}");
        let (compiler, name) = (format!("clang --target={} --sysroot={root}", AARCH64.gnu), format!("own-{number}"));
        let protection = "-mbranch-protection=standard";
        let options = ["-fPIE", "-pie", protection, "-Wl,-z,now", "-nostdlib", &file("Scrt1.o"), &file("crti.o")];
        let libraries = [&format!("-L{library}"), "-lc", "-l:libdl.so.2", &file("crtn.o")];
        let program = compile(&compiler, &source("own.c"), &name, &[&options[..], &libraries[..]].concat());
        let own = |before: &[&str]| {
            let mut command = namespace::command("true", "qemu-aarch64");
            command.args(["-cpu", "max", "-L", &root]).args(before).arg(&program);
            namespace::stdout(&mut command)
        };
        assert_eq!(own(&[]), "made\n", "{version}");
        assert_eq!(own(&["-E", ORDER, "-E", &preload]), "No such device\n", "{version}");
        let mut notes = Command::new("aarch64-linux-gnu-readelf");
        let notes = namespace::stdout(notes.arg("-n").arg(file("libc.so.6")));
        assert_eq!(notes.contains("AArch64 feature: BTI, PAC"), number >= 2, "{version}: {notes}");
        println!("glibc {version}");
    }
}

#[test]
fn one_value_of_ld_preload_serves_children_of_64_and_32_bits() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("multilib");
    // What the loaders of Debian, of its lib32 and of other distributions put for $LIB.
    let places = [("lib/x86_64-linux-gnu", shared_object()), ("lib64", shared_object())];
    let places_32 = [("lib/i386-linux-gnu", object(I386)), ("lib32", object(I386))];
    for (place, object) in places.into_iter().chain(places_32) {
        fs::create_dir_all(directory.join(place)).unwrap();
        fs::copy(object, directory.join(place).join("libvrfshim.so")).unwrap();
    }
    let programs = [
        compile("cc", &source("probe.c"), "probe-lib", &["-pthread"]),
        compile("cc -m32 -isystem /usr/include/x86_64-linux-gnu", &source("probe.c"), "probe-lib32", &["-pthread"]),
    ];
    let mut command = namespace::command(DEVICES, "env");
    command.arg(ORDER).arg(format!("LD_PRELOAD={}/$LIB/libvrfshim.so", directory.display()));
    command.args(["sh", "-c", "\"$0\" socket; \"$1\" socket"]).args(programs);
    assert_eq!(namespace::stdout(&mut command), "socket blue\nsocket blue\n");
}
