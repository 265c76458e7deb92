//! Finds the program as execvp(3) would, before anything is changed, and becomes it at the end.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::{SFlag, stat};
use nix::unistd::{AccessFlags, access, execvp};

use crate::error::Error;
use crate::options::Command;
use crate::program::elf;
use crate::program::environment::Environment;

/// What execvp(3) uses where PATH is not set.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The file that will be run.
#[derive(Debug)]
pub struct Program {
    /// Always with a slash in it, so that it is not searched for again.
    pub path: PathBuf,
}

/// Finds it: 127 if there is none, 126 if there is one that cannot be run.
pub fn find(name: &OsStr) -> Result<Program, Error> {
    if name.as_bytes().contains(&b'/') {
        return check(Path::new(name)).map(|()| Program { path: name.into() }).map_err(|errno| match errno {
            Errno::ENOENT | Errno::ENOTDIR => Error::NotFound(name.into()),
            errno => Error::CannotRun { program: name.into(), errno },
        });
    }
    search(name, &std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into()))
}

fn search(name: &OsStr, path: &OsStr) -> Result<Program, Error> {
    let mut found_but = None;
    for directory in path.as_bytes().split(|&b| b == b':').filter(|_| !name.is_empty()) {
        // An empty entry is the current directory.
        let directory = if directory.is_empty() { b"." } else { directory };
        let candidate = PathBuf::from(OsString::from_vec(directory.to_vec())).join(name);
        match check(&candidate) {
            Ok(()) => return Ok(Program { path: candidate }),
            Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            Err(errno) => found_but = found_but.or(Some(Error::CannotRun { program: candidate, errno })),
        }
    }
    Err(found_but.unwrap_or_else(|| Error::NotFound(name.into())))
}

fn check(path: &Path) -> nix::Result<()> {
    let kind = SFlag::from_bits_truncate(stat(path)?.st_mode) & SFlag::S_IFMT;
    match kind {
        SFlag::S_IFREG => access(path, AccessFlags::X_OK),
        SFlag::S_IFDIR => Err(Errno::EISDIR),
        _ => Err(Errno::EACCES),
    }
}

/// Whether the kernel will find what runs the program: its interpreters, if it is a script, and the dynamic linker.
/// Reads the file: only for those who change something that others share before they become it.
pub fn check_interpreters(program: &Program) -> Result<(), Error> {
    let mut path = program.path.clone();
    for _ in 0..elf::MAX_SCRIPTS {
        let Some(interpreter) = elf::interpreter_of(&path) else { return Ok(()) };
        check(&interpreter).map_err(|errno| Error::CannotRun { program: program.path.clone(), errno })?;
        path = interpreter;
    }
    Ok(())
}

/// Becomes the program: same process, its own signals and exit status. Returns only if that failed.
pub fn replace_process(program: &Program, command: &Command, environment: &Environment) -> Error {
    environment.apply();
    let c_string = |bytes: &OsStr| CString::new(bytes.as_bytes()).unwrap_or_default(); // argv cannot hold a NUL
    let argv: Vec<_> = command.argv().iter().map(|word| c_string(word)).collect();
    let Err(errno) = execvp(&c_string(program.path.as_os_str()), &argv);
    Error::CannotRun { program: program.path.clone(), errno }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_127_and_a_directory_126() {
        assert_eq!(find(OsStr::new("no-such-program-here")).unwrap_err().exit_status(), 127);
        assert_eq!(find(OsStr::new("/no/such")).unwrap_err().exit_status(), 127);
        assert_eq!(find(OsStr::new("/etc")).unwrap_err().exit_status(), 126);
        assert_eq!(find(OsStr::new("/etc/passwd")).unwrap_err().exit_status(), 126);
        assert_eq!(find(OsStr::new("")).unwrap_err().exit_status(), 127);
    }

    #[test]
    fn the_first_that_can_be_run_is_taken() {
        let found = search(OsStr::new("sh"), OsStr::new("/nowhere:/bin:/usr/bin")).unwrap();
        assert_eq!(found.path, Path::new("/bin/sh"));
    }
}
