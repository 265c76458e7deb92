//! Hooks `socket` and `connect` and passes both on: what torsocks and its kin do, for the leak matrix.
//! Preloaded before or after the shim, it must not carry a program out of the VRF.

use libc::{c_int, sockaddr, socklen_t};

redhook::hook! {
    unsafe fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int => foreign_socket {
        redhook::real!(socket)(domain, kind, protocol)
    }
}

redhook::hook! {
    unsafe fn connect(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int => foreign_connect {
        redhook::real!(connect)(fd, address, length)
    }
}
