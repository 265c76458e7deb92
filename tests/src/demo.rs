//! The demonstration: the same request without and with vrfrun, and whose answer came.
//!
//! May use `harness`. Shows what the judge counted, and fails where vrfrun does not do what it promises.

#![forbid(unsafe_code)]

use std::io;
use std::process::{Command, ExitCode};

use crate::harness::judge::{Order, Verdict, root, user};
use crate::harness::programs::Set;
use crate::harness::world::{Domain, Kind, World};

/// The kernel for a machine whose own has no VRFs.
pub const KERNEL: &str = "debian_6_12";

const URL: &str = "http://www.vrf.test/";

/// What `blue` and `red` can be on this kernel.
pub fn kind() -> Kind {
    if can_run_here() { Kind::Vrfs } else { Kind::Links }
}

/// Whether this machine's kernel has VRFs and we may make some.
pub fn can_run_here() -> bool {
    let add = ["--net", "ip", "link", "add", "vrf0", "type", "vrf", "table", "10"];
    Command::new("unshare").args(add).output().is_ok_and(|output| output.status.success())
}

/// Shows it.
pub fn main() -> ExitCode {
    match show() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One line of the table: who runs what.
struct Row {
    who: &'static str,
    words: &'static [&'static str],
}

const ROWS: [Row; 7] = [
    Row { who: "root", words: &[] },
    Row { who: "user", words: &[] },
    Row { who: "root", words: &["ip", "vrf", "exec", "blue"] },
    Row { who: "user", words: &["ip", "vrf", "exec", "blue"] },
    Row { who: "root", words: &["vrfrun", "blue"] },
    Row { who: "user", words: &["vrfrun", "blue"] },
    Row { who: "user", words: &["vrfrun", "red"] },
];

fn show() -> io::Result<()> {
    // Here in a namespace of its own, so that nothing of this machine changes.
    let mut world = World::with(Kind::Vrfs, Set::Products)?;
    println!("Three routing domains, default, blue and red, with the same addresses behind each.");
    println!("Every nameserver and web server answers with the name of its domain.\n");
    let mut table = Vec::new();
    let mut as_promised = true;
    for row in &ROWS {
        let verdict = world.judge(&row.order());
        println!("{} {}", if row.who == "root" { "#" } else { "$" }, row.command());
        print!("{}{}", verdict.text(), verdict.error_text());
        as_promised &= row.keeps_its_promise(&verdict);
        table.push((row.who, row.command(), answer(&verdict), verdict));
    }
    println!("\n{:<5} {:<44} {:<9} packets by default blue red", "who", "command", "answer");
    for (who, command, answer, verdict) in &table {
        let [default, blue, red] = Domain::ALL.map(|domain| verdict.packets(domain));
        println!("{who:<5} {command:<44} {answer:<9} {default:>18} {blue:>4} {red:>3}");
    }
    if as_promised { Ok(()) } else { Err(io::Error::other("vrfrun did not keep its promise")) }
}

impl Row {
    fn order(&self) -> Order {
        let words = self.words.iter().chain(&["curl", "-sS", "--max-time", "5", URL]);
        if self.who == "root" { root(words) } else { user(words) }
    }

    fn command(&self) -> String {
        [self.words, &["curl", URL]].concat().join(" ")
    }

    /// Under vrfrun: the answer of the domain that was asked for, and no packet elsewhere.
    fn keeps_its_promise(&self, verdict: &Verdict) -> bool {
        let ["vrfrun", vrf] = *self.words else { return true };
        let elsewhere = Domain::ALL.into_iter().filter(|domain| domain.name() != vrf);
        let stray: u64 = elsewhere.map(|domain| verdict.packets(domain)).sum();
        verdict.code == 0 && stray == 0 && answer(verdict) == vrf
    }
}

fn answer(verdict: &Verdict) -> &'static str {
    verdict.answers.first().map_or("none", |domain| domain.name())
}
