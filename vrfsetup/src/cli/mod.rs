//! The command line: what it can say (`args`, `groups`), and which verb does it and how its result is printed (`dispatch`, `verbs`,
//! `watch`, `output`) or what it has to say besides (`messages`); or that it is another program's (`runc`).
//!
//! May use every other room. Plans nothing and changes nothing itself, except that `-n` moves this thread into a network
//! namespace (`netns`) before anything is opened. Standard output carries results only; nobody else prints, except for
//! the demonstration and the progress line of a long transaction.
#![forbid(unsafe_code)]

mod args;
mod dispatch;
mod groups;
mod messages;
mod netns;
mod output;
mod runc;
mod verbs;
mod watch;

pub use dispatch::{definition, main};
