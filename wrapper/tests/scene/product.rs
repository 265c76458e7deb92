//! The directory with the products and the probes, made once for each test process, by whichever comes first.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// (name in the scene, source, compiler and its options).
const PROBES: [(&str, &str, &str); 14] = [
    ("probe", "probe.c", "gcc -pthread"),
    ("probe-static", "probe.c", "gcc -pthread -static"),
    ("probe-i386", "probe.c", "gcc -m32 -isystem /usr/include/x86_64-linux-gnu -pthread -static"),
    ("probe-asan", "probe.c", "gcc -pthread -fsanitize=address"),
    ("ancestor", "ancestor.c", "gcc"),
    ("escape", "escape.c", "gcc"),
    ("between", "between.c", "gcc"),
    ("lacks", "lacks.c", "gcc"),
    ("runtime", "runtime.c", "gcc"),
    ("hammer", "hammer.c", "gcc -static"),
    ("traced", "traced.c", "gcc -pthread"),
    ("traced-static", "traced.c", "gcc -pthread -static"),
    ("traced-i386", "traced.c", "gcc -m32 -isystem /usr/include/x86_64-linux-gnu -pthread -static"),
    ("hooks", "../../../tests/programs/hooks.c", "gcc"), // as the tests in virtual machines have it
];

/// The directory: vrfrun, libvrfshim.so beside it, and the probes.
pub fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scene");
        fs::create_dir_all(&directory).unwrap();
        // Tests are processes of their own that run at the same time: one builds, the others wait for it.
        let lock = fs::File::create(directory.join("lock")).unwrap();
        let _lock = nix::fcntl::Flock::lock(lock, nix::fcntl::FlockArg::LockExclusive).unwrap();
        place(Path::new(env!("CARGO_BIN_EXE_vrfrun")), &directory.join("vrfrun"));
        place(&shared_object(), &directory.join("libvrfshim.so"));
        for (name, source, compiler) in PROBES {
            let source = super::source(source);
            if is_older(&directory.join(name), &source) {
                compile(compiler, &source, &directory.join(name));
            }
        }
        directory
    })
}

/// The shim as it is shipped: `cargo test` itself builds it with unwinding and std, which is another library.
fn shared_object() -> PathBuf {
    run(Command::new(env!("CARGO"))
        .args(["build", "--release", "--lib", "--package", "vrfshim"])
        .current_dir(env!("CARGO_MANIFEST_DIR")));
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("release/libvrfshim.so")
}

fn compile(compiler: &str, source: &Path, program: &Path) {
    let fresh = program.with_extension("fresh");
    let mut words = compiler.split(' ');
    run(Command::new(words.next().unwrap())
        .args(words)
        .args(["-Wall", "-Wextra", "-Werror", "-O1", "-o"])
        .arg(&fresh)
        .arg(source));
    fs::rename(fresh, program).unwrap();
}

/// Copies what has changed, in one step: another test may be running the old one.
fn place(from: &Path, to: &Path) {
    if is_older(to, from) {
        let fresh = to.with_extension("fresh");
        fs::copy(from, &fresh).unwrap();
        fs::rename(fresh, to).unwrap();
    }
}

fn is_older(made: &Path, from: &Path) -> bool {
    let time = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    time(made) < time(from)
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; see tools/install-packages"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
