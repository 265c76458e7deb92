//! The tarballs of a release. Here they are made of the programs that are built already; that two builds give the same
//! bytes is tried by `tools/dist-twice`, every night.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use vrftests::harness::programs;
use vrftests::harness::vm::image::top;

use super::{content, make, path, run, text};

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn programs_name() -> String {
    format!("vrfrun-{VERSION}-linux-{}", std::env::consts::ARCH)
}

/// The tarballs, of whatever is committed.
pub(super) fn archives() -> TempDir {
    programs::products().unwrap_or_else(|missing| panic!("{missing}"));
    let directory = tempfile::tempdir().expect("a directory");
    make("dist-of-built", &["DIRTY=1".to_owned(), format!("DIST={}", path(directory.path()))]);
    directory
}

/// Unpacks one, as its README says.
pub(super) fn unpack(archives: &TempDir, name: &str) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let archive = archives.path().join(format!("{name}.tar.gz"));
    run("tar", ["--strip-components=1", "-C", path(directory.path()), "-xzf", path(&archive)]);
    directory
}

fn bytes(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(directory).expect("the archives").map(|entry| entry.expect("an archive"));
    entries.map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).expect("its bytes"))).collect()
}

/// Has another tree make its archives, with nothing of what this one's `make` was told.
fn make_there(tree: &Path) -> Output {
    let mut command = Command::new("make");
    for name in ["MAKEFLAGS", "MFLAGS", "CARGO_TARGET_DIR"] {
        command.env_remove(name);
    }
    command.args(["-s", "dist-of-built"]).current_dir(tree).output().expect("make")
}

#[test]
fn archives_are_the_same_bytes_whoever_makes_them_and_when() {
    let first = archives();
    let directory = tempfile::tempdir().expect("a directory");
    let release = directory.path().join("elsewhere");
    std::fs::create_dir(&release).expect("a directory");
    let products = programs::products().expect("built");
    for product in products.iter().chain([&products[0].with_file_name("libvrfshim.a")]) {
        // A copy has another time; its mode and the umask are those of a careful person.
        run("install", ["-m", "700", path(product), path(&release)]);
    }
    // What an older release left there is not this one's.
    let dist = directory.path().join("dist");
    let older = dist.join("vrfrun-0.0.0.tar.gz");
    std::fs::create_dir(&dist).expect("a directory");
    std::fs::write(&older, "older").expect("a file");
    let line = format!("umask 077; make -s dist-of-built DIRTY=1 DIST={} RELEASE={}", path(&dist), path(&release));
    run("env", ["TZ=Asia/Tokyo", "LC_ALL=C.UTF-8", "sh", "-c", &line]);
    std::fs::remove_file(&older).expect("the older file");
    let (first, second) = (bytes(first.path()), bytes(&dist));
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
    for (name, bytes) in &first {
        assert!(*bytes == second[name], "{name} differs");
    }
}

#[test]
fn what_is_unpacked_works_where_it_is() {
    let archives = archives();
    run("sh", ["-c", &format!("cd {} && sha256sum --quiet --strict -c SHA256SUMS", path(archives.path()))]);
    let root = unpack(&archives, &programs_name());
    let vrfrun = root.path().join("bin/vrfrun");
    assert_eq!(text(&run(path(&vrfrun), ["--version"]).stdout), format!("vrfrun {VERSION}\n"));
    run(path(&root.path().join("sbin/vrfsetup")), ["--version"]);
    let preload = run(path(&vrfrun), ["-m", "preload", "--interface", "lo", "printenv", "LD_PRELOAD"]);
    let object = root.path().join("lib/vrfrun/libvrfshim.so");
    assert_eq!(text(&preload.stdout).trim(), path(&object));
    for program in ["bin/vrfrun", "sbin/vrfsetup", "lib/vrfrun/libvrfshim.so"] {
        let dynamic = text(&run("readelf", ["-d", path(&root.path().join(program))]).stdout);
        assert!(!dynamic.contains("NEEDED"), "{program}: {dynamic}");
    }
    let broken = run("find", [path(root.path()), "-xtype", "l"]);
    assert_eq!(text(&broken.stdout), "", "links that lead nowhere");
    let pages = content(root.path());
    for name in ["share/man/man1/vrfrun.1", "share/doc/vrfrun/LICENSE-MIT", "include/vrfshim.h", "lib/libvrfshim.so.0"]
    {
        assert!(pages.contains(&format!("{name} f")), "no {name} in {pages:?}");
    }
}

#[test]
fn the_tarball_of_sources_is_the_commit() {
    let archives = archives();
    let root = unpack(&archives, &format!("vrfrun-{VERSION}"));
    let git = |words: &[&str]| text(&run("git", words.iter().copied()).stdout);
    let tree = git(&["ls-tree", "-r", "--format=%(objectname) %(path)", "HEAD"]);
    let line = "find . -type f -printf '%P\\n' | sort >../names; git hash-object --no-filters --stdin-paths <../names | paste -d' ' - ../names";
    let line =
        format!("cd {} && {}", path(root.path()), line.replace("../names", path(&archives.path().join("names"))));
    let unpacked = text(&run("sh", ["-c", &line]).stdout);
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(lines(&tree), lines(&unpacked));

    // Nothing can be released from there: its sources would be nobody's commit.
    let output = make_there(root.path());
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("make dist: the sources are those of a commit"), "{said}");
}

#[test]
fn what_is_not_committed_is_not_released() {
    let directory = tempfile::tempdir().expect("a directory");
    run("git", ["clone", "-q", path(top()), path(directory.path())]);
    std::fs::write(directory.path().join("README.md"), "changed\n").expect("a change");
    let output = make_there(directory.path());
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("make dist: there are uncommitted changes"), "{said}");
}

#[test]
fn the_bill_of_materials_names_each_crate_of_the_products_with_its_checksum() {
    let archives = archives();
    let document = std::fs::read(archives.path().join(format!("{}.cdx.json", programs_name()))).expect("it");
    let document: Value = serde_json::from_slice(&document).expect("JSON");
    assert_eq!((&document["bomFormat"], &document["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let components = document["components"].as_array().expect("a list");
    let lock: toml::Table = toml::from_str(&std::fs::read_to_string(top().join("Cargo.lock")).unwrap()).expect("TOML");
    let locked = |component: &Value| {
        let packages = lock["package"].as_array().unwrap().iter();
        let mut same = packages.filter(|p| p["name"].as_str() == component["name"].as_str());
        same.find(|p| p["version"].as_str() == component["version"].as_str()).expect("a locked crate").clone()
    };
    for component in components.iter().filter(|component| component["purl"].is_string()) {
        let sum = component["hashes"][0]["content"].as_str();
        assert!(sum.is_some() && sum == locked(component)["checksum"].as_str(), "{component}");
        assert!(component["licenses"][0]["expression"].is_string(), "{component}");
    }
    let names: Vec<_> = components.iter().map(|component| component["name"].as_str().unwrap()).collect();
    let crates =
        ["vrfrun", "vrfsetup", "vrfshim", "vrfnl", "clap", "nix", "io-uring", "rtnetlink", "toml", "glibc", "rust-std"];
    for name in crates {
        assert!(names.contains(&name), "no {name} in {names:?}");
    }
    for name in ["vrftests", "proptest", "tempfile", "cbindgen", "redhook"] {
        assert!(!names.contains(&name), "{name} is a test's");
    }
    let mut references: BTreeSet<_> =
        components.iter().map(|component| &component["bom-ref"]).map(Value::to_string).collect();
    assert_eq!(references.len(), components.len(), "two components of one name");
    references.insert(document["metadata"]["component"]["bom-ref"].to_string());
    for dependency in document["dependencies"].as_array().expect("a list") {
        let targets = dependency["dependsOn"].as_array().expect("a list").iter().chain([&dependency["ref"]]);
        targets.for_each(|target| assert!(references.contains(&target.to_string()), "{target} is no component"));
    }
}
