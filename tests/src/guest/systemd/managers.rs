//! vrfrun in the containers of systemd-nspawn and of LXC, on the host's network: packets decide, and the page about
//! sandboxes has what they say.

use std::fs;
use std::os::unix::fs::chown;

use super::guest_tests;
use super::machine::{Machine, machine};
use crate::guest::run::containers::Image;
use crate::harness::judge::{USER, root};
use crate::harness::sandboxes;
use crate::harness::world::Kind;
use crate::harness::world::plan::resolv_conf;

guest_tests! {
    each_container_of_nspawn_and_of_lxc_is_as_the_page_says,
}

/// A program that the shim can enter, and one that it cannot.
const PROGRAMS: [&str; 2] = ["/bin/resolve_musl", "/bin/plain_musl_static"];

/// What systemd-nspawn is told: its name on the page, and the options.
const NSPAWN: [(&str, &[&str]); 3] = [
    ("systemd-nspawn", &[]),
    ("systemd-nspawn `--no-new-privileges=yes`", &["--no-new-privileges=yes"]),
    (
        "systemd-nspawn `--private-users=100000:65536`",
        &["--private-users=100000:65536", "--private-users-ownership=map"],
    ),
];

/// The ids of an unprivileged container, whom the machine must have given them.
const IDS: &str = "root:100000:65536\n";
/// With ids of its own a container cannot mount a sysfs for a network that is the host's.
const UNPRIVILEGED: &str = "lxc.include = /usr/share/lxc/config/userns.conf
lxc.idmap = u 0 100000 65536
lxc.idmap = g 0 100000 65536
lxc.mount.auto =
lxc.mount.auto = proc:mixed cgroup:mixed
lxc.mount.entry = /sys sys none rbind,ro 0 0
";
/// LXC's monitor answers a call, as Incus has it do with security.syscalls.intercept.mknod, and so holds the listener.
const INTERCEPTED: &str = "2\ndenylist\n[all]\nmknod notify\nmknodat notify\n";
const USER_INSIDE: &str = "lxc.init.uid = 1000\nlxc.init.gid = 1000\n";
/// A plain user with a cgroup to make others in, as a login has it.
const AS_A_USER: &str = "systemd-run --quiet --wait --pipe --collect --uid=1000 --property=Delegate=yes";
/// Where LXC's monitors end; it stays for the next.
const PIVOT: &str = "/sys/fs/cgroup/lxc.pivot";

fn each_container_of_nspawn_and_of_lxc_is_as_the_page_says() {
    let mut world = machine(Kind::Vrfs);
    let image = image(&world);
    let tree = image.root.display().to_string();
    let mut table = sandboxes::head("inside");
    for (name, options) in NSPAWN {
        // Not registered: that is for containers with an init.
        let fixed = ["systemd-nspawn", "--quiet", "--pipe", "--register=no", "--keep-unit", "-D", &tree];
        table += &row(&mut world, name, &[&fixed, options].concat());
    }
    let filter = world.directory().join("intercepted.seccomp");
    fs::write(&filter, INTERCEPTED).expect("a filter");
    for file in ["/etc/subuid", "/etc/subgid"] {
        world.replace(file, IDS.as_bytes()).expect("more ids");
    }
    let users = world.directory().join("users");
    fs::create_dir(&users).expect("a directory");
    chown(&users, Some(USER), Some(USER)).expect("another owner");
    let users = users.display().to_string();
    let configuration = world.directory().join("lxc.conf").display().to_string();
    let listener = format!("lxc.seccomp.profile = {}\n", filter.display());
    let execute = |containers: &str| format!("lxc-execute -P {containers} -n vrftest -f {configuration} --");
    let (by_root, by_user) = (execute(&world.directory().display().to_string()), execute(&users));
    let by_user = format!("{AS_A_USER} --setenv=HOME={users} {by_user}");
    for (name, lines, command) in [
        ("LXC, privileged", String::new(), &by_root),
        ("LXC, unprivileged (`lxc.idmap`)", UNPRIVILEGED.to_owned(), &by_root),
        ("LXC, unprivileged, started by a plain user", UNPRIVILEGED.to_owned(), &by_user),
        ("LXC, which holds a listener (`mknod notify`)", listener.clone(), &by_root),
        ("LXC, which holds a listener, a plain user inside", format!("{listener}{USER_INSIDE}"), &by_root),
    ] {
        let common = "lxc.include = /usr/share/lxc/config/common.conf\n";
        let own = format!("lxc.rootfs.path = dir:{tree}\nlxc.net.0.type = none\nlxc.uts.name = test\n");
        fs::write(&configuration, format!("{common}{lines}{own}")).expect("a configuration");
        table += &row(&mut world, name, &command.split(' ').collect::<Vec<_>>());
    }
    let _ = fs::remove_dir(PIVOT);
    sandboxes::assert_documented("tests/src/guest/systemd/managers.rs", &table);
}

/// Its line of the table.
fn row(world: &mut Machine, name: &str, manager: &[&str]) -> String {
    let [dynamic, alone] = PROGRAMS.map(|program| {
        let vrfrun = ["/bin/vrfrun", "-v", "blue", program];
        world.judge(&root(manager.iter().chain(&vrfrun)))
    });
    sandboxes::row(name, [&dynamic, &alone])
}

/// What both take for a root file system: systemd-nspawn wants a /usr.
fn image(world: &Machine) -> Image {
    let image = Image::musl(world);
    for directory in ["usr", "var", "root", "run"] {
        fs::create_dir_all(image.root.join(directory)).expect("a directory");
    }
    fs::write(image.root.join("etc/resolv.conf"), resolv_conf()).expect("a file");
    image
}
