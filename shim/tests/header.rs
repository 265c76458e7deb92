//! include/vrfshim.h is what cbindgen writes from src/capi.rs today.
#![cfg(target_arch = "x86_64")]

use std::fs;
use std::path::{Path, PathBuf};

fn own_directory() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn header() -> PathBuf {
    own_directory().join("../include/vrfshim.h")
}

fn generate() -> Vec<u8> {
    let config = cbindgen::Config::from_file(own_directory().join("cbindgen.toml")).unwrap();
    let builder = cbindgen::Builder::new().with_config(config).with_src(own_directory().join("src/capi.rs"));
    let mut text = Vec::new();
    builder.generate().unwrap().write(&mut text);
    text
}

#[test]
fn the_committed_header_is_the_generated_one() {
    let generated = generate();
    if std::env::var_os("WRITE_HEADER").is_some() {
        fs::write(header(), &generated).unwrap();
    }
    let committed = fs::read(header()).unwrap_or_default();
    assert!(committed == generated, "run: WRITE_HEADER=1 cargo test -p vrfshim --test header");
}
