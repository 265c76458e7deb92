//! The leak matrix: kinds of programs × ways into the VRF × kernels, judged by packets alone.
//!
//! The rows, what is expected of them and which leaks are documented are committed in `tests/leaks/`.
//! `vrfleaks` boots each kernel and prints the tables; `make test` runs the rows marked `slice`.
//!
//! May use `harness`, and of `demo` the kind of world that this machine can have. Names no row or kernel in code, and
//! takes no cell for good that the committed files do not say is.

#![forbid(unsafe_code)]

pub mod cell;
pub mod column;
pub mod counts;
pub mod document;
pub mod expect;
pub mod host;
pub mod inside;
pub mod into;
pub mod native;
pub mod record;
pub mod row;
pub mod session;
pub mod setting;
pub mod table;
pub mod traced;
