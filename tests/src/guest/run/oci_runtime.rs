//! `vrfrun-runc`: runc for managers of containers that read no directory of hooks.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::json;

use super::containers::{Image, Inside, config};
use super::guest_tests;
use super::oci_hook::{ANNOTATION, fetch, is_blue};
use crate::harness::judge::root;
use crate::harness::vm::plan::DIRECTORY;
use crate::harness::world::{Domain, Kind, World};

guest_tests! {
    a_container_is_made_in_the_vrf_that_its_annotation_names,
}

/// As containerd calls it: made, started, one more program executed in it, deleted.
fn a_container_is_made_in_the_vrf_that_its_annotation_names() {
    let mut world = World::of_machine(Kind::Vrfs).expect("a world");
    let image = Image::musl(&world);
    let bundle = world.directory().join("bundle");
    fs::create_dir_all(&bundle).expect("a directory");
    let runtime = world.directory().join("vrfrun-runc");
    symlink(Path::new(DIRECTORY).join("vrfsetup"), &runtime).expect("a link");
    let id = "vrfrun-test-runc";
    let mut config = config(&world, &image, Inside::Root, &["/bin/busybox", "sleep", "1000"]);
    config["linux"]["cgroupsPath"] = format!("/{id}").into();
    // Another container's, where this one is called; containerd calls it in the bundle.
    let elsewhere = world.directory().join("elsewhere");
    fs::create_dir(&elsewhere).expect("a directory");
    config["annotations"] = json!({});
    fs::write(elsewhere.join("config.json"), config.to_string()).expect("a configuration");
    let mut runc = |words: &str| {
        let place = world.directory().display().to_string();
        let own = format!("env -C {place}/elsewhere {} --root {place}/runc", runtime.display());
        world.judge(&root(format!("{own} --log {place}/log --log-format json {words}").split_whitespace()))
    };
    let create = format!("create --bundle {} {id}", bundle.display());
    let short = create.replace("--bundle", "--b");
    for (create, vrf) in [(&create, Some("blue")), (&short, Some("blue")), (&create, None), (&create, Some("nope"))] {
        config["annotations"] = vrf.map_or(json!({}), |vrf| json!({ANNOTATION: vrf}));
        fs::write(bundle.join("config.json"), config.to_string()).expect("a configuration");
        let made = runc(create);
        if vrf == Some("nope") {
            assert_ne!(made.code, 0, "{made}");
            assert!(runc(&format!("state {id}")).code != 0, "it is there, outside");
            continue;
        }
        assert_eq!(made.code, 0, "{made}");
        assert_eq!(runc(&format!("start {id}")).code, 0);
        let fetched = runc(&format!("exec {id} {}", fetch()));
        match vrf {
            Some(_) => is_blue(&fetched),
            None => assert_eq!(fetched.answers.as_slice(), [Domain::Default].as_slice(), "{fetched}"),
        }
        assert_eq!(runc(&format!("delete -f {id}")).code, 0);
    }
    // What makes a container is never overlooked.
    for words in [format!("--new {create}"), format!("{create} --config x")] {
        let refused = runc(&words);
        assert!(refused.code == 1 && refused.error_text().starts_with("vrfrun-runc: "), "{refused}");
    }
    let log = fs::read_to_string(world.directory().join("log")).expect("the log");
    assert!(log.contains(r#""msg":"vrfrun-runc: option '--config' "#), "{log}");
}
