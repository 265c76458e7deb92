//! Where nft(8) fails, a tunnel receives nothing more; what it sends is in its VRF or stopped all the same.

use super::super::vrfsetup;
use super::scene::{BEHIND, PEERS, Scene, here, tables};
use crate::harness::judge::{Verdict, root};
use crate::harness::vm::plan::DIRECTORY;
use crate::harness::world::Domain;
use crate::harness::world::plan::{WEB4, WEB6};

/// Applies such a file as a boot does, on a machine that has no nft.
fn apply_without_nft(scene: &mut Scene, text: &str) -> Verdict {
    let file = scene.world.directory().join("x.toml");
    std::fs::write(&file, text).expect("a file");
    let words = ["env", "PATH=/nonexistent", &format!("{DIRECTORY}/vrfsetup"), "apply", "--each"];
    let said = scene.world.judge(&root(words.into_iter().chain([&*file.to_string_lossy()])));
    said.assert_says(1, "cannot look at what tunnels receive: cannot run nft: No such file or directory");
    said
}

/// Packets with the mark go to blue, and those of the tunnel do.
#[track_caller]
fn assert_sends_in_blue(scene: &mut Scene, mark: &str) {
    for web in [WEB4.to_string(), WEB6.to_string()] {
        let led = here(&format!("ip route get {web} mark {mark}"));
        assert!(led.contains("dev blue0"), "{led}");
    }
    scene.make(&format!("{WEB4}:{PEERS}"));
    here(&format!("wg set wg0 fwmark {mark}"));
    let ping = scene.ping(BEHIND[0], "2", "2");
    assert_eq!([Domain::Default, Domain::Red].map(|domain| ping.packets(domain)), [0; 2], "{ping}");
    assert!(ping.packets(Domain::Blue) > 0, "{ping}");
    scene.assert_strangers(&[Domain::Default, Domain::Red]);
}

pub fn without_nft_a_declared_tunnel_is_led_or_stopped() {
    let mut scene = Scene::new();
    let declared = vrfsetup(&mut scene.world, 0, "export").text() + "\n[tunnel]\nwg0 = \"blue\"\n";
    let before = tables();
    // Before it is there, and when it is.
    let said = apply_without_nft(&mut scene, &declared);
    assert_sends_in_blue(&mut scene, "0x56520001");
    said.assert_says(1, "no interface 'wg0' yet for VRF 'blue'");
    here("wg set wg0 fwmark 0");
    apply_without_nft(&mut scene, &declared);
    assert_eq!((here("wg show wg0 fwmark").as_str(), tables()), ("0x56520001", before));
    assert_sends_in_blue(&mut scene, "0x56520001");
    // Without blue.
    scene.world.ip("link del blue");
    let ping = scene.ping(BEHIND[0], "2", "2");
    assert_eq!(Domain::ALL.map(|domain| ping.packets(domain)), [0; 3], "{ping}");
}

pub fn without_nft_a_tunnel_follows_its_vrf_to_another_table() {
    let mut scene = Scene::new();
    scene.make(&format!("{WEB4}:{PEERS}"));
    vrfsetup(&mut scene.world, 0, "tunnel wg0 --in blue");
    let before = tables();
    let exported = vrfsetup(&mut scene.world, 0, "export").text();
    let swapped = exported.replace("[tunnel]\nwg0 = \"blue\"\n", "");
    let swapped = swapped.replace("table = 10\n", "table = 77\n").replace("table = 20\n", "table = 10\n");
    assert!(swapped.matches("table = ").count() == 2 && !swapped.contains("wg0"), "{swapped}");
    apply_without_nft(&mut scene, &swapped);
    assert!(here("ip -d link show red").contains("table 10"));
    assert_eq!(tables(), before);
    assert_sends_in_blue(&mut scene, "0x56520001");
}
