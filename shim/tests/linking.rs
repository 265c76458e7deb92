//! C programs that link the library as an installation offers it: header, pkg-config, shared and static, both libcs,
//! C99 and C++11, gcc and clang.

mod namespace;
mod product;

use product::{compile, compile_as, source};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const EXAMPLES: [&str; 3] = ["two_vrfs", "echo_server", "resolve_in"];
const STRICT: &str = "-pedantic -Wall -Wextra -Werror";

/// What `make install` makes of the files for C programmers.
fn installation() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        // Tests may be processes of their own that run at the same time; the thread has the test's name.
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("installed-for-{test}"));
        for package in ["libvrfshim0", "libvrfshim-dev"] {
            install(package, &directory);
        }
        directory
    })
}

/// dist/install, which the Makefile calls, with the directories that it would hand over.
fn install(package: &str, prefix: &Path) {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist/install"));
    command.args(["install", package]).env_remove("DESTDIR");
    for (name, place) in [
        ("PREFIX", ""),
        ("BINDIR", "bin"),
        ("SBINDIR", "sbin"),
        ("LIBDIR", "lib"),
        ("LIBDIR32", "lib32"),
        ("INCLUDEDIR", "include"),
        ("DATADIR", "share"),
        ("MANDIR", "share/man"),
        ("ZSHDIR", "share/zsh"),
        ("UNITDIR", "lib/systemd/system"),
        ("UDEVDIR", "lib/udev/rules.d"),
    ] {
        command.env(name, prefix.join(place));
    }
    let output =
        command.env("RELEASE", product::directory()).env("VERSION", env!("CARGO_PKG_VERSION")).output().unwrap();
    assert!(output.status.success(), "{package}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What `pkg-config WORDS vrfshim` says.
fn pkg_config(words: &[&str]) -> Vec<String> {
    let output = Command::new("pkg-config")
        .args(words)
        .arg("vrfshim")
        .env("PKG_CONFIG_PATH", installation().join("lib/pkgconfig"))
        .output()
        .expect("pkg-config; tools/install-packages installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().split_whitespace().map(Into::into).collect()
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name).with_extension("c")
}

/// Compiles and links with the flags of pkg-config, and with these more.
fn build(compiler: &str, source: &Path, name: &str, more: &[&str]) -> PathBuf {
    let mut flags = pkg_config(&["--cflags", "--libs"]);
    flags.extend(more.iter().map(|&flag| flag.to_owned()));
    flags.extend(["-pthread".into(), format!("-Wl,-rpath,{}/lib", installation().display())]);
    compile_as(&format!("{compiler} {STRICT}"), source, name, &flags)
}

#[test]
fn the_examples_build_as_c99_and_as_cpp11_with_gcc_and_with_clang() {
    for compiler in ["gcc -std=c99", "clang -std=c99", "g++ -x c++ -std=c++11", "clang++ -x c++ -std=c++11"] {
        for name in EXAMPLES {
            // With "-x c++" before it the library's name would be taken for source, but it stands behind "-l".
            build(compiler, &example(name), &format!("{name}-strict"), &[]);
        }
    }
}

#[test]
fn the_examples_build_for_musl() {
    for name in EXAMPLES {
        build("musl-gcc -std=c99", &example(name), &format!("{name}-musl"), &[]);
    }
}

#[test]
fn a_linked_program_asks_for_the_soname_and_nothing_unexpected() {
    let program = build("gcc -std=c99", &source("api.c"), "api-needed", &[]);
    let output = Command::new("readelf").arg("-dW").arg(program).output().unwrap();
    let needed: Vec<String> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| Some(line.split_once('[')?.1.trim_end_matches(']').to_owned()))
        .collect();
    assert_eq!(needed, ["libvrfshim.so.0", "libc.so.6"]);
}

/// api.c checks every error that can be had without a VRF, and that outputs and errno are left alone as promised.
fn keeps_its_promises(program: &Path) {
    let output = namespace::run(&mut namespace::command(namespace::DEVICES, program));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.ends_with(" checks passed\n"), "{program:?}: {output:?}");
}

#[test]
fn errors_are_as_documented_in_glibc_programs() {
    keeps_its_promises(&build("gcc -std=c99", &source("api.c"), "api", &[]));
    keeps_its_promises(&build("clang++ -x c++ -std=c++11", &source("api.c"), "api-cpp", &[]));
}

#[test]
fn vrf_set_is_refused_where_libcs_own_sockets_would_escape() {
    let program = build("gcc -std=c99", &source("api.c"), "api-half", &[]);
    let mut command = namespace::command(namespace::DEVICES, compile("cc", &source("confine.c"), "confine-half", &[]));
    let said = namespace::stdout(command.arg("both").arg(program).arg("half"));
    assert!(said.ends_with(" checks passed\n"), "{said}");
}

/// Its symbols then stand behind libc's, and only the redirection of libc's own socket() leads to it.
#[test]
fn opened_by_dlopen_it_works_and_leaves_sockets_alone_until_asked() {
    let script = "
import ctypes, os, socket
shim = ctypes.CDLL('libvrfshim.so.0', use_errno=True)
assert shim.vrf_set(b'nowhere') == -1
print(os.strerror(ctypes.get_errno()))
print(socket.socket().getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16))";
    let mut command = namespace::command(namespace::DEVICES, "timeout");
    command.args(["300", "/usr/bin/python3", "-c", script]).env("LD_LIBRARY_PATH", installation().join("lib"));
    assert_eq!(namespace::stdout(&mut command), "No such device\nb''\n");
}

#[test]
fn errors_are_as_documented_in_musl_programs() {
    keeps_its_promises(&build("musl-gcc -std=c99", &source("api.c"), "api-musl", &[]));
}

#[test]
fn errors_are_as_documented_in_statically_linked_programs() {
    keeps_its_promises(&build("gcc -std=c99 -static", &source("api.c"), "api-static", &[]));
    keeps_its_promises(&build("musl-gcc -std=c99 -static", &source("api.c"), "api-musl-static", &[]));
    // The library alone static, in a program that is not.
    let archive = installation().join("lib/libvrfshim.a");
    let include = format!("-I{}/include", installation().display());
    let flags = [include, archive.to_str().unwrap().to_owned()];
    keeps_its_promises(&compile_as(&format!("gcc -std=c99 {STRICT}"), &source("api.c"), "api-archive", &flags));
}
