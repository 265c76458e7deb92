//! `vrfrun-runc` with a runc that shows what it was given.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

/// A directory with the link, a runc and a bundle, which goes with the test.
struct Scene(PathBuf);

impl Scene {
    fn new(name: &str, config: &Value) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oci_runtime").join(name);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(directory.join("bundle")).unwrap();
        symlink(env!("CARGO_BIN_EXE_vrfsetup"), directory.join("vrfrun-runc")).unwrap();
        fs::write(directory.join("runc"), "#!/bin/sh\necho \"$@\"\nexit 7\n").unwrap();
        fs::set_permissions(directory.join("runc"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(directory.join("bundle/config.json"), config.to_string()).unwrap();
        fs::set_permissions(directory.join("bundle/config.json"), fs::Permissions::from_mode(0o600)).unwrap();
        Self(directory)
    }

    fn run(&self, words: &str) -> Output {
        let mut command = Command::new(self.0.join("vrfrun-runc"));
        command.args(words.split_whitespace()).current_dir(&self.0);
        command.env("PATH", format!("{}:/usr/bin:/bin", self.0.display())).output().unwrap()
    }

    fn config(&self) -> Value {
        serde_json::from_slice(&fs::read(self.0.join("bundle/config.json")).unwrap()).unwrap()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn annotated() -> Value {
    json!({"ociVersion": "1.0.2", "annotations": {"io.vrfrun.vrf": "blue"}, "process": {"args": ["x"]}})
}

#[test]
fn runc_gets_its_words_and_a_configuration_with_the_hook() {
    let scene = Scene::new("created", &annotated());
    let words = "--root /r --log l --log-format json create --bundle bundle --pid-file p c1";
    for _ in 0..2 {
        let output = scene.run(words);
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stdout).trim_end()), (Some(7), words));
        let program = fs::canonicalize(env!("CARGO_BIN_EXE_vrfsetup")).unwrap();
        let mut expected = annotated();
        expected["hooks"] = json!({"createRuntime": [{"path": program, "args": ["vrfsetup", "oci-hook"]}]});
        assert_eq!(scene.config(), expected);
    }
    let mode = fs::metadata(scene.0.join("bundle/config.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(fs::read_dir(scene.0.join("bundle")).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn what_makes_no_container_in_a_vrf_is_runcs_own_affair() {
    let scene = Scene::new("others", &annotated());
    for words in ["--version", "state c1", "--root /r start c1", "delete --force create", ""] {
        let output = scene.run(words);
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stdout).trim_end()), (Some(7), words));
    }
    assert_eq!(scene.config(), annotated());
    let plain = Scene::new("plain", &json!({"ociVersion": "1.0.2"}));
    assert_eq!(plain.run("run --bundle bundle c1").status.code(), Some(7));
    assert_eq!(plain.config(), json!({"ociVersion": "1.0.2"}));
}

#[test]
fn what_cannot_be_understood_makes_no_container_and_says_why() {
    let scene = Scene::new("refused", &annotated());
    for (words, why) in [
        ("--log l --new create --bundle bundle c1", "unknown option '--new' before runc's command"),
        ("--log l create --config other --bundle bundle c1", "option '--config' would use another configuration"),
        ("--log l restore --bundle bundle c1", "cannot be restored"),
        ("--log l create --bundle nowhere c1", "nowhere/config.json"),
        ("--log l create c1", "config.json"),
    ] {
        let output = scene.run(words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && output.stdout.is_empty(), "{words}: {output:?}");
        assert!(
            said.starts_with("vrfrun-runc: ") && said.contains(why) && said.lines().count() == 1,
            "{words}: {said}"
        );
    }
    assert_eq!(scene.config(), annotated());
    // Where containerd and dockerd look for it.
    let log = fs::read_to_string(scene.0.join("l")).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() == 5 && lines.iter().all(|line| line["level"] == "error"), "{log}");
    fs::write(scene.0.join("bundle/config.json"), "{").unwrap();
    assert_eq!(scene.run("create --bundle bundle c1").status.code(), Some(1));
    fs::remove_file(scene.0.join("runc")).unwrap();
    let mut none = Command::new(scene.0.join("vrfrun-runc"));
    let output = none.arg("list").env("PATH", &scene.0).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}
