//! `metrics` of a VRF that is emulated, on this machine's kernel.

mod namespace;

use std::io::Read;
use std::process::Stdio;

use namespace::scene::{ADD, Scene};
use namespace::{assert_says, text};

#[test]
fn a_vrf_that_is_emulated_is_up_sealed_and_has_its_sockets() {
    let scene = Scene::new();
    assert_says(&scene.machine.vrfsetup(ADD), 0, "changed");
    // Bound by its own hand, and listening: perl says a line when it does.
    let perl =
        "socket(S, 2, 1, 0); setsockopt(S, 1, 25, qq(eth1\\0)); listen(S, 1) or die; $| = 1; print qq(x\\n); sleep 600";
    let mut held = scene.machine.command("perl").args(["-e", perl]).stdout(Stdio::piped()).spawn().expect("perl");
    held.stdout.take().expect("its output").read_exact(&mut [0; 2]).expect("a line");
    let metrics = text(&scene.machine.vrfsetup("metrics"));
    held.kill().and_then(|()| held.wait()).expect("its end");
    for line in [
        "vrfsetup_vrf_up{vrf=\"blue\"} 1\n",
        "vrfsetup_vrf_sealed{family=\"ipv4\",vrf=\"blue\"} 1\n",
        "vrfsetup_vrf_sealed{family=\"ipv6\",vrf=\"blue\"} 1\n",
        "vrfsetup_vrf_sockets{protocol=\"tcp\",vrf=\"blue\"} 1\n",
        "vrfsetup_vrf_processes{vrf=\"blue\"} 0\n",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    scene.machine.ip("link set eth1 down");
    let metrics = text(&scene.machine.vrfsetup("metrics"));
    assert!(metrics.contains("vrfsetup_vrf_up{vrf=\"blue\"} 0\n"), "{metrics}");
}
