//! Takes a packet apart: its headers ([`decode`]), the application protocols in its payload ([`app`]), and the tree of
//! fields of one packet for people who look at it ([`fields`]). There is no I/O, and no input is too odd.

pub mod address;
pub mod app;
pub mod decode;
pub mod fields;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod text;
