//! What runs in a guest: process 1 (`init`), or a service of the systemd that is (`service`); one of its tests
//! (`run NAME`), the demonstration (`demo`), or any program in a world of its own (`world PROGRAM…`), to look around.
//! Rows of the leak matrix: `leaks [COLUMN]… ROW…`, or a single one, `leak ROW [COLUMN]…`; a program where a column has it,
//! `into WAY UID PROGRAM…`. Random programs under the oracle:
//! `sequences WAY FIRST COUNT`.

use std::io;
use std::process::ExitCode;

use vrftests::harness::world::{Kind, World};
use vrftests::harness::{judge, programs};
use vrftests::{demo, guest, matrix};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["init"] => guest::init::main(),
        ["service"] => guest::init::service(),
        ["demo"] => return demo::main(),
        ["world", ..] if words.len() > 1 => return in_world(&words[1..]),
        ["leaks", ..] => return said(matrix::session::all(&words[1..])),
        ["leaks-until-one-breaks", begun, ..] => return said(matrix::session::until_one_breaks(begun, &words[2..])),
        ["leak", row, ..] if matrix::session::are_columns(&words[2..]) => {
            return said(matrix::session::one(row, &words[2..]));
        }
        ["into", way, uid, _, ..] => return said(matrix::into::run(way, uid, &words[3..])),
        ["sequences", ..] => return said(guest::sequences(&words[1..])),
        ["run", name] if guest::run(name) => {}
        _ => {
            eprintln!(
                "usage: vrfguest init | service | demo | run TEST | world PROGRAM... | leaks [COLUMN]... ROW... | \
                 leak ROW [COLUMN]... | into WAY UID PROGRAM... | sequences WAY FIRST COUNT"
            );
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn said(outcome: io::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vrfguest: {error}");
            ExitCode::FAILURE
        }
    }
}

fn in_world(words: &[String]) -> ExitCode {
    let world = if programs::in_guest() { World::of_machine(Kind::Vrfs) } else { World::new(demo::kind()) };
    let mut world = match world {
        Ok(world) => world,
        Err(error) => {
            eprintln!("vrfguest: no world: {error}");
            return ExitCode::FAILURE;
        }
    };
    let verdict = world.judge(&judge::root(words));
    print!("{verdict}");
    ExitCode::from(verdict.code as u8)
}
