//! A tunnel that a boot's file declares and wg-quick(8) makes later, by the recipe's lines.

use super::super::vrfsetup;
use super::scene::{BEHIND, INSIDE, PEERS, PORT, Scene, here, tables};
use crate::harness::judge::{Verdict, root};
use crate::harness::vm::plan::DIRECTORY;
use crate::harness::world::plan::WEB4;
use crate::harness::world::{Domain, Kind, World};

/// What the recipe has for wg-quick's file.
fn lines() -> (&'static str, &'static str) {
    let page = include_str!("../../../../../docs/recipes.md");
    let recipe = page.split("\n## ").find(|recipe| recipe.contains("vrfsetup tunnel wg0")).expect("a recipe");
    let lines = recipe.split("```ini\n").nth(1).and_then(|lines| lines.split("\n```").next()).expect("lines");
    lines.split_once('\n').expect("two lines")
}

/// wg-quick's file.
fn write(scene: &Scene, lines: &str) -> String {
    let path = scene.world.directory().join("wg0.conf");
    let keys = (scene.private(), scene.public(1));
    let text = format!(
        "[Interface]\nPrivateKey = {}\nListenPort = {PORT}\nAddress = {}/24, {}/64\n{lines}\n\
         [Peer]\nPublicKey = {}\nEndpoint = {WEB4}:{PEERS}\nAllowedIPs = {}\nPersistentKeepalive = 1\n",
        keys.0,
        INSIDE[0],
        INSIDE[1],
        keys.1,
        BEHIND.join(",")
    );
    std::fs::write(&path, text).expect("a file");
    path.display().to_string()
}

#[track_caller]
fn wg_quick(scene: &mut Scene, verb: &str, path: &str) -> Verdict {
    let verdict = scene.world.judge(&root(["wg-quick", verb, path]));
    assert_eq!(verdict.code, 0, "{verdict}");
    verdict
}

pub fn a_declared_tunnel_is_expected_and_wg_quick_brings_it_up_in_blue() {
    let mut scene = Scene::new();
    let (mark, post_up) = lines();
    let declared = vrfsetup(&mut scene.world, 0, "export").text() + "\n[tunnel]\nwg0 = \"blue\"\n";
    let file = scene.world.directory().join("x.toml");
    std::fs::write(&file, declared).expect("a file");
    let apply = format!("apply --each {}", file.display());
    vrfsetup(&mut scene.world, 3, &apply).assert_says(3, "no interface 'wg0' yet for VRF 'blue'");
    let listed = vrfsetup(&mut scene.world, 0, "tunnel").text();
    let number = mark.rsplit(' ').next().expect("a mark");
    assert_eq!(listed, format!("wg0: outside in blue, fwmark {number}, no such interface, differs\n"));
    let found = vrfsetup(&mut scene.world, 3, "doctor").text();
    assert!(found.contains("there is no tunnel 'wg0'"), "{found}");

    // Without the command it only sends by blue.
    let path = write(&scene, mark);
    let up = wg_quick(&mut scene, "up", &path);
    let ping = scene.ping(BEHIND[0], "2", "2");
    for verdict in [&up, &ping] {
        assert_eq!([Domain::Default, Domain::Red].map(|domain| verdict.packets(domain)), [0; 2], "{verdict}");
    }
    assert!(up.packets(Domain::Blue) + ping.packets(Domain::Blue) > 0, "{up} {ping}");
    let found = vrfsetup(&mut scene.world, 3, "doctor").text();
    assert!(found.contains("'wg0' are not as they should be; fix: vrfsetup tunnel wg0 --in blue"), "{found}");
    wg_quick(&mut scene, "down", &path);

    // Again and again, with both lines.
    let path = write(&scene, &format!("{mark}\n{post_up}"));
    for _ in 0..2 {
        let up = wg_quick(&mut scene, "up", &path);
        assert_eq!([Domain::Default, Domain::Red].map(|domain| up.packets(domain)), [0; 2], "{up}");
        scene.assert_in_blue();
        let found = scene.world.judge(&root(["vrfsetup", "doctor"])).text();
        assert!(!found.contains("wg0"), "{found}");
        wg_quick(&mut scene, "down", &path);
    }
    scene.assert_strangers(&[Domain::Default, Domain::Red]);

    // With a mark of its own that one is led.
    let path = write(&scene, &format!("FwMark = 0xca6c\n{post_up}\nPostDown = vrfsetup tunnel %i --remove"));
    wg_quick(&mut scene, "up", &path);
    assert_eq!(here("wg show wg0 fwmark"), "0xca6c");
    scene.assert_in_blue();
    wg_quick(&mut scene, "down", &path);
    assert_eq!(vrfsetup(&mut scene.world, 0, "tunnel").text(), "");
    assert!(!here("ip rule").contains("fwmark") && !here("nft list ruleset").contains("vrfsetup_tunnels"));
}

/// Nor does one that is known already, where nft fails: each other part of the file is made.
pub fn without_nft_a_tunnel_costs_no_vrf() {
    let mut scene = Scene::new();
    scene.make(&format!("{WEB4}:{PEERS}"));
    vrfsetup(&mut scene.world, 0, "tunnel wg0 --in blue");
    let ruleset = tables();
    let file = scene.world.directory().join("x.toml");
    let declared = "[vrf.green]\ntable = 30\n[vrf.white]\ntable = 31\n";
    for (at, section) in ["[tunnel]\nwg0 = \"blue\"\n", ""].into_iter().enumerate() {
        std::fs::write(&file, format!("{declared}{section}")).expect("a file");
        let words = ["env", "PATH=/nonexistent", &format!("{DIRECTORY}/vrfsetup"), "apply", "--each"];
        let said = scene.world.judge(&root(words.into_iter().chain([&*file.to_string_lossy()])));
        said.assert_says(1, "cannot look at what tunnels receive: cannot run nft: No such file or directory");
        assert_eq!(said.error_text().matches("cannot run nft").count(), 1, "{said}");
        assert_eq!(tables(), ruleset);
        let made: Vec<String> = ["green", "white"].map(|vrf| here(&format!("ip -br link show {vrf}"))).into();
        assert!(made.iter().all(|line| line.contains("UP")), "{at}: {made:?}");
        ["green", "white"].iter().for_each(|vrf| scene.world.ip(&format!("link del {vrf}")));
    }
    scene.assert_in_blue();
}

/// One before it, which may be there already, needs none.
pub fn a_declared_tunnel_that_is_missing_has_the_same_mark_whoever_is_there() {
    let mut world = World::new(Kind::Vrfs).expect("a world");
    let world = &mut world;
    let declared = vrfsetup(world, 0, "export").text() + "\n[tunnel]\ngre1 = \"blue\"\nwg0 = \"blue\"\n";
    let file = world.directory().join("x.toml");
    std::fs::write(&file, declared).expect("a file");
    let apply = format!("apply --each {}", file.display());
    let listed = "wg0: outside in blue, fwmark 0x56520002, no such interface, differs\n";
    for is_there in [false, true] {
        if is_there {
            here(&format!("ip link add gre1 type gre remote {WEB4}"));
        }
        vrfsetup(world, 3, &apply).assert_says(3, "no interface 'wg0' yet for VRF 'blue'");
        let said = vrfsetup(world, 0, "tunnel").text();
        assert!(said.contains(listed), "{said}");
        ["gre1", "wg0"].iter().for_each(|name| drop(vrfsetup(world, 0, &format!("tunnel {name} --remove"))));
    }
}
