//! What people install: `make install`, the packages and the tarballs of a release. Each goes in and comes out again, and
//! nothing of it is left. Needs root (a root file system of its own), and what `cargo build --release` made.

mod apparmor;
mod archives;
mod crates;
mod deb;
mod recipes;
mod rpm;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use vrftests::harness::programs;
use vrftests::harness::vm::image::top;

const OBJECT: &str = "vrfrun/libvrfshim.so";

/// Runs a command, which must succeed, and returns what it said.
fn run<W: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = W>) -> Output {
    let mut command = Command::new(program);
    let output = command.args(arguments).current_dir(top()).env_remove("MAKEFLAGS").env_remove("MFLAGS").output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; tools/install-packages installs it"));
    assert!(output.status.success(), "{command:?}: {}{}", text(&output.stdout), text(&output.stderr));
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn make(target: &str, variables: &[String]) {
    run("make", ["-s", "--no-print-directory", target].into_iter().chain(variables.iter().map(String::as_str)));
}

/// Every file and directory below this one.
fn content(directory: &Path) -> BTreeSet<String> {
    let output =
        run("find", [directory.as_os_str(), OsStr::new("-xdev"), OsStr::new("-printf"), OsStr::new("%P %y\n")]);
    text(&output.stdout).lines().map(str::to_owned).collect()
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path of these tests")
}

/// What this thread mounts from here on, nobody else sees.
fn enter_mount_namespace() {
    unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace; is this root?");
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).expect("private mounts");
}

/// In the place of products for another machine, the build of which takes minutes: programs that do nothing. What `make`
/// builds is run by `tools/vm arm64_6_1` and `tools/vm riscv64_6_12`.
fn foreign_products(directory: &Path, gnu: &str) -> String {
    let source = directory.join("nothing.c");
    std::fs::write(&source, "int main(void) { return 0; }\n").expect("a source");
    let compile = |words: &[&str], name: &str| {
        let target = directory.join(name);
        run("clang", [&*format!("--target={gnu}"), path(&source), "-o", path(&target)].iter().chain(words));
    };
    compile(&["-static"], "vrfrun");
    compile(&["-static"], "vrfsetup");
    compile(&["-shared", "-fPIC"], "libvrfshim.so");
    compile(&["-c", "-g"], "nothing.o");
    let archive = directory.join("libvrfshim.a");
    run(&format!("{gnu}-ar"), ["rcs", path(&archive), path(&directory.join("nothing.o"))]);
    format!("RELEASE={}", path(directory))
}

#[test]
fn make_uninstall_takes_away_what_make_install_put_there() {
    programs::products().unwrap_or_else(|missing| panic!("{missing}"));
    let directory = tempfile::tempdir().expect("a directory");
    let destination = format!("DESTDIR={}", directory.path().display());
    make("install", std::slice::from_ref(&destination));
    let files: Vec<_> = content(directory.path()).into_iter().filter(|entry| !entry.ends_with(" d")).collect();
    for name in ["bin/vrfrun", "sbin/vrfsetup", OBJECT, "libvrfshim.so.0", "vrfshim.h", "man1/vrfrun.1", "/_vrfsetup"] {
        assert!(files.iter().any(|file| file.contains(&format!("{name} "))), "no {name} in {files:?}");
    }
    let pc = files.iter().find_map(|file| file.strip_suffix(" f").filter(|file| file.ends_with("vrfshim.pc"))).unwrap();
    let flags = run("pkg-config", ["--cflags", "--libs", path(&directory.path().join(pc))]);
    assert!(text(&flags.stdout).contains("-I/usr/local/include") && text(&flags.stdout).contains("-lvrfshim"));

    make("uninstall", &[destination]);
    let left: Vec<_> = content(directory.path()).into_iter().filter(|entry| !entry.ends_with(" d")).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!content(directory.path()).iter().any(|entry| entry.ends_with("/vrfrun d")), "our own directory is left");
}
