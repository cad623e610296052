//! Takes a packet apart: its headers ([`decode`]), the application protocols in its payload ([`app`]), and the tree of
//! fields of one packet for people who look at it ([`fields`]), by which packets are chosen ([`filter`]). What another must not see is taken out by [`redact`]. There is no I/O,
//! and no input is too odd.

pub mod address;
pub mod app;
pub mod decode;
pub mod fields;
pub mod filter;
pub mod frame;
pub mod line;
pub mod redact;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod text;
