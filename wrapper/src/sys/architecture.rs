//! What differs between machines, as values: one machine tests what vrfrun does on all of them.
//!
//! System call numbers: arch/x86/entry/syscalls/syscall_{32,64}.tbl, arch/arm/tools/syscall.tbl, and for aarch64 and
//! riscv64 include/uapi/asm-generic/unistd.h; AUDIT_ARCH_* of include/uapi/linux/audit.h. Compared with linux-libc-dev 6.1
//! of Debian, for ARM and RISC-V with its `-armhf-cross` and `-riscv64-cross`. All of these are little-endian.
#![forbid(unsafe_code)]
// Outside the tests only the host's is used.
#![cfg_attr(not(test), expect(dead_code))]

/// A machine that vrfrun can be built for.
#[derive(Debug)]
pub struct Architecture {
    /// As Rust names it.
    pub name: &'static str,
    /// `e_machine` in the header of its program files.
    pub elf_machine: u16,
    /// Debian's directory for its libraries, below a prefix.
    pub libraries: &'static str,
    /// The same for the 32-bit programs that it runs, where the preload object is built for them.
    pub libraries_32: Option<&'static str>,
    /// Its own system call table first, then that of other programs which it runs. Any other table is closed.
    pub tables: &'static [Table],
}

/// A system call table: the numbers of the calls that the filter looks at.
#[derive(Debug)]
pub struct Table {
    /// AUDIT_ARCH_*, by which the kernel names this table to a filter.
    pub audit: u32,
    /// How wide an argument is: all of the cookie goes into 64 bits, its lower half into 32.
    pub bits: u32,
    /// socket(2)
    pub socket: u32,
    /// connect(2)
    pub connect: u32,
    /// setsockopt(2)
    pub setsockopt: u32,
    /// unshare(2)
    pub unshare: u32,
    /// setns(2)
    pub setns: u32,
    /// socketcall(2), where socket(2) can also be reached by it.
    pub socketcall: Option<u32>,
    /// Numbers from here on belong to a third table under the same name, which is closed.
    pub foreign_from: Option<u32>,
}

/// io_uring_setup(2): calls since 5.1 have the same number on every architecture.
pub const IO_URING_SETUP: u32 = 425;

/// The machine that this was built for.
#[cfg(target_arch = "x86_64")]
pub const HOST: &Architecture = &X86_64;
/// The machine that this was built for.
#[cfg(target_arch = "aarch64")]
pub const HOST: &Architecture = &AARCH64;
/// The machine that this was built for.
#[cfg(target_arch = "riscv64")]
pub const HOST: &Architecture = &RISCV64;

/// Every architecture, for the tests.
pub const ALL: [&Architecture; 4] = [&X86_64, &I386, &AARCH64, &RISCV64];

/// 64-bit x86. The third table is x32's: its numbers carry __X32_SYSCALL_BIT.
pub const X86_64: Architecture = Architecture {
    name: "x86_64",
    elf_machine: 62,
    libraries: "lib/x86_64-linux-gnu",
    libraries_32: Some("lib/i386-linux-gnu"),
    tables: &[X86_64_TABLE, I386_TABLE],
};

/// 32-bit x86. Under a 64-bit kernel it can start 64-bit programs. Never the host: the `io-uring` crate has no bindings
/// for it, so vrfrun is not built there.
pub const I386: Architecture = Architecture {
    name: "x86",
    elf_machine: 3,
    libraries: "lib/i386-linux-gnu",
    libraries_32: None,
    tables: &[I386_TABLE, X86_64_TABLE],
};

/// 64-bit ARM. Its 32-bit programs are those of armhf (EABI, which has no socketcall).
pub const AARCH64: Architecture = Architecture {
    name: "aarch64",
    elf_machine: 183,
    libraries: "lib/aarch64-linux-gnu",
    libraries_32: None,
    tables: &[GENERIC_TABLE.named(0xc000_00b7), ARM_TABLE],
};

/// 64-bit RISC-V. The kernel gives its 32-bit programs (5.19) the same name and the same numbers.
pub const RISCV64: Architecture = Architecture {
    name: "riscv64",
    elf_machine: 243,
    libraries: "lib/riscv64-linux-gnu",
    libraries_32: None,
    tables: &[GENERIC_TABLE.named(0xc000_00f3)],
};

const X86_64_TABLE: Table = Table {
    audit: 0xc000_003e,
    bits: 64,
    socket: 41,
    connect: 42,
    setsockopt: 54,
    unshare: 272,
    setns: 308,
    socketcall: None,
    foreign_from: Some(0x4000_0000),
};

const I386_TABLE: Table = Table {
    audit: 0x4000_0003,
    bits: 32,
    socket: 359,
    connect: 362,
    setsockopt: 366,
    unshare: 310,
    setns: 346,
    socketcall: Some(102),
    foreign_from: None,
};

const ARM_TABLE: Table = Table {
    audit: 0x4000_0028,
    bits: 32,
    socket: 281,
    connect: 283,
    setsockopt: 294,
    unshare: 337,
    setns: 375,
    socketcall: None,
    foreign_from: None,
};

/// asm-generic/unistd.h: what every architecture has that came after it.
const GENERIC_TABLE: Table = Table {
    audit: 0,
    bits: 64,
    socket: 198,
    connect: 203,
    setsockopt: 208,
    unshare: 97,
    setns: 268,
    socketcall: None,
    foreign_from: None,
};

impl Table {
    const fn named(self, audit: u32) -> Self {
        Self { audit, ..self }
    }
}

/// The numbers for the machine that this is built for are also known to libc.
const _: () = {
    let own = &HOST.tables[0];
    assert!(own.socket as libc::c_long == libc::SYS_socket && own.setsockopt as libc::c_long == libc::SYS_setsockopt);
    assert!(own.connect as libc::c_long == libc::SYS_connect);
    assert!(own.unshare as libc::c_long == libc::SYS_unshare && own.setns as libc::c_long == libc::SYS_setns);
    assert!(IO_URING_SETUP as libc::c_long == libc::SYS_io_uring_setup);
};

#[cfg(test)]
mod tests {
    use super::*;

    /// linux-libc-dev, without which nothing is linked on this machine.
    #[cfg(target_arch = "x86_64")]
    const X86: &str = "/usr/include/x86_64-linux-gnu/asm";

    /// `#define __NR_name number`, in one of the forms that the kernel's headers have.
    #[cfg(target_arch = "x86_64")]
    fn number(header: &str, name: &str) -> Option<u32> {
        let text = std::fs::read_to_string(header).unwrap_or_else(|error| panic!("{header}: {error}"));
        let lines = text.lines().filter_map(|line| line.strip_prefix("#define __NR_")?.strip_prefix(name));
        lines.filter(|rest| rest.starts_with([' ', '\t'])).find_map(|rest| rest.trim().parse().ok())
    }

    #[cfg(target_arch = "x86_64")] // whose headers are where Debian puts them
    #[test]
    fn numbers_are_those_of_the_kernels_headers() {
        let headers = [
            (X86_64_TABLE, format!("{X86}/unistd_64.h")),
            (I386_TABLE, format!("{X86}/unistd_32.h")),
            (GENERIC_TABLE, "/usr/include/asm-generic/unistd.h".into()),
        ];
        for (table, header) in headers {
            assert_eq!(number(&header, "socket"), Some(table.socket), "{header}");
            assert_eq!(number(&header, "connect"), Some(table.connect), "{header}");
            assert_eq!(number(&header, "setsockopt"), Some(table.setsockopt), "{header}");
            assert_eq!(number(&header, "unshare"), Some(table.unshare), "{header}");
            assert_eq!(number(&header, "setns"), Some(table.setns), "{header}");
            assert_eq!(number(&header, "socketcall"), table.socketcall, "{header}");
            assert_eq!(number(&header, "io_uring_setup"), Some(IO_URING_SETUP), "{header}");
        }
    }

    #[test]
    fn no_two_tables_of_a_machine_share_a_name() {
        for machine in ALL {
            let names: Vec<u32> = machine.tables.iter().map(|table| table.audit).collect();
            assert!(names.iter().all(|name| names.iter().filter(|other| *other == name).count() == 1), "{machine:?}");
            assert!(!names.contains(&0), "{machine:?}");
        }
    }
}
