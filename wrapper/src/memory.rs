//! Where vrfrun's memory comes from: some pages of its own, then mmap(2) alone; and one line on stderr where there is none.
//!
//! A kernel that is out of memory fails mmap, but a seccomp filter may fail brk(2) too. glibc (2.36 and 2.41 were
//! read) takes such an answer for an address and crashes, before main() and in malloc. Both then use mmap, whose
//! failure they notice, if the two functions that call brk are these. What malloc needs at first it finds in the program itself.
//!
//! A start needs little memory, and not for long: it is handed out from the first page on ([`Arena`]), and malloc, which
//! touches more pages and takes ten times as long, is for what finds no room there.

use std::alloc::{GlobalAlloc, Layout, System};

use vrfrun::Arena;

/// The arena and the system's allocator, except that a failure is vrfrun's own and no crash.
struct Allocator(Arena);

#[global_allocator]
static ALLOCATOR: Allocator = Allocator(Arena::empty());

// SAFETY: memory is the arena's, which hands out each piece once, or the system's allocator's; what neither has is never
// returned.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.take(layout).unwrap_or_else(|| {
            // SAFETY: the caller's promise is passed on.
            or_end(unsafe { System.alloc(layout) })
        })
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !self.0.holds(memory) {
            // SAFETY: as above; it came from there.
            return or_end(unsafe { System.realloc(memory, layout, size) });
        }
        if self.0.resize(memory, layout.size(), size) {
            return memory;
        }
        // SAFETY: the caller promises a size that makes a layout with this alignment, and memory of the old one's size.
        unsafe {
            let other = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            memory.copy_to_nonoverlapping(other, layout.size().min(size));
            other
        }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        if self.0.holds(memory) {
            self.0.resize(memory, layout.size(), 0);
            return;
        }
        // SAFETY: as above; it came from there.
        unsafe { System.dealloc(memory, layout) }
    }
}

fn or_end(memory: *mut u8) -> *mut u8 {
    if memory.is_null() {
        let line = b"vrfrun: cannot allocate memory: Out of memory\n";
        // SAFETY: the kernel reads a live slice; `_exit` runs nothing of ours, and never returns.
        unsafe {
            libc::write(2, line.as_ptr().cast(), line.len());
            libc::_exit(vrfrun::EXIT_OWN)
        }
    }
    memory
}

/// What glibc calls in a static program; elsewhere the dynamic linker's own are used.
#[cfg(all(target_env = "gnu", target_arch = "x86_64", target_feature = "crt-static"))]
mod without_brk {
    use std::arch::asm;
    use std::cell::UnsafeCell;
    use std::ffi::c_void;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    /// The memory of the first thread's variables. No function of the C library may be called here: errno is one of
    /// these variables. NULL ends the program with the C library's own line and exit status 127.
    #[unsafe(no_mangle)]
    extern "C" fn _dl_early_allocate(size: usize) -> *mut c_void {
        let (rights, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        let address: isize;
        // SAFETY: mmap(2) of memory that nobody else has; the kernel changes no register but these.
        unsafe {
            asm!("syscall", inlateout("rax") libc::SYS_mmap as isize => address, in("rdi") 0, in("rsi") size,
                in("rdx") rights, in("r10") flags, in("r8") -1isize, in("r9") 0,
                lateout("rcx") _, lateout("r11") _, options(nostack));
        }
        if (-4095..0).contains(&address) { std::ptr::null_mut() } else { address as *mut c_void }
    }

    /// As much as malloc asks for at first, and a little more.
    const ROOM: usize = 160 * 1024;

    #[repr(align(4096))]
    struct Heap(UnsafeCell<[u8; ROOM]>);

    // SAFETY: malloc, which alone has it, takes a lock before it asks for more.
    unsafe impl Sync for Heap {}

    static HEAP: Heap = Heap(UnsafeCell::new([0; ROOM]));
    static TAKEN: AtomicUsize = AtomicUsize::new(0);

    /// Hands out pages of the program's own instead of moving the break. Where they are too few, malloc uses mmap.
    #[unsafe(no_mangle)]
    extern "C" fn __sbrk(increment: isize) -> *mut c_void {
        let taken = TAKEN.load(Relaxed);
        if (0..=(ROOM - taken) as isize).contains(&increment) {
            TAKEN.store(taken + increment as usize, Relaxed);
            // SAFETY: within the heap, or one past its end.
            return unsafe { HEAP.0.get().cast::<u8>().add(taken) }.cast();
        }
        // SAFETY: errno's address is always valid; malloc runs after the thread's variables are there.
        unsafe { *libc::__errno_location() = libc::ENOMEM };
        -1isize as *mut c_void
    }

    /// Its other name.
    #[unsafe(no_mangle)]
    extern "C" fn sbrk(increment: isize) -> *mut c_void {
        __sbrk(increment)
    }
}
