//! What a start costs.

use crate::bench::bar::Limit::AtMost;
use crate::bench::bar::Term::{Added, Fixed, Of};
use crate::bench::bar::Unit::{Instructions, Plain};
use crate::bench::bar::{Bar, Term, bar};

const IP_START: Term = Added("start.ip_vrf_exec", "start.bare");
const EXEC: &str = "`ip vrf exec`";
const SCOPE: &str = "`systemd-run --scope`";
const FIRST: &str = "whatever becomes the program in its turn takes a seventh of `ip vrf exec` (the C wrapper); beyond that most are the \
     kernel's answers (the mounts 80 k, rules and routes 100 k) and the pages of a static program, fifty faults of 4 k to 9 k; \
     where these lie differs from build to build, by 60 k";
const SHIM: &str = "the shim's own start in the program is counted in, 175 k, and the kernel translates the filter for both tables of calls \
     into machine code; a start without the two is the one of `-m bpf`";
const TWO_FORKS: &str = "two forks and the end of the one between them take 190 k, the supervisor's own start 330 k: it has each page of its text to \
     find again, and reads of its first client in /proc before the program may start; the filter's installation is 200 k to 320 k, and \
     two sockets prove the supervisor, 90 k each";
const NINE: &str = "nine programs are verified and attached, beside its one, 750 k for the one at setsockopt(2) and 180 k to 250 k for \
     each other; and the kernel makes who moves into a cgroup wait for a grace period of RCU, 1,100 k, unless somebody moved \
     shortly before";

/// In the order of the table.
pub const BARS: &[Bar] = &[
    bar("added to a start: C exec wrapper", Added("start.c_wrapper", "start.bare"), EXEC, IP_START, None, Instructions),
    bar("… `vrfrun -m bpf`, warm", Added("start.bpf", "start.bare"), EXEC, IP_START, Some(AtMost(0.24)), Instructions)
        .missed_as(FIRST, AtMost(0.25)),
    bar(
        "… `vrfrun -m bpf`, cold",
        Added("start.bpf_cold", "start.bare"),
        EXEC,
        IP_START,
        Some(AtMost(0.6)),
        Instructions,
    )
    .missed_as(NINE, AtMost(1.4)),
    bar(
        "… `vrfrun -m preload`",
        Added("start.preload", "start.bare"),
        EXEC,
        IP_START,
        Some(AtMost(0.38)),
        Instructions,
    )
    .missed_as(TWO_FORKS, AtMost(0.53)),
    bar("… `--no-supervisor`", Added("start.gate", "start.bare"), EXEC, IP_START, Some(AtMost(0.28)), Instructions)
        .missed_as(SHIM, AtMost(0.315)),
    bar(
        "… `vrfrun -m seccomp`",
        Added("start.seccomp", "start.bare"),
        EXEC,
        IP_START,
        Some(AtMost(0.34)),
        Instructions,
    )
    .missed_as(TWO_FORKS, AtMost(0.48)),
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
];
