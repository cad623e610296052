//! Each finding of TCP once for real, and beside it something innocent that looks alike. The filters are given to tshark.

mod odd;
mod path;
mod setup;
mod simulation;
mod transfer;
