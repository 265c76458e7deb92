//! What a C programmer gets: the release build, and programs compiled against it.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The directory with libvrfshim.so and libvrfshim.a, built as they are shipped: `cargo test` itself builds with unwinding
/// and std, which is another library.
pub fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let cargo = Command::new(env!("CARGO"))
            .args(["build", "--release", "--lib", "--package", "vrfshim"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
        Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("release")
    })
}

pub fn shared_object() -> PathBuf {
    directory().join("libvrfshim.so")
}

/// A file beside this test: C source.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c").join(name)
}

/// Compiles `source` to a program of this name, in one step for tests that run it at the same time. The compiler's name
/// may bring options with it.
pub fn compile(compiler: &str, source: &Path, name: &str, options: &[&str]) -> PathBuf {
    compile_as(&format!("{compiler} -Wall -Wextra -Werror"), source, name, options)
}

/// The same without any options but these.
pub fn compile_as(compiler: &str, source: &Path, name: &str, options: &[impl AsRef<OsStr>]) -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let fresh = program.with_extension(format!("{}-{:?}", std::process::id(), std::thread::current().id()));
    let mut words = compiler.split(' ');
    let output = Command::new(words.next().unwrap())
        .args(words)
        .args(["-O1", "-o"])
        .arg(&fresh)
        .arg(source)
        .args(options)
        .output()
        .unwrap_or_else(|error| panic!("{compiler}: {error}; tools/install-packages installs it"));
    assert!(output.status.success(), "{compiler} {source:?}: {}", String::from_utf8_lossy(&output.stderr));
    std::fs::rename(fresh, &program).unwrap();
    program
}
