//! The place: two namespaces and a veth pair, and what its receiving end has counted.
//!
//! The receiving end has GRO on, so that veth receives by NAPI whether or not XDP is there, as a
//! hardware driver does; without it live frames are refused. Reception runs where the sender runs:
//! no RPS, which would put it on the CPU of the capture and have the two fight for it.

use std::process::Command;

use anyhow::{Context as _, Result};
use capture_tests::{
    netns::{HOST_IF, Lab, PEER_IF},
    output,
};
use serde_json::Value;

/// What the capture's interface has counted since it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

/// Makes both namespaces.
pub(crate) fn make() -> Lab {
    let lab = Lab::new();
    lab.host.offloads(HOST_IF, &["gro", "on"]);
    lab.peer.offloads(PEER_IF, &["gro", "on"]);
    lab
}

/// Reads the counters of the capture's interface.
pub(crate) fn received(lab: &Lab) -> Result<Received> {
    let mut ip = Command::new("ip");
    ip.args(["-n", lab.host.name(), "-j", "-s", "link", "show", HOST_IF]);
    let links: Value = serde_json::from_str(&output(&mut ip)).context("ip gives no JSON")?;
    let count = |name: &str| {
        let count = links[0]["stats64"]["rx"][name].as_u64();
        count.with_context(|| format!("ip tells no {name} of {HOST_IF}"))
    };
    Ok(Received {
        packets: count("packets")?,
        bytes: count("bytes")?,
    })
}

impl Received {
    /// What came in between.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            packets: self.packets - before.packets,
            bytes: self.bytes - before.bytes,
        }
    }
}
