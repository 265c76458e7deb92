//! Containers as podman starts them: host network, no CAP_BPF, cgroups read-only, the container world's seccomp
//! profile. Two files copied in are enough, in a glibc image and in a musl one, as root inside and as a user.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::guest_tests;
use crate::harness::judge::{Verdict, root, user};
use crate::harness::seccomp;
use crate::harness::world::{Kind, World};

guest_tests! {
    a_glibc_image_as_root,
    a_glibc_image_as_a_user,
    a_musl_image_as_root,
    a_musl_image_as_a_user,
    a_rootless_container_in_a_user_namespace,
    a_container_that_a_plain_user_starts,
    bpf_says_why_it_cannot_be_had_in_a_container,
}

/// What podman leaves root in a container.
const CAPABILITIES: [&str; 11] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];
const USER: u32 = 1000;

/// An image's root file system, unmounted in the end.
pub struct Image {
    /// Where it is.
    pub root: PathBuf,
    is_mounted: bool,
}

impl Image {
    /// The guest's own system.
    fn glibc(world: &World) -> Self {
        let root = world.directory().join("glibc");
        fs::create_dir(&root).expect("a directory");
        run("mount", &["--bind", "/", path(&root)]);
        Self { root, is_mounted: true }
    }

    /// busybox, musl's dynamic linker, one program, and the two files.
    pub fn musl(world: &World) -> Self {
        let root = world.directory().join("musl");
        for directory in ["bin", "lib", "etc", "mnt", "proc", "dev", "sys", "tmp"] {
            fs::create_dir_all(root.join(directory)).expect("a directory");
        }
        fs::write(root.join("etc/resolv.conf"), "").expect("a file to mount over");
        copy(Path::new("/lib/ld-musl-x86_64.so.1"), &root.join("lib/ld-musl-x86_64.so.1"));
        copy(Path::new("/bin/busybox"), &root.join("bin/busybox"));
        symlink("busybox", root.join("bin/sh")).expect("a link");
        for file in ["vrfrun", "libvrfshim.so", "resolve_musl", "plain_musl", "plain_musl_static"] {
            copy(&world.bin().join(file), &root.join("bin").join(file));
        }
        Self { root, is_mounted: false }
    }

    /// COPY: products into a directory of the image.
    pub fn copy_in(&self, world: &World, files: &[&str], directory: &str) {
        let directory = self.root.join(directory.trim_start_matches('/'));
        fs::create_dir_all(&directory).expect("a directory");
        files.iter().for_each(|file| copy(&world.bin().join(file), &directory.join(file)));
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if self.is_mounted {
            run("umount", &["-l", path(&self.root)]);
        }
    }
}

/// Who runs inside.
#[derive(Clone, Copy, Debug)]
pub enum Inside {
    /// Root with what podman leaves it.
    Root,
    /// A plain user.
    User,
    /// The same without new privileges: a pod's restricted security context.
    Pod,
    /// Root of a user namespace of its own.
    RootOfUserNamespace,
    /// The same, with a runtime that runs without root: a plain user's own ids are all there are.
    RootOfUsers,
    UserOfUsers,
}

impl Inside {
    fn uid(self) -> u32 {
        if matches!(self, Self::User | Self::Pod | Self::UserOfUsers) { USER } else { 0 }
    }

    /// The user namespace's ids: inside, outside, how many.
    fn ids(self) -> Option<[u32; 3]> {
        match self {
            Self::Root | Self::User | Self::Pod => None,
            Self::RootOfUserNamespace => Some([0, 100_000, 65536]),
            Self::RootOfUsers | Self::UserOfUsers => Some([self.uid(), USER, 1]),
        }
    }
}

/// Runs a program in a container of the image, and judges it.
pub fn judge(world: &mut World, image: &Image, inside: Inside, words: &[&str]) -> Verdict {
    let bundle = world.directory().join("bundle");
    fs::create_dir_all(&bundle).expect("a directory");
    let config = config(world, image, inside, words);
    fs::write(bundle.join("config.json"), config.to_string()).expect("a configuration");
    // A runtime knows a container by its name, and one that failed stays known.
    let name = format!("vrfrun-test-{}", config_number());
    let as_user = matches!(inside, Inside::RootOfUsers | Inside::UserOfUsers);
    let state = if as_user { "/tmp/crun-user" } else { "/run/crun" };
    let words = ["crun", "--root", state, "--cgroup-manager=disabled", "run", "-b", path(&bundle), &name];
    world.judge(&if as_user { user(words) } else { root(words) })
}

fn config_number() -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

/// What podman would write for this container.
pub fn config(world: &World, image: &Image, inside: Inside, words: &[&str]) -> Value {
    let uid = inside.uid();
    let capabilities = if uid == 0 { &CAPABILITIES[..] } else { &[] };
    let bind =
        |from: &Path, to: &str| json!({"destination": to, "type": "bind", "source": from, "options": ["rbind", "ro"]});
    let mut namespaces: Vec<_> = ["pid", "ipc", "uts", "mount"].map(|kind| json!({"type": kind})).into();
    let mut linux = json!({"seccomp": seccomp::profile(capabilities)});
    if let Some([own, outer, count]) = inside.ids() {
        namespaces.push(json!({"type": "user"}));
        let mapping = json!([{"containerID": own, "hostID": outer, "size": count}]);
        linux["uidMappings"] = mapping.clone();
        linux["gidMappings"] = mapping;
    }
    linux["namespaces"] = namespaces.into();
    json!({
        "ociVersion": "1.0.2",
        "root": {"path": image.root, "readonly": true},
        "process": {
            "user": {"uid": uid, "gid": uid},
            "args": words,
            "env": ["PATH=/mnt:/usr/bin:/bin"],
            "cwd": "/",
            "noNewPrivileges": matches!(inside, Inside::Pod),
            "capabilities": {
                "bounding": CAPABILITIES, "permitted": capabilities, "effective": capabilities, "inheritable": [],
            },
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            bind(Path::new("/sys"), "/sys"),
            bind(world.bin(), "/mnt"),
            bind(Path::new("/etc/resolv.conf"), "/etc/resolv.conf"),
        ],
        "linux": linux,
    })
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().expect(program);
    assert!(status.success(), "{program} {arguments:?}: {status}");
}

fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

fn world() -> World {
    World::of_machine(Kind::Vrfs).expect("a world")
}

fn glibc_is_blue(inside: Inside) {
    let mut world = world();
    let image = Image::glibc(&world);
    for client in [&["curl", "-sS", "http://www.vrf.test/"][..], &["static_client"]] {
        let words: Vec<_> = ["vrfrun", "-v", "blue"].into_iter().chain(client.iter().copied()).collect();
        let verdict = judge(&mut world, &image, inside, &words);
        verdict.assert_blue();
        assert!(verdict.error_text().contains("mechanism=preload"), "{inside:?}\n{verdict}");
    }
}

fn a_glibc_image_as_root() {
    glibc_is_blue(Inside::Root);
}

fn a_glibc_image_as_a_user() {
    glibc_is_blue(Inside::User);
}

fn musl_is_blue(inside: Inside) {
    let mut world = world();
    let image = Image::musl(&world);
    for client in ["/bin/resolve_musl", "/bin/plain_musl_static"] {
        judge(&mut world, &image, inside, &["/bin/vrfrun", "blue", client]).assert_blue();
    }
}

fn a_musl_image_as_root() {
    musl_is_blue(Inside::Root);
}

fn a_musl_image_as_a_user() {
    musl_is_blue(Inside::User);
}

fn a_rootless_container_in_a_user_namespace() {
    let mut world = world();
    let image = Image::musl(&world);
    let words = ["/bin/vrfrun", "blue", "/bin/resolve_musl"];
    judge(&mut world, &image, Inside::RootOfUserNamespace, &words).assert_blue();
}

fn a_container_that_a_plain_user_starts() {
    let mut world = world();
    // Debian's 5.10 lets nobody but root make user namespaces; later kernels need not know the switch.
    let _ = fs::write("/proc/sys/kernel/unprivileged_userns_clone", "1");
    let image = Image::musl(&world);
    for inside in [Inside::RootOfUsers, Inside::UserOfUsers] {
        let words = ["/bin/vrfrun", "-v", "blue", "/bin/resolve_musl"];
        let verdict = judge(&mut world, &image, inside, &words);
        verdict.assert_blue();
        assert!(verdict.error_text().contains("mechanism=preload"), "{inside:?}\n{verdict}");
    }
}

fn bpf_says_why_it_cannot_be_had_in_a_container() {
    let mut world = world();
    let image = Image::musl(&world);
    let verdict = judge(&mut world, &image, Inside::Root, &["/bin/vrfrun", "-m", "bpf", "blue", "/bin/plain_musl"]);
    verdict.assert_says(125, "vrfrun: cannot bind to 'blue': bpf: ");
    verdict.assert_closed();
}
