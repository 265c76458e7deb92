//! The table, as it is committed in docs/bench.md. Pure.

use std::fmt::Write;

use super::bar::{Bar, Limit, Mark, Unit};
use super::bars;
use super::{Measures, NANOSECONDS_PER_INSTRUCTION};

/// What the table cannot say.
const REMARKS: &str = "\n\
**One socket behind a filter.** The kernel takes the long way through its entry code for every system call of a process \
that has a seccomp filter, and asks the filter about `socket`; `setsockopt`, which the filter always allows, it remembers \
(5.11). *In C, behind a filter that looks at `socket`* is the floor: the C program's own two calls behind the shortest \
filter that sees sockets, four instructions. It alone takes more than the 1.05 that a socket of the shim may cost beside \
unfiltered C; so `preload` is held against it as well: what it takes beyond the floor is the shim's way to the call (the \
row *the shim alone*) and the instructions that look at the cookie. Without the filter a raw system call would leak.\n\
\n\
**Under systemd.** `systemd-run --scope -p BindNetworkInterface=` came with systemd 260: these lines are from a machine \
that Debian sid and its systemd boot; what the service manager and the bus do meanwhile is counted in.\n\
\n\
**Real time.** Those lines are from the machine that built the programs, with its own kernel and whatever else it did, in a \
network namespace with `--interface`: they show what instructions cannot, the switches between a program and the supervisor. \
Compare within the run only.\n";

/// The page.
pub fn page(release: &str, measures: &Measures) -> String {
    let mut page = format!(
        "# What it costs\n\n\
         Written by `make bench`: Linux {release} in a virtual machine with one CPU whose clock counts instructions \
         (QEMU `-icount shift=2`): what else the host does changes nothing, and two runs differ by little more than where \
         things lie in memory. *Instructions* are thousands of them, the kernel's included, and where the kernel \
         makes a process wait, as long as that takes; a start is the median of several, a socket the quickest of \
         many, and its use the same of several programs. *Added to a start* is what the way takes with `/bin/true` less what \
         `/bin/true` takes alone; with `preload` the shim's own start in the program is counted in. VRFs are made in \
         network namespaces of their own, where tables get no names (in the machine's own, each is a file), and once before it \
         is measured: a machine that has just started does other things as well.\n\n\
         | what | ours | beside | its | ratio | bar | |\n|---|--:|---|--:|--:|--:|---|\n"
    );
    for bar in bars::all() {
        page.push_str(&row(bar, measures));
    }
    page.push_str(REMARKS);
    page.push_str(&known(measures));
    page.push_str("\n![VRFs made and shown, by their number](bench-scale.svg)\n");
    page
}

/// The bars that were missed, in words, without those whose reason is known and which are missed by no more than known.
pub fn misses(measures: &Measures) -> Vec<&'static str> {
    let holds = |bar: &Bar, worst| Bar { limit: Some(worst), ..*bar }.mark(measures) == Mark::Pass;
    let is_explained = |bar: &&Bar| bar.known.is_some_and(|(_, worst)| holds(bar, worst));
    let missed = bars::all().filter(|bar| bar.mark(measures) == Mark::Miss);
    missed.filter(|bar| !is_explained(bar)).map(|bar| bar.what).collect()
}

/// Why bars are missed where they are.
fn known(measures: &Measures) -> String {
    let mut text = String::new();
    for bar in bars::all().filter(|bar| bar.mark(measures) == Mark::Miss) {
        if let Some((reason, _)) = bar.known {
            let _ =
                writeln!(text, "\n**Missed: {}** beside {}: {reason}.", bar.what.trim_start_matches("… "), bar.beside);
        }
    }
    text
}

fn row(bar: &Bar, measures: &Measures) -> String {
    let limit = match bar.limit {
        Some(Limit::AtMost(most)) => format!("≤ {most}"),
        Some(Limit::AtLeast(least)) => format!("≥ {least}"),
        None => String::new(),
    };
    let mark = match bar.mark(measures) {
        Mark::Pass => "pass",
        Mark::Miss => "**miss**",
        Mark::Informs => "",
    };
    let numbers = match bar.values(measures) {
        Some((ours, against, ratio)) => {
            format!("{} | {} | {} | {ratio:.3}", shown(ours, bar.unit), bar.beside, shown(against, bar.unit))
        }
        None => format!("not measured | {} | | ", bar.beside),
    };
    let mut row = String::new();
    let _ = writeln!(row, "| {} | {numbers} | {limit} | {mark} |", bar.what);
    row
}

fn shown(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Instructions if value < 1e6 => format!("{:.2} k", value / NANOSECONDS_PER_INSTRUCTION / 1e3),
        Unit::Instructions => grouped(value / NANOSECONDS_PER_INSTRUCTION / 1e3) + " k",
        Unit::Rate => grouped(1e9 / value),
        Unit::Microseconds => format!("{:.1} µs", value / 1e3),
        Unit::Plain => grouped(value),
    }
}

/// Digits in groups of three.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_in_groups_of_three() {
        assert_eq!(grouped(1_234_567.0), "1,234,567");
        assert_eq!(grouped(123.0), "123");
        assert_eq!(shown(4_000_000.0, Unit::Instructions), "1,000 k");
        assert_eq!(shown(10_000.0, Unit::Rate), "100,000");
    }

    #[test]
    fn without_measures_every_bar_is_missed_and_the_page_says_so() {
        let none = Measures::new();
        assert!(page("6.12", &none).contains("not measured"));
        assert_eq!(misses(&none).len(), bars::all().filter(|bar| bar.limit.is_some()).count());
    }
}
