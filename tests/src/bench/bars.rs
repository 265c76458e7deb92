//! What the numbers must be (DESIGN, "Speed"), and whether they are. Pure.

use super::Measures;

/// One line of the table: a number beside another, and the most that their ratio may be.
#[derive(Debug)]
pub struct Bar {
    /// What is measured.
    pub what: &'static str,
    /// Its number.
    pub ours: Term,
    /// What it is held against.
    pub against: Term,
    /// How that is called.
    pub beside: &'static str,
    /// The limit; None where the line only informs.
    pub limit: Option<Limit>,
    /// The unit that both numbers are shown in.
    pub unit: Unit,
}

/// How a number comes from the measures.
#[derive(Clone, Copy, Debug)]
pub enum Term {
    /// As it was measured.
    Of(&'static str),
    /// The first without what the second takes anyway.
    Added(&'static str, &'static str),
    /// A number that stands in the design.
    Fixed(f64),
}

/// What the ratio must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Thousands of instructions, from virtual nanoseconds.
    Instructions,
    /// How many in a virtual second, from nanoseconds for one.
    Rate,
    /// As it is: calls, bytes, KiB.
    Plain,
}

/// What came of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Within the limit.
    Pass,
    /// Not.
    Miss,
    /// There is no limit.
    Informs,
}

use Limit::{AtLeast, AtMost};
use Term::{Added, Fixed, Of};
use Unit::{Instructions, Plain, Rate};

const fn bar(
    what: &'static str,
    ours: Term,
    beside: &'static str,
    against: Term,
    limit: Option<Limit>,
    unit: Unit,
) -> Bar {
    Bar { what, ours, against, beside, limit, unit }
}

const IP_START: Term = Added("start.ip_vrf_exec", "start.bare");
const EXEC: &str = "`ip vrf exec`";
const SCOPE: &str = "`systemd-run --scope`";
const OWN: &str = "socket + setsockopt in C";
const FILTERED: &str = "the same in C, behind a filter";

/// All of them, in the order of the table.
pub const BARS: [Bar; 42] = [
    bar("added to a start: C exec wrapper", Added("start.c_wrapper", "start.bare"), EXEC, IP_START, None, Instructions),
    bar("… `vrfrun -m bpf`, warm", Added("start.bpf", "start.bare"), EXEC, IP_START, Some(AtMost(0.6)), Instructions),
    bar(
        "… `vrfrun -m bpf`, cold",
        Added("start.bpf_cold", "start.bare"),
        EXEC,
        IP_START,
        Some(AtMost(0.6)),
        Instructions,
    ),
    bar("… `vrfrun -m preload`", Added("start.preload", "start.bare"), EXEC, IP_START, Some(AtMost(0.8)), Instructions),
    bar("… `--no-supervisor`", Added("start.gate", "start.bare"), EXEC, IP_START, Some(AtMost(0.8)), Instructions),
    bar("… `vrfrun -m seccomp`", Added("start.seccomp", "start.bare"), EXEC, IP_START, None, Instructions),
    bar(
        "under systemd: `vrfrun -m bpf`",
        Added("systemd.bpf", "systemd.bare"),
        SCOPE,
        Added("systemd.scope", "systemd.bare"),
        None,
        Instructions,
    ),
    bar(
        "… `ip vrf exec`",
        Added("systemd.ip_vrf_exec", "systemd.bare"),
        SCOPE,
        Added("systemd.scope", "systemd.bare"),
        None,
        Instructions,
    ),
    bar(
        "system calls before execve: `-m bpf`, warm",
        Of("calls.bpf"),
        "the bar",
        Fixed(72.0),
        Some(AtMost(1.0)),
        Plain,
    ),
    bar("… `-m bpf`, cold", Of("calls.bpf_cold"), EXEC, Of("calls.ip_vrf_exec"), None, Plain),
    bar("… `-m preload`", Of("calls.preload"), EXEC, Of("calls.ip_vrf_exec"), None, Plain),
    bar("… `--no-supervisor`", Of("calls.gate"), EXEC, Of("calls.ip_vrf_exec"), None, Plain),
    bar("… `-m seccomp`", Of("calls.seccomp"), EXEC, Of("calls.ip_vrf_exec"), None, Plain),
    bar("one socket: `ip vrf exec`", Of("socket.ip_vrf_exec"), "bare", Of("socket.bare"), None, Instructions),
    bar("… `-m bpf`", Of("socket.bpf"), "bare", Of("socket.bare"), Some(AtMost(1.03)), Instructions),
    bar(
        "… the shim alone, no filter (`--unguarded`)",
        Of("socket.unguarded"),
        OWN,
        Of("socket.own"),
        Some(AtMost(1.05)),
        Instructions,
    ),
    bar(
        "… in C, behind a filter that looks at `socket`",
        Of("socket.filtered"),
        OWN,
        Of("socket.own"),
        None,
        Instructions,
    ),
    bar("… `-m preload`, supervisor behind it", Of("socket.preload"), OWN, Of("socket.own"), None, Instructions),
    bar("… `-m preload --no-supervisor`", Of("socket.gate"), OWN, Of("socket.own"), None, Instructions),
    bar(
        "… `-m preload`, supervisor behind it",
        Of("socket.preload"),
        FILTERED,
        Of("socket.filtered"),
        Some(AtMost(1.05)),
        Instructions,
    ),
    bar(
        "… `-m preload --no-supervisor`",
        Of("socket.gate"),
        FILTERED,
        Of("socket.filtered"),
        Some(AtMost(1.05)),
        Instructions,
    ),
    bar("… `vrf_set()`", Of("socket.vrf_set"), OWN, Of("socket.own"), Some(AtMost(1.05)), Instructions),
    bar(
        "supervisor: sockets/s, 1 client",
        Of("supervisor.socket_1"),
        "bare",
        Of("socket.bare"),
        Some(AtLeast(0.06)),
        Rate,
    ),
    bar("… 16 clients", Of("supervisor.socket_16"), "bare", Of("socket.bare"), None, Rate),
    bar("… 256 clients", Of("supervisor.socket_256"), "bare", Of("socket.bare"), None, Rate),
    bar("… KiB private, 1 client", Of("supervisor.kib_1"), "the bar", Fixed(1024.0), Some(AtMost(1.0)), Plain),
    bar("… KiB private, 16 clients", Of("supervisor.kib_16"), "the bar", Fixed(1024.0), Some(AtMost(1.0)), Plain),
    bar("… KiB private, 256 clients", Of("supervisor.kib_256"), "the bar", Fixed(1024.0), Some(AtMost(1.0)), Plain),
    bar("iperf3, Mbit/s: `ip vrf exec`", Of("throughput.ip_vrf_exec"), "outside", Of("throughput.outside"), None, Rate),
    bar("… `-m bpf`", Of("throughput.bpf"), "`ip vrf exec`", Of("throughput.ip_vrf_exec"), None, Rate),
    bar("… `-m preload`", Of("throughput.preload"), "`ip vrf exec`", Of("throughput.ip_vrf_exec"), None, Rate),
    bar("… `-m seccomp`", Of("throughput.seccomp"), "`ip vrf exec`", Of("throughput.ip_vrf_exec"), None, Rate),
    bar("the shim, bytes", Of("size.shim"), "the bar", Fixed(16_384.0), Some(AtMost(1.0)), Plain),
    bar(
        "`true` with the shim",
        Of("object.shim"),
        "an empty object",
        Of("object.empty"),
        Some(AtMost(1.10)),
        Instructions,
    ),
    bar(
        "… at work: libc patched, proved",
        Of("object.shim_bound"),
        "an empty object",
        Of("object.empty"),
        None,
        Instructions,
    ),
    bar(
        "1,000 VRFs made by `vrfsetup apply`, ports up",
        Of("scale.work_vrfsetup"),
        "`ip -batch`",
        Of("scale.work_ip"),
        Some(AtMost(1.0)),
        Instructions,
    ),
    bar(
        "… ports down before, as at boot",
        Of("scale.apply_vrfsetup_1000"),
        "`ip -batch`",
        Of("scale.add_ip_1000"),
        Some(AtMost(1.0)),
        Instructions,
    ),
    bar(
        "4,000 applied again, when all is there: linear is 4",
        Of("scale.again_vrfsetup_4000"),
        "1,000",
        Of("scale.again_vrfsetup_1000"),
        Some(AtMost(4.6)),
        Instructions,
    ),
    bar(
        "4,000 made (the kernel itself is not linear)",
        Of("scale.apply_vrfsetup_4000"),
        "1,000",
        Of("scale.apply_vrfsetup_1000"),
        None,
        Instructions,
    ),
    bar(
        "1,000 VRFs shown, `show -j`",
        Of("scale.show_vrfsetup_1000"),
        "`ip -j`, three times",
        Of("scale.show_ip_1000"),
        Some(AtMost(1.0)),
        Instructions,
    ),
    bar(
        "… 4,000",
        Of("scale.show_vrfsetup_4000"),
        "`ip -j`, three times",
        Of("scale.show_ip_4000"),
        Some(AtMost(1.0)),
        Instructions,
    ),
    bar(
        "… 4,000 beside 1,000: linear is 4",
        Of("scale.show_vrfsetup_4000"),
        "1,000",
        Of("scale.show_vrfsetup_1000"),
        Some(AtMost(4.6)),
        Instructions,
    ),
];

impl Term {
    /// None if one of the measures is missing.
    pub fn value(self, measures: &Measures) -> Option<f64> {
        match self {
            Self::Of(name) => measures.get(name).copied(),
            Self::Added(whole, without) => Some(measures.get(whole)? - measures.get(without)?),
            Self::Fixed(value) => Some(value),
        }
    }
}

impl Bar {
    /// Our number, the other and their ratio.
    pub fn values(&self, measures: &Measures) -> Option<(f64, f64, f64)> {
        let (ours, against) = (self.ours.value(measures)?, self.against.value(measures)?);
        // Nanoseconds for one are a rate upside down.
        let ratio = if self.unit == Rate { against / ours } else { ours / against };
        Some((ours, against, ratio))
    }

    /// A bar whose measure is missing is missed.
    pub fn mark(&self, measures: &Measures) -> Mark {
        let within = |limit, (.., ratio): (f64, f64, f64)| match limit {
            AtMost(most) => ratio <= most,
            AtLeast(least) => ratio >= least,
        };
        match (self.limit, self.values(measures)) {
            (None, _) => Mark::Informs,
            (Some(limit), Some(values)) if within(limit, values) => Mark::Pass,
            (Some(_), _) => Mark::Miss,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measures(numbers: &[(&str, f64)]) -> Measures {
        numbers.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }

    const ADDED: Bar = bar("x", Added("ours", "bare"), "y", Added("theirs", "bare"), Some(AtMost(0.6)), Instructions);

    #[test]
    fn what_is_added_is_compared_not_the_whole() {
        let numbers = measures(&[("ours", 160.0), ("theirs", 200.0), ("bare", 100.0)]);
        assert_eq!(ADDED.mark(&numbers), Mark::Pass);
        let numbers = measures(&[("ours", 170.0), ("theirs", 200.0), ("bare", 100.0)]);
        assert_eq!(ADDED.mark(&numbers), Mark::Miss);
    }

    #[test]
    fn a_missing_measure_is_a_miss() {
        assert_eq!(ADDED.mark(&measures(&[("ours", 1.0), ("bare", 1.0)])), Mark::Miss);
    }

    #[test]
    fn a_rate_grows_as_the_time_for_one_shrinks() {
        let rate = bar("x", Of("ours"), "y", Of("bare"), Some(AtLeast(0.06)), Rate);
        assert_eq!(rate.mark(&measures(&[("ours", 1000.0), ("bare", 100.0)])), Mark::Pass);
        assert_eq!(rate.mark(&measures(&[("ours", 2000.0), ("bare", 100.0)])), Mark::Miss);
    }
}
