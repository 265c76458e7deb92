//! What a socket and its use cost, the supervisor, the throughput, and the library in a program.

use crate::bench::bar::Limit::{AtLeast, AtMost};
use crate::bench::bar::Term::{Fixed, Of};
use crate::bench::bar::Unit::{Instructions, Plain, Rate};
use crate::bench::bar::{Bar, bar};

const EXEC: &str = "`ip vrf exec`";
const OWN: &str = "socket + setsockopt in C";
const FILTERED: &str = "the same in C, behind a filter";
const SEEN: &str = "the shortest filter that sees `socket` takes more than that by itself";
const EMPTY: &str = "a program on the root cgroup that allows every socket at once takes more than that by itself: 1.03, and 1.04 where \
     it asks for the user id; every process of the machine runs it";
const EXECS: &str = "the program of `ip vrf exec`, which has three instructions, takes more than that by itself";
const SIZE: &str = "of the file, 16,356 bytes are mapped into a program (`shim/tests/object.rs` holds that to 16 KiB), the \
    rest is section headers, by which debuggers and packaging tools find their way, and the linker's words";
const STATUS: &str = "before Linux 6.13 only /proc/PID/status says as whom a caller acts: two fifths of each call";

/// In the order of the table.
pub const BARS: &[Bar] = &[
    bar("one socket: `ip vrf exec`", Of("socket.ip_vrf_exec"), "bare", Of("socket.bare"), None, Instructions),
    bar("… `-m bpf`", Of("socket.bpf"), "bare", Of("socket.bare"), Some(AtMost(1.03)), Instructions)
        .missed_as(EXECS, AtMost(1.05)),
    bar("… `-m bpf`", Of("socket.bpf"), EXEC, Of("socket.ip_vrf_exec"), Some(AtMost(1.02)), Instructions),
    bar(
        "`-m bpf`: connect()",
        Of("use.connect.bpf"),
        EXEC,
        Of("use.connect.ip_vrf_exec"),
        Some(AtMost(1.18)),
        Instructions,
    ),
    bar("… send()", Of("use.send.bpf"), EXEC, Of("use.send.ip_vrf_exec"), Some(AtMost(1.06)), Instructions),
    bar("… sendto()", Of("use.sendto.bpf"), EXEC, Of("use.sendto.ip_vrf_exec"), Some(AtMost(1.10)), Instructions),
    bar("… a TCP connection", Of("use.tcp.bpf"), EXEC, Of("use.tcp.ip_vrf_exec"), Some(AtMost(1.03)), Instructions),
    bar(
        "… connect() of a bystander in no VRF",
        Of("use.connect.bystander"),
        "bare",
        Of("use.connect.bare"),
        Some(AtMost(1.15)),
        Instructions,
    ),
    bar(
        "`vrfsetup user`: a socket of another user",
        Of("users.socket.beside"),
        "before",
        Of("users.socket.before"),
        Some(AtMost(1.02)),
        Instructions,
    )
    .missed_as(EMPTY, AtMost(1.07)),
    bar("… its connect()", Of("users.connect.beside"), "before", Of("users.connect.before"), None, Instructions),
    bar("… its sendto()", Of("users.sendto.beside"), "before", Of("users.sendto.before"), None, Instructions),
    bar("… its TCP connection", Of("users.tcp.beside"), "before", Of("users.tcp.before"), None, Instructions),
    bar("`--strict`: connect()", Of("use.connect.strict"), "without", Of("use.connect.bpf"), None, Instructions),
    bar("… send()", Of("use.send.strict"), "without", Of("use.send.bpf"), None, Instructions),
    bar("… sendto()", Of("use.sendto.strict"), "without", Of("use.sendto.bpf"), None, Instructions),
    bar("… a TCP connection", Of("use.tcp.strict"), "without", Of("use.tcp.bpf"), None, Instructions),
    bar(
        "another system call behind the filter: `-m preload`",
        Of("use.other.preload"),
        "bare",
        Of("use.other.bare"),
        None,
        Instructions,
    ),
    bar("… `--no-supervisor`", Of("use.other.gate"), "bare", Of("use.other.bare"), None, Instructions),
    bar("… `-m seccomp`", Of("use.other.seccomp"), "bare", Of("use.other.bare"), None, Instructions),
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
    bar(
        "… `-m preload`, supervisor behind it",
        Of("socket.preload"),
        OWN,
        Of("socket.own"),
        Some(AtMost(1.05)),
        Instructions,
    )
    .missed_as(SEEN, AtMost(1.2)),
    bar("… `-m preload --no-supervisor`", Of("socket.gate"), OWN, Of("socket.own"), Some(AtMost(1.05)), Instructions)
        .missed_as(SEEN, AtMost(1.2)),
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
    )
    .missed_as(STATUS, AtLeast(0.053)),
    bar("… 16 clients", Of("supervisor.socket_16"), "bare", Of("socket.bare"), None, Rate),
    bar("… 256 clients", Of("supervisor.socket_256"), "bare", Of("socket.bare"), None, Rate),
    bar("… KiB private, 1 client", Of("supervisor.kib_1"), "the bar", Fixed(1024.0), Some(AtMost(1.0)), Plain),
    bar("… KiB private, 16 clients", Of("supervisor.kib_16"), "the bar", Fixed(1024.0), Some(AtMost(1.0)), Plain),
    bar("… KiB private, 256 clients", Of("supervisor.kib_256"), "the bar", Fixed(1024.0), Some(AtMost(1.0)), Plain),
    bar("iperf3, Mbit/s: `ip vrf exec`", Of("throughput.ip_vrf_exec"), "outside", Of("throughput.outside"), None, Rate),
    bar("… `-m bpf`", Of("throughput.bpf"), "outside", Of("throughput.outside"), Some(AtLeast(0.98)), Rate),
    bar("… `-m preload`", Of("throughput.preload"), "outside", Of("throughput.outside"), Some(AtLeast(0.98)), Rate),
    bar("… `-m seccomp`", Of("throughput.seccomp"), "outside", Of("throughput.outside"), Some(AtLeast(0.98)), Rate),
    bar("the shim, bytes", Of("size.shim"), "the bar", Fixed(16_384.0), Some(AtMost(1.0)), Plain)
        .missed_as(SIZE, AtMost(1.09)),
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
];
