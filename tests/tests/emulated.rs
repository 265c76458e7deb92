//! The leak matrix on this machine's own kernel, whatever that is: without a virtual machine, in VRFs that vrfsetup emulates,
//! by every mechanism, as root and as a plain user. The verdict comes from the packets, as on the kernels in machines.

use vrftests::harness::judge::{Verdict, root};
use vrftests::harness::programs::Set;
use vrftests::harness::world::{Kind, World};
use vrftests::matrix::cell::Cell;
use vrftests::matrix::column::{self, Column};
use vrftests::matrix::expect::Expectations;
use vrftests::matrix::inside;
use vrftests::matrix::row::{self, Row};
use vrftests::matrix::table::Matrix;

/// No kernel of the committed files: what they say of one is not meant.
const HERE: &str = "this machine";

/// Kinds of programs: of each way to a socket one at least. Left out is what depends on what this kernel was built with, or
/// on timers of its own, and what a port sends as no VRF device would: broadcasts and multicast.
const ROWS: [&str; 40] = [
    "curl",
    "curl, IPv6 address",
    "getent",
    "Go without cgo",
    "glibc",
    "glibc static",
    "glibc static, by name",
    "musl",
    "musl static",
    "i386",
    "int 0x80",
    "no libc at all",
    "syscall()",
    "inline asm",
    "inline asm after libc's socket",
    "vfork",
    "CLONE_VM",
    "signal handler",
    "early constructor",
    "daemon",
    "16 threads",
    "signal storm",
    "RTLD_DEEPBIND",
    "dlmopen",
    "dlvsym",
    "env -i",
    "empty envp",
    "posix_spawn",
    "PR_SET_MDWE",
    "own seccomp filter",
    "own seccomp listener",
    "non-dumpable",
    "SOCK_RAW",
    "UDP server",
    "connect(AF_UNSPEC)",
    "sendto after connect(AF_UNSPEC)",
    "sendto after connect(AF_UNSPEC), IPv6",
    "TCP Fast Open",
    "IPV6_PKTINFO",
    "IP_UNICAST_IF",
];

#[test]
fn no_program_leaves_an_emulated_vrf() {
    let mut world = World::with(Kind::Emulated, Set::All).unwrap_or_else(|error| panic!("{error}"));
    let named = |name: &&str| row::named(name).unwrap_or_else(|| panic!("there is no row '{name}'"));
    let rows: Vec<Row> = ROWS.iter().map(named).collect();
    // This machine has its own logins and containers.
    let columns: Vec<Column> = column::ALL.into_iter().filter(|column| column.setting.is_none()).collect();
    let mut cells_of = |row| inside::cells(&mut world, row, |column| columns.contains(&column)).collect::<Vec<Cell>>();
    let cells: Vec<Cell> = rows.iter().flat_map(&mut cells_of).collect();
    let (columns, expectations) = (&columns, &Expectations::read());
    let matrix = Matrix { kernel: HERE, release: "", rows: &rows, columns, cells: &cells, expectations };
    println!("{}", matrix.print());
    assert!(!matrix.has_faults(), "{}", matrix.print());
}

fn run(world: &mut World, line: &str) -> Verdict {
    world.judge(&root(line.split(' ')))
}

#[test]
fn each_of_several_is_sealed_and_a_hint_helps_where_a_rule_stands_before_it() {
    let mut world = World::with(Kind::Emulated, Set::Products).unwrap_or_else(|error| panic!("{error}"));
    for vrf in ["blue", "red"] {
        run(&mut world, &format!("vrfrun --strict {vrf} true")).assert_says(0, "");
    }
    world.ip("rule add pref 500 lookup main");
    world.ip("-6 rule add pref 500 lookup main");
    for vrf in ["blue", "red"] {
        let verdict = run(&mut world, &format!("vrfrun --strict {vrf} true"));
        verdict.assert_says(125, "IPv4 and IPv6: rule 500 (lookup main) stands before oif");
        verdict.assert_says(125, "hint: vrfsetup rules fix\n");
    }
    assert_eq!(run(&mut world, "vrfsetup rules fix").code, 0);
    for vrf in ["blue", "red"] {
        run(&mut world, &format!("vrfrun --strict {vrf} true")).assert_says(0, "");
    }
}
