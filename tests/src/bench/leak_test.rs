//! The leak test that the README shows: the same request by `ip vrf exec`, by a bare preload and by vrfrun, typed by a
//! plain user, and which domain's peers saw packets of it.

use std::io;

use crate::harness::judge::{Order, Outcome, Verdict, root, user};
use crate::harness::vm::plan::DIRECTORY;
use crate::harness::world::{Domain, Kind, World};

const CURL: [&str; 3] = ["curl", "-sS", "http://www.vrf.test/"];

/// Plays it, in a guest, and prints it as a terminal would show it.
///
/// # Errors
/// When vrfrun did not do what the picture is to show.
pub fn main() -> io::Result<()> {
    let mut world = World::of_machine(Kind::Vrfs)?;
    println!("three routing domains with the same addresses; every server answers with its domain's name");
    play(&mut world, '$', &[], user(CURL));
    play(&mut world, '$', &["ip", "vrf", "exec", "blue"], user(["ip", "vrf", "exec", "blue"].iter().chain(&CURL)));
    play(&mut world, '#', &["ip", "vrf", "exec", "blue"], root(["ip", "vrf", "exec", "blue"].iter().chain(&CURL)));
    let preload = user(CURL).env("LD_PRELOAD", format!("{DIRECTORY}/bare_preload.so")).env("VRF", "blue");
    play(&mut world, '$', &["LD_PRELOAD=bare_preload.so", "VRF=blue"], preload);
    let verdict = play(&mut world, '$', &["vrfrun", "blue"], user(["vrfrun", "blue"].iter().chain(&CURL)));
    if verdict.outcome == Outcome::Blue { Ok(()) } else { Err(io::Error::other("vrfrun did not keep its promise")) }
}

fn play(world: &mut World, prompt: char, before: &[&str], order: Order) -> Verdict {
    let verdict = world.judge(&order);
    println!();
    println!("{prompt} {}", [before, &CURL].concat().join(" "));
    print!("{}{}", verdict.error_text(), verdict.text());
    let packets = Domain::ALL.map(|domain| format!("{} {}", domain.name(), verdict.packets(domain))).join(", ");
    let word = match verdict.outcome {
        Outcome::Blue => "all in blue",
        Outcome::Closed => "nothing was sent",
        Outcome::Leak if verdict.packets(Domain::Blue) > 0 => "LEAK: the name was asked for in default",
        Outcome::Leak => "LEAK",
    };
    println!("= packets: {packets} -- {word}");
    verdict
}
