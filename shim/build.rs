//! Gives the shared object its SONAME and its mark for shadow stacks, and keeps the C start files out of it.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // cargo sets none; a program that links the library would look for the file name it happened to link with.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libvrfshim.so.0");
    // crti.o and crtbeginS.o bring an .init that musl never calls, and relocations that every process pays for.
    println!("cargo:rustc-cdylib-link-arg=-nostartfiles");
    // GNU ld would start each segment on a page of its own in the file: 6 KiB of zeros.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,noseparate-code");
    // One object without the mark, and glibc starts the program without its shadow stack (2.39). No compiler's word is
    // needed for it: nothing here returns anywhere but to its caller.
    if std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("x86_64") {
        println!("cargo:rerun-if-changed=shstk.ld");
        // From rustc 1.90 on it would be lld, which makes no note of what such a script holds.
        println!("cargo:rustc-cdylib-link-arg=-fuse-ld=bfd");
        println!("cargo:rustc-cdylib-link-arg=-Wl,-T,{}/shstk.ld", env!("CARGO_MANIFEST_DIR"));
    }
}
