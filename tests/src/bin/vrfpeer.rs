//! The far end of one routing domain: `vrfpeer DOMAIN`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let domain = std::env::args().nth(1).unwrap_or_default();
    match vrftests::harness::peer::main(&domain) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vrfpeer {domain}: {error}");
            ExitCode::FAILURE
        }
    }
}
