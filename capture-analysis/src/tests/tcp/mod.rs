//! TCP: what Wireshark calls the segments of random connections.

pub(crate) mod testing;
mod wireshark_tests;
