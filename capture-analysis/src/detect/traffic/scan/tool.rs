//! What the SYNs of a scan look like: a tool that writes them itself does so in its own way.

use crate::decode::{Ip, Tcp};

/// The fields of a SYN that tools fill in otherwise than a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    window: u16,
    mss: Option<u16>,
    /// Whether there is any option but the maximum segment size.
    options: bool,
    source_port: u16,
    id: Option<u32>,
}

/// The fields that all probes have in common.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shapes {
    first: Option<Shape>,
    window_varies: bool,
    port_varies: bool,
    id_varies: bool,
}

impl Shapes {
    pub(super) fn add(&mut self, ip: &Ip, tcp: &Tcp) {
        let shape = Shape {
            window: tcp.window,
            mss: tcp.mss,
            options: tcp.timestamps.is_some() || tcp.sack_permitted || tcp.window_scale.is_some(),
            source_port: tcp.source_port,
            id: ip.identification,
        };
        let first = *self.first.get_or_insert(shape);
        self.window_varies |= first.window != shape.window || first.options != shape.options;
        self.port_varies |= first.source_port != shape.source_port;
        self.id_varies |= first.id != shape.id;
    }

    /// What they look like, as the end of a sentence: the signatures of p0f and the sources of the tools.
    pub(super) fn words(&self) -> Option<String> {
        let first = self.first?;
        if !self.id_varies && first.id == Some(54_321) {
            return Some("as ZMap sends them (IP identification 54321)".to_owned());
        }
        if self.window_varies {
            return None;
        }
        Some(match (first.window, first.mss, first.options) {
            (1024..=4096, Some(1460), false) if first.window.is_multiple_of(1024) => {
                format!(
                    "as Nmap's SYN scan sends them (window {}, MSS alone)",
                    first.window
                )
            }
            (1024, None, false) => "as masscan sends them (window 1024, no options)".to_owned(),
            (512, None, false) => "as hping3 sends them (window 512, no options)".to_owned(),
            (_, _, true) => "from sockets of an ordinary system".to_owned(),
            _ if !self.port_varies => format!("all from port {}", first.source_port),
            _ => return None,
        })
    }
}
