//! Process 1 of a guest (`init`), one of its tests (`run NAME`), or the demonstration (`demo`).

use std::process::ExitCode;

use vrftests::{demo, guest};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["init"] => guest::init::main(),
        ["demo"] => return demo::main(),
        ["run", name] if guest::run(name) => {}
        _ => {
            eprintln!("usage: vrfguest init | demo | run TEST");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
