//! vrfshim(3) has a section for each function and names each error that the header names.

use std::fs;
use std::path::Path;
use std::process::Command;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

#[test]
fn every_function_has_a_section_and_a_synopsis() {
    let page = read("../man/vrfshim.3");
    for function in include_str!("exports.txt").lines().filter(|name| name.starts_with("vrf_")) {
        assert!(page.contains(&format!("\n.Ss {function}\n")), "man/vrfshim.3 has no section {function}");
        assert!(page.contains(&format!("\n.Fn {function} ")), "man/vrfshim.3 has no synopsis of {function}");
    }
}

#[test]
fn every_error_of_the_header_stands_in_the_page() {
    let (page, header) = (read("../man/vrfshim.3"), read("../include/vrfshim.h"));
    let letters = |word: &&str| word.len() > 3 && word.starts_with('E') && word.bytes().all(|b| b.is_ascii_uppercase());
    // Only lines of the comments' lists: "  *   ENODEV  there is …".
    let lists = header.lines().filter_map(|line| line.strip_prefix(" *   "));
    let errors: Vec<&str> =
        lists.flat_map(|line| line.split([' ', ',', '('])).filter(letters).filter(|word| *word != "EMFILE").collect();
    assert!(errors.len() > 20, "{errors:?}");
    for error in errors {
        assert!(page.contains(&format!("\n.It Bq Er {error}\n")), "man/vrfshim.3 does not explain {error}");
    }
}

#[test]
fn mandoc_has_nothing_to_say_about_the_page() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../man/vrfshim.3");
    let output = Command::new("mandoc").args(["-Tlint", "-Wwarning"]).arg(page).output();
    let output = output.expect("mandoc; tools/install-packages installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
