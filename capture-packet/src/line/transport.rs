//! TCP and UDP.

use std::fmt::Write as _;

use super::{Line, connections::Side, layer::Layer, network::ports, push};
use crate::{decode::be32, fields::Value};

/// The flags of TCP in the order of tcpdump.
const FLAGS: [(u64, char); 8] = [
    (0x01, 'F'),
    (0x02, 'S'),
    (0x04, 'R'),
    (0x08, 'P'),
    (0x10, '.'),
    (0x20, 'U'),
    (0x40, 'E'),
    (0x80, 'W'),
];

impl<'a> Line<'a> {
    /// TCP; `next` is the layer behind it.
    pub(super) fn tcp(&mut self, layer: Layer<'a>, next: usize) {
        let number = |name| layer.number(name);
        let (Some(flags), Some(sequence), Some(acknowledgement), Some(window)) = (
            number("tcp.flags"),
            number("tcp.seq_raw"),
            number("tcp.ack_raw"),
            number("tcp.window_size_value"),
        ) else {
            self.text.push_str("[|tcp]");
            return;
        };
        let len = number("tcp.len").unwrap_or(0);
        let names: String = FLAGS
            .iter()
            .filter(|(bit, _)| flags & bit != 0)
            .map(|(_, name)| *name)
            .collect();
        let names = if names.is_empty() { "none" } else { &names };
        push!(self, "Flags [{names}]");
        let raw = (sequence as u32, acknowledgement as u32);
        let (sequence, acknowledgement) = self.relative(layer, next, raw, flags);
        if len > 0 {
            push!(
                self,
                ", seq {sequence}:{}",
                sequence.wrapping_add(len as u32)
            );
        } else if flags & 0x07 != 0 {
            push!(self, ", seq {sequence}");
        }
        if flags & 0x10 != 0 {
            push!(self, ", ack {acknowledgement}");
        }
        push!(self, ", win {window}");
        if flags & 0x20 != 0 {
            push!(self, ", urg {}", number("tcp.urgent_pointer").unwrap_or(0));
        }
        let start = layer.0.offset as usize;
        let options = self
            .frame
            .data
            .get(start + 20..start + layer.0.len as usize);
        self.tcp_options(options.unwrap_or_default());
        push!(self, ", length {len}");
        self.app(next);
    }

    fn relative(&mut self, tcp: Layer<'a>, next: usize, raw: (u32, u32), flags: u64) -> (u32, u32) {
        let sides = self.sides(tcp, next);
        match (&mut self.connections, sides) {
            (Some(connections), Some(sides)) => {
                connections.relative(sides, raw, flags & 0x02 != 0, flags & 0x10 != 0)
            }
            _ => raw,
        }
    }

    /// Both sides of a connection whose TCP header stands before the layer at `next`.
    fn sides(&self, tcp: Layer<'a>, next: usize) -> Option<(Side, Side)> {
        let before = self.layers.get(..next)?.iter().rev().map(Layer);
        let ip = before
            .into_iter()
            .find(|layer| matches!(layer.name(), "ip" | "ipv6"))?;
        let address = |v4, v6| match ip.value(v4).or(ip.value(v6))? {
            Value::Address(address) => Some(*address),
            _ => None,
        };
        let (source, destination) = ports(tcp)?;
        Some((
            (address("ip.src", "ipv6.src")?, source as u16),
            (address("ip.dst", "ipv6.dst")?, destination as u16),
        ))
    }

    fn tcp_options(&mut self, mut options: &[u8]) {
        let mut separator = ", options [";
        while let [kind, rest @ ..] = options {
            self.text.push_str(separator);
            separator = ",";
            let (value, behind) = match (kind, rest) {
                (0 | 1, _) => (&[][..], rest),
                (_, [len, ..]) => {
                    let len = usize::from(*len);
                    match (options.get(2..len), options.get(len..)) {
                        (Some(value), Some(behind)) => (value, behind),
                        _ => {
                            self.text.push_str("bad opt]");
                            return;
                        }
                    }
                }
                _ => (&[][..], &[][..]),
            };
            self.tcp_option(*kind, value);
            options = if *kind == 0 { &[] } else { behind };
        }
        if separator == "," {
            self.text.push(']');
        }
    }

    fn tcp_option(&mut self, kind: u8, value: &[u8]) {
        let _ = match (kind, value) {
            (0, _) => write!(self.text, "eol"),
            (1, _) => write!(self.text, "nop"),
            (2, [high, low]) => write!(self.text, "mss {}", u16::from_be_bytes([*high, *low])),
            (3, [shift]) => write!(self.text, "wscale {shift}"),
            (4, _) => write!(self.text, "sackOK"),
            (5, blocks) => {
                let (blocks, _) = blocks.as_chunks::<8>();
                let _ = write!(self.text, "sack {} ", blocks.len());
                for block in blocks {
                    let _ = write!(self.text, "{{{}:{}}}", be32(block, 0), be32(block, 4));
                }
                Ok(())
            }
            (8, stamps @ [_, _, _, _, _, _, _, _]) => {
                write!(
                    self.text,
                    "TS val {} ecr {}",
                    be32(stamps, 0),
                    be32(stamps, 4)
                )
            }
            (34, _) => write!(self.text, "tfo"),
            (kind, value) => {
                let _ = write!(self.text, "unknown-{kind}");
                if !value.is_empty() {
                    self.text.push_str(" 0x");
                }
                value
                    .iter()
                    .try_for_each(|byte| write!(self.text, "{byte:02x}"))
            }
        };
    }

    /// UDP; whether a packet within it follows.
    pub(super) fn udp(&mut self, layer: Layer<'a>, next: usize) -> bool {
        let Some(len) = layer.number("udp.length") else {
            self.text.push_str("[|udp]");
            return false;
        };
        let is_tunnel = self
            .layer(next)
            .is_some_and(|layer| matches!(layer.name(), "vxlan" | "geneve" | "gtp"));
        if is_tunnel {
            return true;
        }
        let len = len.saturating_sub(8);
        if !self.datagram(next, len) {
            push!(self, "UDP, length {len}");
        }
        false
    }
}
