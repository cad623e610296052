//! Parser and matcher of the kernel programs, as plain functions: [`parse()`] turns a frame into the
//! [`Headers`] that criteria look at, [`classify()`] turns those into the mask of tasks that match,
//! [`limits`] says what these keep of the frame, and [`tally`] counts for them. The programs
//! (`main.rs`) call them on packets, host tests on bytes.
#![no_std]

mod classify;
pub mod limits;
mod parse;
pub mod tally;

pub use classify::{Tables, classify, have_addresses, unfiltered};
pub use parse::{Fragment, Frame, Headers, Network, Window, parse, parse_quoted};
