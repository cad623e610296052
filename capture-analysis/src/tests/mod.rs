//! Whole captures, and what is found in them, by protocol. tshark is asked whether the packets are those that it shows.

mod app;
mod net;
pub(crate) mod tcp;
mod tls;
