//! vrfsetup
fn main() {}
