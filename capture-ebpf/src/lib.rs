//! Parser and matcher of the kernel programs, as plain functions: [`parse()`] turns a frame into the
//! [`Headers`] that criteria look at, [`classify()`] turns those into the mask of tasks that match.
//! The programs (`main.rs`) call them on packets, host tests on bytes.
#![no_std]

mod classify;
mod parse;

pub use classify::{Tables, classify};
pub use parse::{Fragment, Frame, Headers, Network, parse};
