//! Debian's packages, in the guests' root file system.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Output;

use nix::mount::{MntFlags, umount2};
use tempfile::TempDir;
use vrftests::harness::programs;
use vrftests::harness::vm::image::{Root as Image, rootfs};

use super::{OBJECT, content, enter_mount_namespace, foreign_products, make, path, run, text};

fn packages() -> (TempDir, Vec<PathBuf>) {
    programs::products().unwrap_or_else(|missing| panic!("{missing}"));
    let directory = tempfile::tempdir().expect("a directory");
    make("deb", &[format!("DEBS={}", directory.path().display())]);
    let entries = std::fs::read_dir(directory.path()).expect("the packages");
    let packages: Vec<_> = entries.map(|entry| entry.expect("a package").path()).collect();
    assert_eq!(packages.len(), 3, "{packages:?}");
    (directory, packages)
}

/// A copy of the guests' root file system, in a mount namespace of this thread. Copied out of the image, since not every
/// machine has a loop device to spare.
struct Root {
    directory: TempDir,
}

impl Root {
    fn new() -> Self {
        enter_mount_namespace();
        let root = Self { directory: tempfile::tempdir().expect("a directory") };
        let image = rootfs(&Image::Usual).expect("the guests' root file system");
        run("debugfs", ["-R", &format!("rdump / {}", path(&root.path())), path(&image)]);
        // debugfs leaves device nodes out.
        run("mknod", ["-m", "666", path(&root.path().join("dev/null")), "c", "1", "3"]);
        run("mount", ["-t", "proc", "proc", path(&root.path().join("proc"))]);
        root
    }

    fn path(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// Runs a command in it.
    fn run(&self, words: &[&str]) -> Output {
        run("chroot", [path(&self.path())].iter().chain(words))
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = umount2(&self.path().join("proc"), MntFlags::MNT_DETACH);
    }
}

#[test]
fn debian_packages_work_and_leave_nothing_behind() {
    let (_directory, packages) = packages();
    let root = Root::new();
    std::fs::create_dir_all(root.path().join("etc/systemd/system")).expect("a directory");
    // As AppArmor 4 has it.
    std::fs::create_dir_all(root.path().join("etc/apparmor.d/abi")).expect("a directory");
    std::fs::write(root.path().join("etc/apparmor.d/abi/4.0"), "").expect("a file");
    let before = content(&root.path());
    for package in &packages {
        std::fs::copy(package, root.path().join("tmp").join(package.file_name().unwrap())).expect("a copy");
    }
    root.run(&["sh", "-c", "dpkg --install /tmp/*.deb"]);

    let version = text(&root.run(&["vrfrun", "--version"]).stdout);
    assert_eq!(version.trim(), format!("vrfrun {}", env!("CARGO_PKG_VERSION")));
    root.run(&["vrfsetup", "--version"]);
    // The preload object is found where the package put it, by name of this architecture.
    let preload = ["vrfrun", "-m", "preload", "--interface", "lo", "printenv", "LD_PRELOAD"];
    let preload = text(&root.run(&preload).stdout);
    assert!(preload.trim().starts_with("/usr/lib/") && preload.trim().ends_with(OBJECT), "{preload}");
    // A program that was linked with the library finds it.
    assert!(text(&root.run(&["ldconfig", "-p"]).stdout).contains("libvrfshim.so.0"));

    root.run(&["grep", "-qx", "profile vrfrun /usr/bin/vrfrun flags=(unconfined) {", "/etc/apparmor.d/vrfrun"]);
    // It is the administrator's: an upgrade keeps what they made of it, and that they removed it.
    let upgrade = "dpkg --install /tmp/vrfrun_*.deb";
    root.run(&["sh", "-c", &format!("echo '# ours' >>/etc/apparmor.d/vrfrun && {upgrade}")]);
    root.run(&["grep", "-qx", "# ours", "/etc/apparmor.d/vrfrun"]);
    root.run(&[
        "sh",
        "-c",
        &format!("mv /etc/apparmor.d/vrfrun /tmp/kept && {upgrade} && ! test -e /etc/apparmor.d/vrfrun"),
    ]);
    root.run(&["sh", "-c", "mv /tmp/kept /etc/apparmor.d/vrfrun && rm /tmp/*.deb"]);

    // A service that vrfsetup has put into a VRF would not start without it.
    let drop_in = root.path().join("etc/systemd/system/ssh.service.d");
    std::fs::create_dir(&drop_in).expect("a directory");
    std::fs::write(drop_in.join("50-vrf.conf"), "# made by vrfsetup unit blue\n").expect("a drop-in");
    root.run(&["sh", "-c", "! dpkg --purge vrfrun 2>/tmp/said && grep ssh.service.d /tmp/said && rm /tmp/said"]);
    root.run(&["vrfsetup", "--version"]);
    std::fs::remove_dir_all(&drop_in).expect("the drop-in");

    root.run(&["dpkg", "--purge", "vrfrun", "libvrfshim-dev", "libvrfshim0"]);
    let is_dpkgs_own = |entry: &&String| {
        ["var/lib/dpkg/", "var/cache/ldconfig/", "var/log/dpkg.log"].iter().any(|own| entry.starts_with(own))
    };
    let after = content(&root.path());
    let left: Vec<_> = after.difference(&before).filter(|entry| !is_dpkgs_own(entry)).collect();
    let gone: Vec<_> = before.difference(&after).filter(|entry| !is_dpkgs_own(entry)).collect();
    assert!(left.is_empty() && gone.is_empty(), "left {left:?}, gone {gone:?}");
    let traces = run("find", [path(&root.path().join("var/lib/dpkg/info")), "-name", "*vrf*"]);
    assert_eq!(text(&traces.stdout), "");
}

#[test]
fn lintian_finds_no_error_in_the_packages() {
    let (_directory, packages) = packages();
    // Fails by itself for errors; what else it says is for the eye.
    let said = run(
        "lintian",
        ["--fail-on", "error", "--allow-root"].iter().map(OsStr::new).chain(packages.iter().map(|p| p.as_os_str())),
    );
    println!("{}", text(&said.stdout));
}

#[test]
fn packages_for_another_machine_hold_nothing_of_this_one() {
    for (triple, gnu, architecture) in [
        ("aarch64-unknown-linux-gnu", "aarch64-linux-gnu", "arm64"),
        ("riscv64gc-unknown-linux-gnu", "riscv64-linux-gnu", "riscv64"),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let release = foreign_products(directory.path(), gnu);
        let debs = directory.path().join("debs");
        let variables = [format!("CROSS={triple}"), release, format!("DEBS={}", path(&debs))];
        make("deb", &variables);
        for name in ["vrfrun", "libvrfshim0", "libvrfshim-dev"] {
            let package = debs.join(format!("{name}_{}_{architecture}.deb", env!("CARGO_PKG_VERSION")));
            let field = run("dpkg-deb", ["--field", path(&package), "Architecture"]);
            assert_eq!(text(&field.stdout).trim_end(), architecture);
            run("dpkg-deb", ["--extract", path(&package), path(&directory.path().join("root"))]);
        }
        let files = content(&directory.path().join("root"));
        assert!(files.contains(&format!("usr/lib/{gnu}/vrfrun/libvrfshim.so f")), "{files:?}");
        assert!(!files.iter().any(|file| file.contains("x86_64") || file.contains("i386") || file.contains("lib32")));
    }
}
