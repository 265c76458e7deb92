//! The recipes of a kernel without VRFs, and of what shows who is where.

use super::guest_tests;
use crate::harness::judge::{Verdict, root, user};
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    a_port_is_a_domain_without_the_vrf_driver,
    each_vrf_answers_and_what_happens_in_one_is_seen,
}

/// The commands of a recipe, with this world's names in place of the page's.
fn commands(title: &str) -> Vec<String> {
    let page = include_str!("../../../../docs/recipes.md");
    let recipe = page.split("\n## ").find(|recipe| recipe.starts_with(title)).expect("a recipe");
    let lines = recipe.lines().filter_map(|line| line.strip_prefix("# "));
    let command = |line: &str| line.split("  #").next().unwrap_or_default().trim().to_owned();
    let here = |line: &str| line.replace("eth1", "blue0").replace("www.example.org", "www.vrf.test");
    lines.map(|line| here(&command(line)).replace("curl ", "curl -sS ")).collect()
}

#[track_caller]
fn succeeds(world: &mut World, command: &str) -> Verdict {
    let verdict = world.judge(&root(["sh", "-c", command]));
    assert_eq!(verdict.code, 0, "{command}\n{verdict}");
    verdict
}

/// What the kernel has of blue0 and of the rules.
fn state(world: &mut World) -> String {
    let shown = "ip rule; ip -6 rule; ip -d link show blue0; ip addr show blue0; ip route show table all dev blue0; \
                 ip -6 route show table all dev blue0";
    succeeds(world, shown).text()
}

fn a_port_is_a_domain_without_the_vrf_driver() {
    let mut world = World::of_machine(Kind::Bare).expect("a world");
    let commands = commands("A routing domain of one port");
    let [address, add, route, curl, doctor, del] = commands.as_slice() else { panic!("{commands:?}") };
    succeeds(&mut world, address);
    let before = state(&mut world);
    succeeds(&mut world, add);
    succeeds(&mut world, route);
    let words = ["sh", "-c", curl];
    world.judge(&root(words)).assert_blue();
    world.judge(&user(words)).assert_blue();
    let outside = world.judge(&user(["curl", "-sS", "http://www.vrf.test/"]));
    assert_eq!((outside.code, outside.answers.as_slice()), (0, [Domain::Default].as_slice()), "{outside}");
    assert_eq!(outside.packets(Domain::Blue), 0, "{outside}");
    // No VRF device was needed for it, though this kernel has the driver.
    assert_eq!(succeeds(&mut world, "ip link show type vrf").text(), "");
    // Doctor has findings of this world, but none of the domain's.
    let verdict = world.judge(&root(["sh", "-c", doctor]));
    assert!(!(verdict.text() + &verdict.error_text()).contains("blue"), "{verdict}");
    world.ip("addr add 203.0.113.1/24 dev blue0");
    let verdict = world.judge(&root(["sh", "-c", doctor]));
    assert!(
        (verdict.text() + &verdict.error_text()).contains("fix: vrfsetup add blue --port blue0 --emulate"),
        "{verdict}"
    );
    world.ip("addr del 203.0.113.1/24 dev blue0");
    succeeds(&mut world, del);
    assert_eq!(state(&mut world), before);
    world.judge(&user(words)).assert_closed();
}

fn each_vrf_answers_and_what_happens_in_one_is_seen() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    let commands = commands("Seeing what is in a VRF");
    let [each, trace, show, watch, metrics] = commands.as_slice() else { panic!("{commands:?}") };

    let verdict = succeeds(&mut world, each);
    for vrf in ["blue", "red"] {
        let answer = format!("{vrf}: 64 bytes from 198.51.100.1: ");
        assert!(verdict.text().lines().any(|line| line.starts_with(&answer)), "{verdict}");
    }
    assert_eq!(Domain::ALL.map(|domain| verdict.packets(domain) > 0), [false, true, true], "{verdict}");

    let verdict = world.judge(&root(["sh", "-c", trace]));
    verdict.assert_blue();
    let said = verdict.error_text();
    let is_it = |line: &str| line.contains(":80 inet") && line.ends_with(" stream tcp: blue");
    assert!(
        said.lines().any(|line| line.starts_with("vrfrun: curl[") && line.contains(" connect ") && is_it(line)),
        "{verdict}"
    );

    let mut sleeping = world.start(&root(["vrfrun", "blue", "python3", "-c", SOCKET]));
    sleeping.wait_for("made\n");
    let verdict = succeeds(&mut world, show);
    assert!(verdict.text().contains("python3"), "{verdict}");
    sleeping.terminate();
    sleeping.finish(&mut world);

    let mut watching = world.start(&root(["sh", "-c", &format!("exec {watch} --initial")]));
    // The last of what is there.
    watching.wait_for("rule added (ipv6) 32766: from all lookup main\n");
    world.ip("link set blue0 nomaster");
    watching.wait_for("port blue0 detached from blue\n");
    watching.terminate();
    watching.finish(&mut world);

    let metrics = format!("cd {} && {metrics} && cat vrf.prom", world.directory().display());
    let verdict = succeeds(&mut world, &metrics);
    assert!(verdict.text().contains("vrfsetup_vrf_sealed{family=\"ipv4\",vrf=\"blue\"} 1\n"), "{verdict}");
    assert!(verdict.text().ends_with("# EOF\n"), "{verdict}");
}

const SOCKET: &str = "import socket, time; s = socket.socket(); print('made', flush=True); time.sleep(600)";
