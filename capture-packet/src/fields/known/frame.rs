//! What is known of a packet beside its bytes.

use super::entry::{
    Kind::{Layer, Number, Seconds, Text},
    Known, known,
};

pub(super) const FRAME: &[Known] = &[
    known("frame", Layer, "The packet as it was captured"),
    known("frame.number", Number(32), "Number in the file, from 1"),
    known("frame.len", Number(32), "Length on the wire"),
    known("frame.cap_len", Number(32), "Length captured"),
    known("frame.time_epoch", Seconds, "Time since 1970"),
    known(
        "frame.time_relative",
        Seconds,
        "Time since the first packet",
    ),
    known("frame.time_delta", Seconds, "Time since the packet before"),
    known(
        "frame.interface_id",
        Number(32),
        "Number of the interface, from 0",
    ),
    known("frame.interface_name", Text, "Name of the interface"),
    known(
        "frame.protocols",
        Text,
        "Layers from the outermost, joined by colons",
    ),
];
