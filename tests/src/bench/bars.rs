//! What the numbers must be, as it was first set. A limit that is missed for a known reason says the reason; the limit
//! itself stays.

use super::bar::Limit::{AtLeast, AtMost};
use super::bar::Term::{Added, Fixed, Of};
use super::bar::Unit::{Instructions, Microseconds, Plain, Rate};
use super::bar::{Bar, Term, bar};

const IP_START: Term = Added("start.ip_vrf_exec", "start.bare");
const EXEC: &str = "`ip vrf exec`";
const SCOPE: &str = "`systemd-run --scope`";
const OWN: &str = "socket + setsockopt in C";
const FILTERED: &str = "the same in C, behind a filter";
const SEEN: &str = "the shortest filter that sees `socket` takes more than that by itself";
const FIRST: &str = "whatever becomes the program in its turn takes a seventh of `ip vrf exec` (the C wrapper); beyond that most are the \
     kernel's answers (the mounts 80 k, rules and routes 100 k) and the pages of a static program, sixty faults of 4 k to 9 k";
const SHIM: &str = "the shim's own start in the program is counted in, 175 k, and the kernel goes through the filter once for each call of \
     both its tables when it is installed, 200 k; a start without the two is the one of `-m bpf`";
const TWO_FORKS: &str = "two forks and the end of the one between them take 190 k, the supervisor's own start 330 k: it has each page of its text to \
     find again, and reads of its first client in /proc before the program may start; the filter's installation is 200 k to 320 k, and \
     two sockets prove the supervisor, 90 k each";
const NINE: &str = "nine programs are verified and attached, beside its one";
const EMPTY: &str = "a program on the root cgroup that allows every socket at once takes more than that by itself: 1.03, and 1.04 where \
     it asks for the user id; every process of the machine runs it";
const STATUS: &str = "before Linux 6.13 only /proc/PID/status says as whom a caller acts: two fifths of each call";
const TABLES: &str =
    "the kernel walks through all tables when an interface comes up; `ip -batch` beside it does no better";

/// All of them, in the order of the table.
pub const BARS: &[Bar] = &[
    bar("added to a start: C exec wrapper", Added("start.c_wrapper", "start.bare"), EXEC, IP_START, None, Instructions),
    bar("… `vrfrun -m bpf`, warm", Added("start.bpf", "start.bare"), EXEC, IP_START, Some(AtMost(0.24)), Instructions)
        .missed_as(FIRST, AtMost(0.26)),
    bar(
        "… `vrfrun -m bpf`, cold",
        Added("start.bpf_cold", "start.bare"),
        EXEC,
        IP_START,
        Some(AtMost(0.6)),
        Instructions,
    )
    .missed_as(NINE, AtMost(1.56)),
    bar(
        "… `vrfrun -m preload`",
        Added("start.preload", "start.bare"),
        EXEC,
        IP_START,
        Some(AtMost(0.38)),
        Instructions,
    )
    .missed_as(TWO_FORKS, AtMost(0.54)),
    bar("… `--no-supervisor`", Added("start.gate", "start.bare"), EXEC, IP_START, Some(AtMost(0.28)), Instructions)
        .missed_as(SHIM, AtMost(0.325)),
    bar(
        "… `vrfrun -m seccomp`",
        Added("start.seccomp", "start.bare"),
        EXEC,
        IP_START,
        Some(AtMost(0.34)),
        Instructions,
    )
    .missed_as(TWO_FORKS, AtMost(0.5)),
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
        "4,000 made",
        Of("scale.apply_vrfsetup_4000"),
        "`ip -batch`",
        Of("scale.add_ip_4000"),
        Some(AtMost(1.0)),
        Instructions,
    ),
    bar(
        "… beside 1,000: linear is 4",
        Of("scale.apply_vrfsetup_4000"),
        "1,000",
        Of("scale.apply_vrfsetup_1000"),
        Some(AtMost(4.6)),
        Instructions,
    )
    .missed_as(TABLES, AtMost(12.9)),
    bar(
        "… by `ip -batch`, beside 1,000",
        Of("scale.add_ip_4000"),
        "1,000",
        Of("scale.add_ip_1000"),
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
    ),
    bar(
        "… 99th percentile",
        Of("real.socket.seccomp.p99"),
        "bare",
        Of("real.socket.bare.p99"),
        Some(AtMost(5.0)),
        Microseconds,
    ),
    bar(
        "real time: supervisor, sockets/s, 16 clients",
        Of("real.supervisor.16"),
        "1 client",
        Of("real.supervisor.1"),
        Some(AtLeast(1.0)),
        Rate,
    ),
];
