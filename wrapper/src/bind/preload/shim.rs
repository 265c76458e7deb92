//! The one place that knows where the shim is, and how it is told what to do.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use vrfabi::environment::{SHIM, cookie_field, parse_shim};

use crate::error::unavailable::Unavailable;
use crate::program::elf::{self, Kind};
use crate::program::environment::Environment;
use crate::sys::architecture::HOST;
use crate::vrf::device::Device;

/// The object's file name.
const OBJECT: &str = "libvrfshim.so";

/// The dynamic linker's list of objects to load first.
pub const PRELOAD: &str = "LD_PRELOAD";

/// Finds the object: beside vrfrun (two files copied anywhere, or a build), else where `make install` puts it.
pub fn find() -> Result<PathBuf, Unavailable> {
    let (found, prefix) = locate()?;
    Ok(for_both_classes(found, &prefix, Path::is_file))
}

/// Whether it is what the dynamic linker loads: one that it cannot load it leaves out, and the program starts all the same.
pub fn check() -> Result<(), Unavailable> {
    check_object(&locate()?.0)
}

/// The same of this one.
pub fn check_object(found: &Path) -> Result<(), Unavailable> {
    match elf::kind_of(found) {
        Kind::Static => Ok(()), // as a library is, to the kernel
        _ => Err(Unavailable::new(format!("the dynamic linker cannot load '{}'", found.display()))),
    }
}

/// The object that [`find`] finds, by its own path.
pub fn object() -> Result<PathBuf, Unavailable> {
    locate().map(|(found, _)| found)
}

/// The object, and the prefix that vrfrun is installed under.
fn locate() -> Result<(PathBuf, PathBuf), Unavailable> {
    let program = std::env::current_exe().map_err(|_| Unavailable::new("cannot read /proc/self/exe"))?;
    let directory = program.parent().unwrap_or(Path::new("/"));
    let prefix = directory.parent().unwrap_or(Path::new("/"));
    let candidates = [
        directory.join(OBJECT),
        prefix.join(HOST.libraries).join("vrfrun").join(OBJECT),
        prefix.join("lib64/vrfrun").join(OBJECT),
        prefix.join("lib/vrfrun").join(OBJECT),
    ];
    let found = candidates.into_iter().find(|path| path.is_file());
    let found = found
        .ok_or_else(|| Unavailable::new(format!("{OBJECT} is neither beside vrfrun nor in {}", HOST.libraries)))?;
    check_path(&found)?;
    Ok((found, prefix.to_owned()))
}

/// The dynamic linker of glibc puts its own library directory in the place of `$LIB`: where an object for 32-bit programs
/// was installed too, each child gets the one it can load. musl knows no `$LIB` (and says nothing): its programs are
/// then served by what stands behind the shim, so the plain path stays wherever there is but one object.
fn for_both_classes(found: PathBuf, prefix: &Path, exists: impl Fn(&Path) -> bool) -> PathBuf {
    let is_installed = found == prefix.join(HOST.libraries).join("vrfrun").join(OBJECT);
    let other = HOST.libraries_32.map(|directory| prefix.join(directory).join("vrfrun").join(OBJECT));
    if is_installed && other.is_some_and(|other| exists(&other)) {
        return prefix.join("$LIB/vrfrun").join(OBJECT);
    }
    found
}

/// The dynamic linker splits its list at blanks and colons, without a way to quote them.
fn check_path(path: &Path) -> Result<(), Unavailable> {
    let is_separator = |b: &u8| matches!(b, b':' | b' ');
    if path.as_os_str().as_bytes().iter().any(is_separator) {
        return Err(Unavailable::new(format!(
            "LD_PRELOAD cannot hold a path with a blank or colon: '{}'",
            path.display()
        )));
    }
    Ok(())
}

/// LD_PRELOAD as this process has it. Should it be there twice, all of it: glibc's linker obeys the last, musl's the
/// first.
pub fn existing_list() -> OsString {
    if std::env::var_os(PRELOAD).is_none() {
        return OsString::new();
    }
    let lists = std::env::vars_os().filter(|(name, _)| name == PRELOAD).map(|(_, list)| list.into_vec());
    OsString::from_vec(lists.collect::<Vec<_>>().join(&b':'))
}

/// LD_PRELOAD with the object *last* and no shim of another run: what the user preloads keeps its place before it.
pub fn preload_list(existing: &OsStr, object: &Path) -> OsString {
    let list = entries(existing).filter(|entry| !is_shim(entry)).chain([object.as_os_str().as_bytes()]);
    OsString::from_vec(list.collect::<Vec<_>>().join(&b':'))
}

/// Takes the shim of an outer run from the program's environment. A list without one stays as it is, to the byte.
pub fn remove_from(environment: &mut Environment) {
    environment.remove(SHIM);
    match preload_list_without(&existing_list()) {
        Some(list) if list.is_empty() => environment.remove(PRELOAD),
        Some(list) => environment.set(PRELOAD, list),
        None => {}
    }
}

/// LD_PRELOAD without the shim, wherever it was; None if it is not in it.
fn preload_list_without(existing: &OsStr) -> Option<OsString> {
    entries(existing).any(is_shim).then(|| {
        let others = entries(existing).filter(|entry| !is_shim(entry));
        OsString::from_vec(others.collect::<Vec<_>>().join(&b':'))
    })
}

/// The dynamic linker splits its list at blanks and colons.
fn entries(list: &OsStr) -> impl Iterator<Item = &[u8]> {
    list.as_bytes().split(|b| matches!(b, b':' | b' ')).filter(|entry| !entry.is_empty())
}

/// Ours, wherever an outer run found it: two of them in one process would both redirect libc.
fn is_shim(entry: &[u8]) -> bool {
    entry.rsplit(|&b| b == b'/').next() == Some(OBJECT.as_bytes())
}

/// The shim's configuration: the cookie in 16 hexadecimal digits (0: no filter), and the device.
pub fn configuration(cookie: Option<u64>, device: &Device) -> OsString {
    let mut value = OsString::from(cookie_field(cookie.unwrap_or(0)).to_string());
    value.push(&device.name);
    value
}

/// The cookie of an outer vrfrun for this very device, if its shim is configured in the environment.
pub fn outer_cookie(device: &Device) -> Option<u64> {
    let value = std::env::var_os(SHIM)?;
    let (cookie, name) = parse_shim(value.as_bytes())?;
    (name == device.name_bytes()).then_some(cookie)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shim_goes_last_and_stands_there_once() {
        let list = |existing: &str| preload_list(OsStr::new(existing), Path::new("/x/libvrfshim.so"));
        assert_eq!(list(""), "/x/libvrfshim.so");
        assert_eq!(list("a.so b.so:"), "a.so:b.so:/x/libvrfshim.so");
        assert_eq!(list("/x/libvrfshim.so:a.so"), "a.so:/x/libvrfshim.so");
        assert_eq!(list("/elsewhere/$LIB/libvrfshim.so:a.so"), "a.so:/x/libvrfshim.so");
    }

    #[test]
    fn only_the_shim_leaves_the_list_and_other_bytes_stay() {
        let without = |existing: &[u8]| preload_list_without(OsStr::from_bytes(existing)).map(OsString::into_vec);
        assert_eq!(without(b"a.so:/x/libvrfshim.so \xff.so"), Some(b"a.so:\xff.so".to_vec()));
        assert_eq!(without(b"/x/libvrfshim.so"), Some(Vec::new()));
        assert_eq!(without(b"b.so  a.so::libvrfshim.so.1"), None);
    }

    #[test]
    fn a_path_that_the_linker_would_split_is_refused() {
        assert!(check_path(Path::new("/my tools/libvrfshim.so")).is_err());
        assert!(check_path(Path::new("/a:b/libvrfshim.so")).is_err());
        assert!(check_path(Path::new("/tools/libvrfshim.so")).is_ok());
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn an_object_for_32_bit_programs_beside_it_makes_the_path_serve_both() {
        let installed = "/usr/lib/x86_64-linux-gnu/vrfrun/libvrfshim.so";
        let other = Path::new("/usr/lib/i386-linux-gnu/vrfrun/libvrfshim.so");
        let path = |found: &str, has_other| {
            for_both_classes(found.into(), Path::new("/usr"), |path| has_other && path == other)
        };
        assert_eq!(path(installed, true), Path::new("/usr/$LIB/vrfrun/libvrfshim.so"));
        assert_eq!(path(installed, false), Path::new(installed));
        assert_eq!(path("/usr/bin/libvrfshim.so", true), Path::new("/usr/bin/libvrfshim.so"));
    }

    #[test]
    fn the_configuration_reads_back() {
        let device = Device { name: "blue".into(), ifindex: 7, table: None, emulates: None };
        let value = configuration(Some(0x1f), &device);
        assert_eq!(value, "000000000000001f:blue");
        assert_eq!(parse_shim(value.as_bytes()), Some((0x1f, &b"blue"[..])));
        assert_eq!(parse_shim(b"1f:blue"), None);
    }
}
