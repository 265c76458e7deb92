//! The leak matrix: `vrfleaks [--jobs N] [--json FILE] [--document FILE] [KERNEL | COLUMN | ROW]…`. Everything,
//! where nothing is named; `--written` runs nothing and writes the document from the JSON that is there.
//! Exit code 0 when no cell is a fault, 1 when one is, 2 when it could not be run.

use std::path::Path;
use std::process::ExitCode;

use vrftests::harness::kernels;
use vrftests::harness::vm::run::Runner;
use vrftests::matrix::column;
use vrftests::matrix::host::{self, Request};

/// The packages of the heavy rows, beside the guests' usual ones.
const HEAVY: &str = "leak-packages";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("vrfleaks: {message}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<bool, String> {
    let mut request = Request::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--json" => request.json = Some(words.next().ok_or("--json needs a FILE")?.into()),
            "--document" => request.document = Some(words.next().ok_or("--document needs a FILE")?.into()),
            "--written" => request.is_written = true,
            "--jobs" => {
                let number = words.next().and_then(|word| word.parse().ok());
                request.jobs = Some(number.ok_or("--jobs needs a number")?);
            }
            name if kernels::named(name).is_some() => request.kernels.push(word),
            name if column::named(name).is_some() => request.columns.push(word),
            _ => request.rows.push(word),
        }
    }
    if request.is_written {
        return host::write(&request, Vec::new()).map(|()| true);
    }
    host::main(&request, &runner()?)
}

/// The other programs of this crate lie beside this one.
fn runner() -> Result<Runner, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let directory = this.parent().unwrap_or(Path::new("."));
    Ok(Runner::new(&directory.join("vrfguest"), &directory.join("vrfpeer"))?.with_packages(HEAVY))
}
