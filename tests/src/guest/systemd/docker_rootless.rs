//! Docker without root: a plain user's dockerd, in namespaces of RootlessKit's, started by the script that Debian's package
//! brings. What leaves its network is slirp4netns's, a process of the user's; with `--net=host` it has the machine's network.

use std::fs;
use std::os::unix::fs::chown;
use std::process::Command;

use super::guest_tests;
use super::machine::{Machine, machine};
use crate::guest::run::containers::Image;
use crate::guest::run::oci_hook::{fetch, image, is_blue, is_closed};
use crate::guest::setup::{take_out, vrfsetup};
use crate::harness::judge::{Order, USER, Verdict, user};
use crate::harness::sandboxes;
use crate::harness::world::{Domain, Kind};

guest_tests! {
    a_rootless_docker_has_no_vrf_inside_and_all_of_it_is_in_its_users,
    a_rootless_docker_on_the_machines_network_starts_no_container_there,
}

/// Debian's.
const SCRIPT: &str = "/usr/share/docker.io/contrib/dockerd-rootless.sh";
const SERVICE: &str = "vrftest-rootless";
/// Of what this dockerd does with a network, nothing is asked here.
const OPTIONS: [&str; 7] = [
    "--bridge=none",
    "--iptables=false",
    "--ip6tables=false",
    "--ip-forward=false",
    "--storage-driver=vfs",
    // The other one wants the user's own D-Bus.
    "--exec-opt=native.cgroupdriver=cgroupfs",
    "--log-level=error",
];
/// Of the script: the machine's network, to which no ports are forwarded.
const HOST: [(&str, &str); 2] =
    [("DOCKERD_ROOTLESS_ROOTLESSKIT_NET", "host"), ("DOCKERD_ROOTLESS_ROOTLESSKIT_PORT_DRIVER", "none")];
/// Imported from no registry.
const IMAGE: &str = "vrftest:1";
const RUN: &str = "run --rm --network host";

/// A plain user's dockerd, with an image.
struct Rootless {
    world: Machine,
    _image: Image,
}

impl Rootless {
    /// With what the script is told by its environment.
    fn new(told: &[(&str, &str)]) -> Self {
        let world = machine(Kind::Vrfs);
        // slirp4netns makes a device, and a plain user loads no module.
        assert!(Command::new("modprobe").arg("tun").status().is_ok_and(|status| status.success()));
        let image = image(&world);
        let home = world.directory().join("home");
        fs::create_dir_all(home.join("run")).expect("a directory");
        for directory in [home.clone(), home.join("run")] {
            chown(directory, Some(USER), Some(USER)).expect("another owner");
        }
        let mut rootless = Self { world, _image: image };
        rootless.start(told);
        let archive = rootless.world.directory().join("image.tar").display().to_string();
        let tree = rootless._image.root.display().to_string();
        let packed = Command::new("tar").args(["--numeric-owner", "-C", &tree, "-cf", &archive, "."]).status();
        assert!(packed.is_ok_and(|status| status.success()));
        let imported = rootless.docker(&format!("import {archive} {IMAGE}"));
        assert_eq!(imported.code, 0, "{imported}");
        rootless
    }

    /// As the user's unit of dockerd-rootless-setuptool.sh does; it says by itself when it is up.
    fn start(&mut self, told: &[(&str, &str)]) {
        let home = self.world.directory().join("home").display().to_string();
        let mut command = Command::new("systemd-run");
        command.args(["--quiet", "--collect", "--unit", SERVICE, "--uid", &USER.to_string()]);
        command.args(["--slice", &format!("user-{USER}.slice")]);
        command
            .args(["Type=notify", "NotifyAccess=all", "Delegate=yes", "KillMode=mixed"].map(|one| format!("-p{one}")));
        let own = [("HOME", home.clone()), ("XDG_RUNTIME_DIR", format!("{home}/run"))];
        let told = told.iter().map(|(name, value)| (*name, (*value).to_owned()));
        command.args(own.into_iter().chain(told).map(|(name, value)| format!("--setenv={name}={value}")));
        let status = command.arg(SCRIPT).args(OPTIONS).status();
        assert!(status.is_ok_and(|status| status.success()), "no dockerd: journalctl -u {SERVICE}");
    }

    /// A command line of the user's.
    fn order(&self, words: &str) -> Order {
        let socket = format!("unix://{}/home/run/docker.sock", self.world.directory().display());
        user(["docker", "--host", &socket].into_iter().chain(words.split_whitespace()))
    }

    fn docker(&mut self, words: &str) -> Verdict {
        let order = self.order(words);
        self.world.judge(&order)
    }

    /// Its line of the table: a program that the shim can enter, and one that it cannot.
    fn row(&mut self, name: &str) -> String {
        let verdicts = ["/bin/plain", "/bin/plain_musl_static"]
            .map(|program| self.docker(&format!("{RUN} {IMAGE} /bin/vrfrun -v blue {program}")));
        sandboxes::row(name, verdicts.each_ref())
    }
}

impl Drop for Rootless {
    fn drop(&mut self) {
        // What stays is found by who looks at what is left.
        let _ = Command::new("systemctl").args(["stop", SERVICE]).status();
        take_out(&["1000"]);
    }
}

fn a_rootless_docker_has_no_vrf_inside_and_all_of_it_is_in_its_users() {
    let mut rootless = Rootless::new(&[]);
    let table = sandboxes::head("inside") + &rootless.row("Docker without root");
    // slirp4netns is the user's, and what it sends for a container so too.
    let unbound = format!("{RUN} {IMAGE} {}", fetch());
    let before = rootless.docker(&unbound);
    assert_eq!((before.code, before.answers.as_slice()), (0, [Domain::Default].as_slice()), "{before}");
    vrfsetup(&mut rootless.world, 0, "user 1000 blue");
    is_blue(&rootless.docker(&unbound));
    sandboxes::assert_documented("tests/src/guest/systemd/docker_rootless.rs", &table);
}

/// As the page says: nobody else's network is for its containers, not even the machine's.
fn a_rootless_docker_on_the_machines_network_starts_no_container_there() {
    let mut rootless = Rootless::new(&HOST);
    let refused = rootless.docker(&format!("{RUN} {IMAGE} {}", fetch()));
    is_closed(&refused);
    assert!(refused.error_text().contains("into network namespace"), "{refused}");
}
