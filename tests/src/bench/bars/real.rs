//! Real time, on the machine that builds: no limit but where the issue set one.

use crate::bench::bar::Limit::{AtLeast, AtMost};
use crate::bench::bar::Term::Of;
use crate::bench::bar::Unit::{Microseconds, Rate};
use crate::bench::bar::{Bar, bar};

const WOKEN: &str = "for each descriptor that the caller gets (SECCOMP_IOCTL_NOTIF_ADDFD) the kernel wakes it on any idle \
    processor, which takes 20 µs where that is a virtual machine's, and once more for the answer; with `taskset -c 0` the \
    median is 9 times the bare one";

/// In the order of the table.
pub const BARS: &[Bar] = &[
    bar(
        "real time: start of `/bin/true`, `vrfrun -m bpf`, warm, median",
        Of("real.start.bpf.median"),
        "bare",
        Of("real.start.bare.median"),
        None,
        Microseconds,
    ),
    bar("… 99th percentile", Of("real.start.bpf.p99"), "bare", Of("real.start.bare.p99"), None, Microseconds),
    bar(
        "… `vrfrun -m preload`, median",
        Of("real.start.preload.median"),
        "bare",
        Of("real.start.bare.median"),
        None,
        Microseconds,
    ),
    bar("… 99th percentile", Of("real.start.preload.p99"), "bare", Of("real.start.bare.p99"), None, Microseconds),
    bar(
        "… `--no-supervisor`, median",
        Of("real.start.gate.median"),
        "bare",
        Of("real.start.bare.median"),
        None,
        Microseconds,
    ),
    bar("… 99th percentile", Of("real.start.gate.p99"), "bare", Of("real.start.bare.p99"), None, Microseconds),
    bar(
        "… `vrfrun -m seccomp`, median",
        Of("real.start.seccomp.median"),
        "bare",
        Of("real.start.bare.median"),
        None,
        Microseconds,
    ),
    bar("… 99th percentile", Of("real.start.seccomp.p99"), "bare", Of("real.start.bare.p99"), None, Microseconds),
    bar(
        "real time: one socket, `-m bpf`, median",
        Of("real.socket.bpf.median"),
        "bare",
        Of("real.socket.bare.median"),
        None,
        Microseconds,
    ),
    bar("… 99th percentile", Of("real.socket.bpf.p99"), "bare", Of("real.socket.bare.p99"), None, Microseconds),
    bar(
        "… `-m preload`, median",
        Of("real.socket.preload.median"),
        "bare",
        Of("real.socket.bare.median"),
        None,
        Microseconds,
    ),
    bar("… 99th percentile", Of("real.socket.preload.p99"), "bare", Of("real.socket.bare.p99"), None, Microseconds),
    bar(
        "… `--no-supervisor`, median",
        Of("real.socket.gate.median"),
        "bare",
        Of("real.socket.bare.median"),
        None,
        Microseconds,
    ),
    bar("… 99th percentile", Of("real.socket.gate.p99"), "bare", Of("real.socket.bare.p99"), None, Microseconds),
    bar(
        "… supervisor, median",
        Of("real.socket.seccomp.median"),
        "bare",
        Of("real.socket.bare.median"),
        Some(AtMost(5.0)),
        Microseconds,
    )
    .missed_as(WOKEN, AtMost(30.0)),
    bar(
        "… 99th percentile",
        Of("real.socket.seccomp.p99"),
        "bare",
        Of("real.socket.bare.p99"),
        Some(AtMost(5.0)),
        Microseconds,
    )
    .missed_as(WOKEN, AtMost(30.0)),
    bar(
        "real time: supervisor, sockets/s, 16 clients",
        Of("real.supervisor.16"),
        "1 client",
        Of("real.supervisor.1"),
        Some(AtLeast(1.0)),
        Rate,
    ),
];
