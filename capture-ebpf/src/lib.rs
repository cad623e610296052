//! Parser and matcher of the kernel programs, as plain functions: [`parse()`] turns a frame into the
//! [`Headers`] that criteria look at, [`classify()`] turns those into the mask of tasks that match,
//! [`limits`] says what these keep of the frame, and [`bit_sliced`] counts for them. The programs
//! (`main.rs`) call them on packets, host tests on bytes.
#![no_std]

pub mod bit_sliced;
mod classify;
pub mod limits;
mod parse;

pub use classify::{Tables, classify, have_addresses, unfiltered};
pub use parse::{Fragment, Frame, HeaderBytes, Headers, Network, parse, parse_quoted};
