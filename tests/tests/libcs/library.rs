//! A C library that tools/fetch-libcs has put into the cache: a root directory, to be furnished in the test's own mount
//! namespace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use vrftests::harness::vm::image::top;

const SUITES: [&str; 4] = ["bullseye", "bookworm", "trixie", "sid"];

/// A C library.
pub struct Library {
    /// glibc, musl, or musl_built.
    pub name: &'static str,
    /// Debian's release.
    pub suite: &'static str,
    /// The version of the package, or of the sources.
    pub package: String,
    /// The root directory.
    pub root: PathBuf,
    programs: PathBuf,
}

/// All of them, with the programs that were linked with them.
pub fn fetch() -> Vec<Library> {
    let libraries = PathBuf::from(said(Command::new(top().join("tools/fetch-libcs"))).trim_end());
    let programs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libcs").join(libraries.file_name().expect("a name"));
    fs::create_dir_all(&programs).expect("a directory");
    let lock = fs::File::create(programs.with_extension("lock")).expect("a lock");
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).expect("a lock");
    let mut make = Command::new("make");
    make.args(["-s", "-C"]).arg(top().join("tests/libc")).env_remove("MAKEFLAGS");
    make.arg(format!("OUT={}", programs.display())).arg(format!("LIBCS={}", libraries.display()));
    said(make);
    let packaged = SUITES.into_iter().flat_map(|suite| [("glibc", suite), ("musl", suite)]);
    packaged
        .chain([("musl_built", "bookworm")])
        .map(|(name, suite)| Library {
            name,
            suite,
            package: read(&libraries.join(suite).join(format!("{name}.version"))).trim_end().to_owned(),
            root: libraries.join(suite).join(name),
            programs: programs.join(format!("{suite}-{}", name.trim_end_matches("_built"))),
        })
        .collect()
}

impl Library {
    /// Its own version: the package's without what Debian adds.
    pub fn version(&self) -> &str {
        self.package.split('-').next().unwrap_or_default()
    }

    /// Puts the products, the programs and what every program wants into the root directory.
    pub fn furnish(&self, products: &Path) {
        let inside = [(Path::new("/proc"), "proc"), (Path::new("/dev"), "dev"), (products, "vrfrun")];
        for (what, place) in inside.into_iter().chain([(&*self.programs, "programs")]) {
            bind(what, &self.root.join(place));
        }
        bind(Path::new("/etc/resolv.conf"), &self.root.join("etc/resolv.conf"));
    }

    /// glibc's shared object.
    pub fn object(&self) -> PathBuf {
        fs::canonicalize(self.root.join("usr/lib/x86_64-linux-gnu/libc.so.6")).expect("glibc")
    }

    /// Shows another shared object in its place, until it is dropped.
    pub fn replace_by(&self, object: &[u8]) -> Replaced {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), object).expect("a file");
        fs::set_permissions(file.path(), fs::metadata(self.object()).expect("glibc").permissions()).expect("a file");
        bind(file.path(), &self.object());
        Replaced(self.object(), file)
    }
}

/// What is shown until it is dropped.
pub struct Replaced(PathBuf, #[expect(dead_code, reason = "removed when it is dropped")] tempfile::NamedTempFile);

impl Drop for Replaced {
    fn drop(&mut self) {
        umount2(&self.0, MntFlags::MNT_DETACH).expect("it is mounted");
    }
}

/// The mount namespace is the world's, and ends with the test.
fn bind(what: &Path, place: &Path) {
    let done = mount(Some(what), place, None::<&str>, MsFlags::MS_BIND, None::<&str>);
    done.unwrap_or_else(|error| panic!("{} on {}: {error}", what.display(), place.display()));
}

fn said(mut command: Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
