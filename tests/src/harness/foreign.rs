//! What a machine of another architecture runs: the products, the test programs and the guests' runner, cross-built here.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{Flock, FlockArg};

use super::kernels::Arch;
use super::programs::{PRODUCTS, compile, target};
use super::vm::image::top;

/// This crate's own programs in a guest.
const RUNNERS: [&str; 2] = ["vrfguest", "vrfpeer"];

/// Of Cargo.toml.
const PROFILE: &str = "guest";

/// Builds everything and returns the paths. The products are optimised as those that people install are, but for the linker's
/// part in it.
///
/// # Errors
/// When something cannot be built; its compiler's words are in it.
pub fn build(arch: Arch) -> io::Result<Vec<PathBuf>> {
    let triple = arch.foreign_triple().ok_or_else(|| io::Error::other("that is this machine"))?;
    let out = target().join(triple).join("test-programs");
    std::fs::create_dir_all(&out)?;
    // Two machines of one architecture share what is built.
    let lock = std::fs::File::create(out.with_extension("lock"))?;
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, error)| error)?;
    cargo(triple, &["--profile", PROFILE, "-p", "vrfrun", "-p", "vrfsetup", "-p", "vrfshim"])?;
    cargo(triple, &["-p", "vrftests", "--bin", RUNNERS[0], "--bin", RUNNERS[1]])?;
    let release = target().join(triple).join(PROFILE);
    let variables = [
        format!("CROSS={}", arch.gnu()),
        format!("GOARCH={}", arch.debian()),
        format!("RELEASE={}", release.display()),
    ];
    let mut programs = compile(&out, &variables)?;
    programs.extend(PRODUCTS.map(|name| release.join(name)));
    programs.extend(RUNNERS.map(|name| target().join(triple).join("debug").join(name)));
    Ok(programs)
}

fn cargo(triple: &str, words: &[&str]) -> io::Result<()> {
    let script = Path::new("tools/cross-cargo");
    let output =
        Command::new(top().join(script)).args([triple, "build", "-q"]).args(words).current_dir(top()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("{}: {}", script.display(), String::from_utf8_lossy(&output.stderr))))
}
