//! The program `vrfsetup`: everything is in the library beside it.

fn main() -> std::process::ExitCode {
    vrfsetup::main(std::env::args_os())
}
