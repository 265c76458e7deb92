//! docs/libc.md: its tables, written or compared.

use std::fmt::Write;
use std::fs;

use vrftests::harness::vm::image::top;

use crate::library::Library;

const BEGIN: &str = "<!-- measured: written by tests/tests/libcs/main.rs -->\n";
const END: &str = "<!-- end of what was measured -->\n";

/// One table: a column for each library, a row for each program.
pub struct Table<'a> {
    libraries: &'a [&'a Library],
    text: String,
    faults: String,
}

impl<'a> Table<'a> {
    /// With the head only.
    pub fn new(libraries: &'a [&'a Library]) -> Self {
        let heads: Vec<String> = libraries.iter().map(|library| head(library)).collect();
        let text = format!("| a program | {} |\n|---|{}\n", heads.join(" | "), "---|".repeat(libraries.len()));
        Self { libraries, text, faults: String::new() }
    }

    /// A program by each library; Err of one: what no page may say.
    pub fn row(&mut self, name: &str, mut cell: impl FnMut(&Library) -> Result<String, String>) {
        let _ = write!(self.text, "| {name} |");
        for library in self.libraries {
            let said = cell(library).unwrap_or_else(|fault| {
                let _ = writeln!(self.faults, "{name} by {}: {fault}", head(library));
                "LEAK or a crash".into()
            });
            let _ = write!(self.text, " {said} |");
        }
        self.text.push('\n');
    }
}

/// Debian's newest moves: its version is told, and not compared.
fn head(library: &Library) -> String {
    let (name, version) = (library.name.trim_end_matches("_built"), library.version());
    match (library.suite, library.name) {
        (_, "musl_built") => format!("{name} {version} with its older allocator and landing pads"),
        ("sid", _) => format!("{name} of sid ({version})"),
        _ => format!("{name} {version}"),
    }
}

/// Writes the page where that is wanted; otherwise it has to be the same.
pub fn compare(tables: &[Table]) {
    let text = tables.iter().map(|table| &*table.text).collect::<Vec<_>>().join("\n");
    println!("{text}");
    let faults: String = tables.iter().map(|table| &*table.faults).collect();
    assert!(faults.is_empty(), "neither in the VRF nor refused with a reason:\n{faults}");
    let path = top().join("docs/libc.md");
    let page = fs::read_to_string(&path).expect("the page");
    let (before, rest) = page.split_once(BEGIN).expect("the first mark");
    let (_, after) = rest.split_once(END).expect("the second mark");
    let measured = format!("{before}{BEGIN}\n{text}\n{END}{after}");
    if std::env::var_os("WRITE_LIBC").is_some() {
        return fs::write(path, measured).expect("the page");
    }
    assert_eq!(
        without_newest(&page),
        without_newest(&measured),
        "WRITE_LIBC=1 cargo test -p vrftests --test libcs writes docs/libc.md again"
    );
}

/// `of sid (2.43)` without the version.
fn without_newest(page: &str) -> String {
    let mut parts = page.split(" of sid (");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + " of sid" + part.split_once(')').map_or(part, |(_, rest)| rest))
}
