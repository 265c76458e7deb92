//! The leak matrix on this machine's own kernel, whatever that is: without a virtual machine, in VRFs that vrfsetup emulates,
//! by every mechanism, as root and as a plain user. The verdict comes from the packets, as on the kernels in machines; and
//! what `--trace` shows of each program is held against what strace(1) shows.

use vrftests::harness::judge::{Verdict, root};
use vrftests::harness::programs::Set;
use vrftests::harness::world::{Kind, World};
use vrftests::matrix::cell::Cell;
use vrftests::matrix::expect::Expectations;
use vrftests::matrix::native::{self, Traced};
use vrftests::matrix::row::{NATIVE, Row};
use vrftests::matrix::table::Matrix;

#[test]
fn no_program_leaves_an_emulated_vrf() {
    let (rows, cells): (Vec<Row>, Vec<Vec<Cell>>) = native::each_row(native::cells).into_iter().unzip();
    let cells = cells.concat();
    let (columns, expectations) = (&native::columns(), &Expectations::read());
    let matrix = Matrix { kernel: NATIVE, release: "", rows: &rows, columns, cells: &cells, expectations };
    println!("{}", matrix.print());
    assert!(!matrix.has_faults(), "{}", matrix.print());
}

#[test]
fn the_trace_shows_the_sockets_and_connections_that_strace_shows() {
    let complaints: Vec<String> =
        native::each_row(|world, row| native::traces(world, row)).iter().flat_map(complaints).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// What is not the same, and what shows nothing without a reason in the list, or something with one.
fn complaints((row, traces): &(Row, Vec<Traced>)) -> Vec<String> {
    let differs = |(column, result): &Traced| {
        result.as_ref().err().map(|complaint| format!("{}, {}: {complaint}", row.name, column.name))
    };
    let mut complaints: Vec<String> = traces.iter().filter_map(differs).collect();
    // By preload the shim's own first socket is there in any case.
    let own = traces.iter().filter(|(column, _)| !column.name.starts_with("preload"));
    let shown: usize = own.filter_map(|(_, result)| result.as_ref().ok()).sum();
    println!("{}: {shown} sockets and connections {}", row.name, row.untraced.as_deref().unwrap_or_default());
    if complaints.is_empty() && !traces.is_empty() && (shown == 0) != row.untraced.is_some() {
        complaints.push(format!("{}: {shown} are shown, untraced: {:?}", row.name, row.untraced));
    }
    complaints
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
