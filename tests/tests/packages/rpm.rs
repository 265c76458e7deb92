//! RPMs, in a root file system with nothing but a shell.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MntFlags, umount2};
use tempfile::TempDir;
use vrftests::harness::programs;
use vrftests::harness::vm::image::top;

use super::{OBJECT, content, enter_mount_namespace, foreign_products, make, path, run, text};

const NAMES: [&str; 3] = ["vrfrun", "libvrfshim0", "libvrfshim-devel"];

struct Rpms(TempDir);

impl Rpms {
    fn new() -> Self {
        programs::products().unwrap_or_else(|missing| panic!("{missing}"));
        let directory = tempfile::tempdir().expect("a directory");
        make("rpm", &[format!("RPMS={}", path(directory.path()))]);
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        let version = env!("CARGO_PKG_VERSION");
        self.0.path().join(format!("{name}-{version}-1.{}.rpm", std::env::consts::ARCH))
    }

    /// What rpm says about one.
    fn query(&self, what: &str, name: &str) -> String {
        text(&run("rpm", ["--query", "--package", what, path(&self.path(name))]).stdout)
    }
}

/// A root file system in a mount namespace of this thread. What other packages would bring: a shell, ldconfig, and
/// directories.
struct Root(TempDir);

impl Root {
    fn new() -> Self {
        enter_mount_namespace();
        let root = Self(tempfile::tempdir().expect("a directory"));
        for directory in ["bin", "sbin", "dev", "etc/systemd/system", "proc", "usr/lib64"] {
            std::fs::create_dir_all(root.path().join(directory)).expect("a directory");
        }
        std::fs::copy("/bin/busybox", root.path().join("bin/busybox")).expect("busybox");
        std::fs::copy("/sbin/ldconfig", root.path().join("sbin/ldconfig")).expect("ldconfig");
        for name in ["sh", "cp", "chmod", "grep", "rm", "env"] {
            symlink("busybox", root.path().join("bin").join(name)).expect("a link");
        }
        std::fs::write(root.path().join("etc/ld.so.conf"), "/usr/lib64\n").expect("a file");
        run("mknod", ["-m", "666", path(&root.path().join("dev/null")), "c", "1", "3"]);
        run("mount", ["-t", "proc", "proc", path(&root.path().join("proc"))]);
        root.rpm(&["--initdb"]);
        root
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Its database is where rpm has it, whatever Debian says about that.
    fn rpm_command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("rpm");
        command.args(["--root", path(self.path()), "--dbpath", "/var/lib/rpm"]).args(words);
        command
    }

    fn rpm(&self, words: &[&str]) {
        let output = self.rpm_command(words).output().expect("rpm");
        assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
    }

    /// Runs a command in it, and returns what it says.
    fn run(&self, words: &[&str]) -> String {
        text(&run("chroot", [path(self.path())].iter().chain(words)).stdout)
    }

    /// Of the directories only ours: the others are other packages'.
    fn files(&self) -> Vec<String> {
        let is_ours = |entry: &String| !entry.ends_with(" d") || entry.contains("vrf");
        let is_rpms = |entry: &String| entry.starts_with("var/lib/rpm/");
        content(self.path()).into_iter().filter(|entry| is_ours(entry) && !is_rpms(entry)).collect()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = umount2(&self.path().join("proc"), MntFlags::MNT_DETACH);
    }
}

/// What stands at the top of the tree by a name that rpmbuild would give: vrfrun-VERSION-build, vrfrun-VERSION-SPECPARTS.
fn made_by_rpmbuild() -> Vec<String> {
    let entries = std::fs::read_dir(top()).expect("the tree");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with("-build") || name.ends_with("SPECPARTS")).collect()
}

#[test]
fn rpms_work_and_leave_nothing_behind() {
    let (rpms, root) = (Rpms::new(), Root::new());
    root.run(&["ldconfig"]);
    let before = root.files();
    // Nothing else was installed by rpm there, so what they require is asked of them in another test.
    let files = NAMES.map(|name| rpms.path(name));
    let words: Vec<_> = ["--install", "--nodeps"].into_iter().chain(files.iter().map(|file| path(file))).collect();
    root.rpm(&words);

    assert_eq!(root.run(&["vrfrun", "--version"]), format!("vrfrun {}\n", env!("CARGO_PKG_VERSION")));
    root.run(&["vrfsetup", "--version"]);
    let environment = root.run(&["vrfrun", "-m", "preload", "--interface", "lo", "env"]);
    let preload = format!("LD_PRELOAD=/usr/lib64/{OBJECT}");
    assert!(environment.lines().any(|line| line == preload), "{environment}");
    assert!(root.run(&["ldconfig", "-p"]).contains("libvrfshim.so.0"));
    assert!(!root.path().join("etc/apparmor.d").exists(), "a profile without AppArmor");
    root.rpm(&["--verify", "--nodeps", "vrfrun", "libvrfshim0", "libvrfshim-devel"]);

    // A service that vrfsetup has put into a VRF would not start without it.
    let drop_in = root.path().join("etc/systemd/system/ssh.service.d");
    std::fs::create_dir(&drop_in).expect("a directory");
    std::fs::write(drop_in.join("50-vrf.conf"), "# made by vrfsetup unit blue\n").expect("a drop-in");
    let refused = root.rpm_command(&["--erase", "vrfrun"]).output().expect("rpm");
    let said = text(&refused.stderr);
    assert!(!refused.status.success() && said.contains("ssh.service.d"), "{said}");
    root.run(&["vrfsetup", "--version"]);
    std::fs::remove_dir_all(&drop_in).expect("the drop-in");

    root.rpm(&["--erase", "vrfrun", "libvrfshim-devel", "libvrfshim0"]);
    assert_eq!(root.files(), before);
    assert_eq!(text(&root.rpm_command(&["--query", "--all"]).output().expect("rpm").stdout), "");
}

#[test]
fn rpmlint_finds_no_error_and_no_rpm_requires_a_library() {
    let rpms = Rpms::new();
    let (configuration, files) = (top().join("dist/rpmlint.toml"), NAMES.map(|name| rpms.path(name)));
    let words = ["-c", path(&configuration)].into_iter().chain(files.iter().map(|file| path(file)));
    println!("{}", text(&run("rpmlint", words).stdout));
    for name in NAMES {
        let required = rpms.query("--requires", name);
        assert!(!required.contains(".so"), "{name}: {required}");
        let provided = rpms.query("--provides", name);
        let library = provided.lines().find(|line| line.contains(".so"));
        assert_eq!(library, (name == "libvrfshim0").then_some("libvrfshim.so.0()(64bit)"), "{name}");
    }
    assert!(rpms.query("--requires", "libvrfshim-devel").contains("libvrfshim0 = "));
}

#[test]
fn the_same_programs_give_the_same_rpms_and_another_machines_are_its_own() {
    let before = made_by_rpmbuild();
    let (first, second) = (Rpms::new(), Rpms::new());
    assert_eq!(made_by_rpmbuild(), before, "left in the tree");
    for name in NAMES {
        let read = |rpms: &Rpms| std::fs::read(rpms.path(name)).expect("an RPM");
        assert!(read(&first) == read(&second), "{name} differs");
    }
    for (triple, gnu, machine) in [
        ("aarch64-unknown-linux-gnu", "aarch64-linux-gnu", "aarch64"),
        ("riscv64gc-unknown-linux-gnu", "riscv64-linux-gnu", "riscv64"),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let release = foreign_products(directory.path(), gnu);
        make("rpm", &[format!("CROSS={triple}"), release, format!("RPMS={}", path(directory.path()))]);
        let foreign = directory.path().join(format!("vrfrun-{}-1.{machine}.rpm", env!("CARGO_PKG_VERSION")));
        assert_eq!(text(&run("rpm", ["-qp", "--queryformat", "%{ARCH}", path(&foreign)]).stdout), machine);
    }
}
