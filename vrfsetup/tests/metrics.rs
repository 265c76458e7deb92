//! `metrics` of a VRF that is emulated, on this machine's kernel.

mod namespace;

use std::io::{Read, Write};
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

/// What Prometheus' own library reads in it: by the format of node_exporter's textfile collector, and by OpenMetrics.
const PARSE: &str = r#"
import sys
from prometheus_client import openmetrics, parser
from prometheus_client.openmetrics import parser as strict
text = sys.stdin.read()
read = [{f.name: f for f in p.text_string_to_metric_families(text)} for p in (parser, strict)]
assert read[0].keys() == read[1].keys(), (read[0].keys(), read[1].keys())
for families in read:
    for name, family in families.items():
        assert family.documentation and family.type == "gauge", family
        assert family.samples, f"{name} has no sample"
        for sample in family.samples:
            print(sample.name, *(f"{k}={v}" for k, v in sorted(sample.labels.items())), int(sample.value))
"#;

#[test]
fn prometheus_library_reads_each_number_in_both_formats() {
    let scene = Scene::new();
    assert_says(&scene.machine.vrfsetup(ADD), 0, "changed");
    let metrics = text(&scene.machine.vrfsetup("metrics"));
    // Debian's, which has that library, whatever else is installed.
    let mut python = std::process::Command::new("/usr/bin/python3");
    let mut python = python.args(["-c", PARSE]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3");
    python.stdin.take().expect("its input").write_all(metrics.as_bytes()).expect("a reader");
    let read = python.wait_with_output().expect("its end");
    assert!(read.status.success(), "{metrics}");
    let read = String::from_utf8(read.stdout).expect("text");
    let samples = metrics.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(read.lines().count(), 2 * samples, "{read}\n{metrics}");
    assert_eq!(read.matches("vrfsetup_vrf_up vrf=blue 1\n").count(), 2, "{read}");
    assert_eq!(read.matches("vrfsetup_vrf_sealed family=ipv6 vrf=blue 1\n").count(), 2, "{read}");
}
