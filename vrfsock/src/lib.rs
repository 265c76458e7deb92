//! What vrfrun and vrfsetup ask of a socket, its own or another process's: its device, the network namespace that it was made
//! in, and whether its port is in use in another routing domain.

pub mod device;
pub mod port;
