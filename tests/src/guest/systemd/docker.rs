//! Docker and containerd, which read no directory of hooks: `vrfrun-runc` in the place of runc. `dockerd` leaves the machine's
//! network as it is here: its bridge and its NAT are not what is asked.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::json;

use super::guest_tests;
use super::machine::{Machine, machine, systemctl};
use crate::guest::run::containers::Image;
use crate::guest::run::oci_hook::{ANNOTATION, fetch, image, is_blue, is_closed};
use crate::guest::setup::vrfsetup;
use crate::harness::judge::{Verdict, root};
use crate::harness::sandboxes;
use crate::harness::vm::plan::DIRECTORY;
use crate::harness::world::{Domain, Kind};

guest_tests! {
    docker_and_containerd_put_containers_into_the_vrf,
    a_container_of_dockers_stays_in_the_vrf,
}

const RUNTIME: &str = "/usr/local/sbin/vrfrun-runc";
const CONFIGURATION: &str = "/etc/docker/daemon.json";
/// What each of these tests imports, from no registry.
const IMAGE: &str = "vrftest:1";
/// What containerd gives a container; no new privileges is its default.
const CAPABILITIES: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];
/// What the two keep for the next start.
const KEPT: [&str; 4] = ["/var/lib/docker", "/var/lib/containerd", "/run/docker", "/run/containerd"];

/// A machine whose dockerd runs, with an image.
struct Docker {
    world: Machine,
    _image: Image,
}

impl Docker {
    /// As docs/recipes.md has it.
    fn new() -> Self {
        let world = machine(Kind::Vrfs);
        symlink(Path::new(DIRECTORY).join("vrfsetup"), RUNTIME).expect("a link");
        let configuration = json!({
            "runtimes": {"vrf": {"path": RUNTIME}},
            "storage-driver": "vfs",
            "bridge": "none", "iptables": false, "ip6tables": false, "ip-forward": false,
        });
        fs::create_dir_all("/etc/docker").expect("a directory");
        fs::write(CONFIGURATION, configuration.to_string()).expect("a configuration");
        let image = image(&world);
        let mut docker = Self { world, _image: image };
        systemctl(&mut docker.world, 0, "start docker.service");
        let archive = docker.world.directory().join("image.tar").display().to_string();
        let tree = docker._image.root.display().to_string();
        docker.must(&format!("tar --numeric-owner -C {tree} -cf {archive} ."));
        docker.must(&format!("docker import {archive} {IMAGE}"));
        docker
    }

    fn judge(&mut self, words: &str) -> Verdict {
        self.world.judge(&root(words.split_whitespace()))
    }

    #[track_caller]
    fn must(&mut self, words: &str) -> Verdict {
        let verdict = self.judge(words);
        assert_eq!(verdict.code, 0, "{words}: {verdict}");
        verdict
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        // What cannot be removed is found by who looks at what is left.
        let _ = self.judge("systemctl stop docker.socket docker.service containerd.service");
        let _ = self.judge("umount /run/docker/netns/default");
        KEPT.iter().for_each(|directory| drop(fs::remove_dir_all(directory)));
        let _ = fs::remove_file(CONFIGURATION);
        let _ = fs::remove_file(RUNTIME);
    }
}

fn docker_and_containerd_put_containers_into_the_vrf() {
    let mut docker = Docker::new();
    let host = "docker run --rm --network host";
    let blue = format!("{host} --runtime vrf --annotation {ANNOTATION}=blue");
    for program in ["/bin/plain_musl_static", "/bin/plain", "/bin/go_client"] {
        is_blue(&docker.judge(&format!("{blue} {IMAGE} {program}")));
    }
    is_blue(&docker.judge(&format!("{blue} --user 1000 --cap-drop all {IMAGE} /bin/plain")));
    // As the recipe says: the runtime asks for the annotation, and without the runtime nobody does.
    for options in [format!("{host} --runtime vrf"), format!("{host} --annotation {ANNOTATION}=blue")] {
        let other = docker.judge(&format!("{options} {IMAGE} {}", fetch()));
        assert_eq!((other.code, other.answers.as_slice()), (0, [Domain::Default].as_slice()), "{options}: {other}");
    }
    for (vrf, network, why) in [("nope", "host", "no interface 'nope'"), ("blue", "none", "a network of its own")] {
        let options = format!("--rm --network {network} --runtime vrf --annotation {ANNOTATION}={vrf}");
        let refused = docker.judge(&format!("docker run {options} {IMAGE} /bin/busybox echo started"));
        is_closed(&refused);
        assert!(!refused.text().contains("started") && refused.error_text().contains(why), "{refused}");
    }
    containerd_does_the_same(&mut docker);
    vrfrun_inside_is_as_the_page_says(&mut docker);
}

/// The two with their own profiles of seccomp and AppArmor: vrfrun is in the image, and nobody outside knows of the VRF.
fn vrfrun_inside_is_as_the_page_says(docker: &mut Docker) {
    let host = "docker run --rm --network host";
    let image = format!("docker.io/library/{IMAGE}");
    let dropped = CAPABILITIES.map(|capability| format!("--cap-drop CAP_{capability}")).join(" ");
    let pod = format!("ctr run --rm --snapshotter native --net-host --seccomp --read-only --user 1000 {dropped}");
    let mut table = sandboxes::head("inside");
    for (name, words) in [
        ("Docker", format!("{host} {IMAGE}")),
        ("Docker, a plain user", format!("{host} --user 1000 {IMAGE}")),
        (
            "Docker, a user without capabilities and new privileges",
            format!("{host} --user 1000 --cap-drop all --security-opt no-new-privileges --read-only {IMAGE}"),
        ),
        ("containerd, a pod's restricted context", format!("{pod} {image} pod")),
    ] {
        let verdicts = ["/bin/plain", "/bin/plain_musl_static"]
            .map(|program| docker.judge(&format!("{words} /bin/vrfrun -v blue {program}")));
        table += &sandboxes::row(name, verdicts.each_ref());
    }
    sandboxes::assert_documented("tests/src/guest/systemd/docker.rs", &table);
    docker.must(&format!("ctr images rm {image}"));
}

fn a_container_of_dockers_stays_in_the_vrf() {
    let mut docker = Docker::new();
    let options = format!("-d --name held --network host --runtime vrf --annotation {ANNOTATION}=blue");
    docker.must(&format!("docker run {options} {IMAGE} /bin/busybox sleep 10000"));
    let execute = format!("docker exec held {}", fetch());
    is_blue(&docker.judge(&execute));
    let pid = docker.must("docker inspect --format {{.State.Pid}} held").text();
    let found = vrfsetup(&mut docker.world, 0, &format!("identify -j {}", pid.trim()));
    assert!(found.text().contains(r#""vrf":"blue","mechanism":"oci-hook""#), "{found}");
    docker.must("docker restart -t 0 held");
    is_blue(&docker.judge(&execute));
    // One daemon is killed, and the next starts the container again.
    systemctl(&mut docker.world, 0, "kill --kill-whom=main --signal=KILL docker.service");
    systemctl(&mut docker.world, 0, "start docker.service");
    docker.must("docker start held");
    is_blue(&docker.judge(&execute));
    // Without its VRF it has no other, and does not start again.
    docker.world.ip("link del blue");
    is_closed(&docker.judge(&execute));
    is_closed(&docker.judge("docker restart -t 0 held"));
    docker.must("docker rm -f held");
}

/// By its own client, and the image that Docker has.
fn containerd_does_the_same(docker: &mut Docker) {
    let archive = docker.world.directory().join("saved.tar").display().to_string();
    docker.must(&format!("docker save -o {archive} {IMAGE}"));
    docker.must(&format!("ctr images import --snapshotter native {archive}"));
    let run = format!("ctr run --rm --snapshotter native --runc-binary {RUNTIME} --net-host");
    let image = format!("docker.io/library/{IMAGE}");
    is_blue(&docker.judge(&format!("{run} --annotation {ANNOTATION}=blue {image} one {}", fetch())));
    let refused = docker.judge(&format!("{run} --annotation {ANNOTATION}=nope {image} two /bin/busybox echo started"));
    is_closed(&refused);
    assert!(!refused.text().contains("started") && refused.error_text().contains("no interface 'nope'"), "{refused}");
}
