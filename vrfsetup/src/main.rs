//! The program `vrfsetup`: everything is in the library beside it.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    vrfsetup::main(std::env::args_os())
}
