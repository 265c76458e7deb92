//! The programs that run in a VRF during the tests: small C and Go files, built once on the host,
//! and the three products. Guests find them all in one directory.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{Flock, FlockArg};

use crate::harness::vm::image::top;
use crate::harness::vm::plan::DIRECTORY;

/// The products, as `cargo build --release` leaves them.
pub(super) const PRODUCTS: [&str; 3] = ["vrfrun", "vrfsetup", "libvrfshim.so"];

/// Directories with programs and a Makefile that builds them into OUT.
const SOURCES: [&str; 2] = ["tests/programs", "tests/leaks/programs"];

/// Which programs a world has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// The three products.
    Products,
    /// Those and all test programs.
    All,
}

/// Puts the products and the test programs where every user can run them, and says where that is.
/// In a guest they are there already; here they are copied, as a clone may lie in a closed home.
///
/// # Errors
/// When one is not built.
pub fn install_into(directory: &Path, set: Set) -> io::Result<PathBuf> {
    if in_guest() {
        return Ok(PathBuf::from(DIRECTORY));
    }
    let bin = directory.join("bin");
    std::fs::create_dir(&bin)?;
    let tests = if set == Set::All { build()? } else { Vec::new() };
    for program in tests.into_iter().chain(products().map_err(io::Error::other)?) {
        std::fs::copy(&program, bin.join(program.file_name().unwrap_or_default()))?;
    }
    Ok(bin)
}

/// Whether this process runs in one of our guests.
pub fn in_guest() -> bool {
    Path::new(DIRECTORY).join("plan.json").exists()
}

/// Builds the test programs; make does no work twice. Returns their paths.
///
/// # Errors
/// When one does not compile; its compiler's words are on stderr.
pub fn build() -> io::Result<Vec<PathBuf>> {
    let out = built();
    std::fs::create_dir_all(&out)?;
    // Several tests may want them at once: one builds, the others wait.
    let lock = std::fs::File::create(out.with_extension("lock"))?;
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, error)| error)?;
    compile(&out, &[])
}

/// Has make build them into `out`, with these variables set.
pub(super) fn compile(out: &Path, variables: &[String]) -> io::Result<Vec<PathBuf>> {
    for directory in SOURCES {
        let output = Command::new("make")
            .args(["-s", "-C"])
            .arg(top().join(directory))
            .arg(format!("OUT={}", out.display()))
            .args(variables)
            .env_remove("MAKEFLAGS")
            .output()?;
        if !output.status.success() {
            return Err(io::Error::other(format!("{directory}: {}", String::from_utf8_lossy(&output.stderr))));
        }
    }
    std::fs::read_dir(out)?.map(|entry| entry.map(|entry| entry.path())).collect()
}

/// The products' paths.
///
/// # Errors
/// When one was not built, with the command that does it.
pub fn products() -> Result<Vec<PathBuf>, String> {
    let paths: Vec<PathBuf> = PRODUCTS.iter().map(|name| target().join("release").join(name)).collect();
    match paths.iter().find(|path| !path.exists()) {
        None => Ok(paths),
        Some(missing) => Err(format!("{} is not built\nhint: cargo build --release", missing.display())),
    }
}

pub(super) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| top().join("target"), PathBuf::from)
}

fn built() -> PathBuf {
    target().join("test-programs")
}
