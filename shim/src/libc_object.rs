//! Finds libc among the loaded objects, and in it the body of `socket`.
//!
//! libc's resolver and some twenty other functions call that body directly, past every preloaded symbol: without this
//! each DNS query would leave by the default domain. Only in the constructor: walking the objects takes ld.so's lock.

use crate::elf::Tables;
use core::ffi::{c_int, c_void};
use core::mem::transmute;
use core::slice;
use core::sync::atomic::{AtomicUsize, Ordering};
use libc::dl_phdr_info;

#[cfg(target_pointer_width = "32")]
use libc::Elf32_Phdr as ProgramHeader;
#[cfg(target_pointer_width = "64")]
use libc::Elf64_Phdr as ProgramHeader;

const DT_NULL: usize = 0;
const DT_HASH: usize = 4;
const DT_STRTAB: usize = 5;
const DT_SYMTAB: usize = 6;
const DT_GNU_HASH: usize = 0x6fff_fef5;

/// Machine code in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    /// Where it begins.
    pub(crate) start: usize,
    /// How many bytes belong to it.
    pub(crate) size: usize,
}

/// Where libc's own `socket` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LibcSocket {
    /// In the shared object of libc.
    At(Code),
    /// Nowhere: the program is static, and its linker has put our `socket` in the place of libc's.
    Replaced,
    /// Not where it should be.
    Missing,
}

/// Where libc's own `connect` is; 0 until it has been found.
static CONNECT: AtomicUsize = AtomicUsize::new(0);

/// connect(2) as libc has it.
pub(crate) type Connect = unsafe extern "C" fn(c_int, *const c_void, u32) -> c_int;

/// libc's own `connect`, if the constructor has run and found it.
pub(crate) fn libc_connect() -> Option<Connect> {
    let address = CONNECT.load(Ordering::Relaxed);
    // SAFETY: 0 is None, and anything else the address of that function.
    unsafe { transmute::<usize, Option<Connect>>(address) }
}

/// Looks for libc's own `socket`, and keeps where its `connect` is.
pub(crate) fn libc_socket() -> LibcSocket {
    let mut walk = Walk { body: None, is_dynamic: false };
    // SAFETY: `visit` takes exactly what it is given here, and is done with it when the walk ends.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut walk).cast()) };
    match walk {
        Walk { body: Some(code), .. } => LibcSocket::At(code),
        Walk { is_dynamic: true, .. } => LibcSocket::Missing,
        Walk { .. } => LibcSocket::Replaced,
    }
}

struct Walk {
    body: Option<Code>,
    /// An object names a loader (PT_INTERP): the program does, unless it is static.
    is_dynamic: bool,
}

unsafe extern "C" fn visit(info: *mut dl_phdr_info, _size: usize, walk: *mut c_void) -> c_int {
    // SAFETY: the pointer that libc_socket() handed in; nobody else uses it meanwhile.
    let walk = unsafe { &mut *walk.cast::<Walk>() };
    // SAFETY: the loader describes a loaded object, which stays while the walk lasts.
    let object = unsafe { Object::new(&*info) };
    walk.is_dynamic |= object.headers.iter().any(|header| header.p_type == libc::PT_INTERP);
    walk.body = object.tables().and_then(|(base, tables)| {
        // Other preloaded libraries define `socket` too (torsocks, proxychains): theirs is not ours to touch, and what
        // it calls in the end is libc's. Only libc has both.
        tables.function(b"__libc_start_main")?;
        let body = tables.function(b"socket")?;
        if let Some(connect) = tables.function(b"connect") {
            CONNECT.store(base.wrapping_add(connect.offset), Ordering::Relaxed);
        }
        Some(Code { start: base.wrapping_add(body.offset), size: body.size })
    });
    c_int::from(walk.body.is_some()) // anything but 0 ends the walk
}

struct Object<'a> {
    base: usize,
    headers: &'a [ProgramHeader],
}

impl<'a> Object<'a> {
    /// # Safety
    /// The object must stay loaded for `'a`.
    unsafe fn new(info: &'a dl_phdr_info) -> Self {
        // SAFETY: the loader counts its own headers.
        let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
        Self { base: info.dlpi_addr as usize, headers }
    }

    /// The dynamic symbols, and what their values are relative to.
    fn tables(&self) -> Option<(usize, Tables<'a>)> {
        let dynamic = self.headers.iter().find(|header| header.p_type == libc::PT_DYNAMIC)?;
        let mut tables = Tables::default();
        let words = self.bytes(self.base.wrapping_add(dynamic.p_vaddr as usize));
        for entry in words.chunks_exact(2 * size_of::<usize>()) {
            let (tag, value) = entry.split_at(size_of::<usize>());
            let value = usize::from_ne_bytes(value.try_into().ok()?);
            match usize::from_ne_bytes(tag.try_into().ok()?) {
                DT_NULL => break,
                DT_HASH => tables.sysv_hash = self.table(value),
                DT_GNU_HASH => tables.gnu_hash = self.table(value),
                DT_SYMTAB => tables.symbols = self.table(value),
                DT_STRTAB => tables.strings = self.table(value),
                _ => {}
            }
        }
        Some((self.base, tables))
    }

    /// glibc has turned these values into addresses in place, musl (and the vDSO) has not.
    fn table(&self, value: usize) -> &'a [u8] {
        self.bytes(if value < self.base { self.base.wrapping_add(value) } else { value })
    }

    /// From an address to the end of what the file put into its segment; empty if no segment has it.
    fn bytes(&self, address: usize) -> &'a [u8] {
        let readable = |header: &&ProgramHeader| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_R != 0;
        let rest = self.headers.iter().filter(readable).find_map(|header| {
            let at = address.checked_sub(self.base.wrapping_add(header.p_vaddr as usize))?;
            (header.p_filesz as usize).checked_sub(at)
        });
        // SAFETY: the loader mapped this part of the segment readable.
        rest.map_or(&[], |len| unsafe { slice::from_raw_parts(address as *const u8, len) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libcs_own_socket_is_found_though_this_program_defines_one() {
        // SAFETY: both arguments are C strings or constants; the result is only compared.
        let (handle, wanted) = unsafe {
            let handle = libc::dlopen(c"libc.so.6".as_ptr(), libc::RTLD_LAZY);
            (handle, libc::dlsym(handle, c"socket".as_ptr()) as usize)
        };
        assert!(!handle.is_null());
        let LibcSocket::At(body) = libc_socket() else { panic!("not found") };
        assert_eq!(body.start, wanted);
        assert_ne!(body.start, crate::exports::socket as *const () as usize);
        assert!((8..256).contains(&body.size), "{body:?}");
    }
}
