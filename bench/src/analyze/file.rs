//! Writes a mixture as a pcap file, with the headers and checksums that hosts send.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result};

use super::{
    content::Contents,
    mixture::Mixture,
    packet::{Flow, From, Packet, Segment, What},
};

/// 2026-01-01T00:00:00Z.
const START_S: u64 = 1_767_225_600;

/// Writes it; bytes of the file.
pub(crate) fn write(mixture: &Mixture, path: &Path) -> Result<u64> {
    let writing = || format!("cannot write {}", path.display());
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).with_context(writing)?);
    let header = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1];
    file.write_all(&header.map(u32::to_le_bytes).concat())
        .with_context(writing)?;
    let contents = Contents::new(1);
    let mut ids = vec![[0u16; 2]; mixture.flows.len()];
    let (mut bytes, mut frame) = (24, Vec::with_capacity(2048));
    for packet in &mixture.packets {
        let flow = &mixture.flows[packet.flow as usize];
        let id = &mut ids[packet.flow as usize][packet.from as usize];
        *id = id.wrapping_add(1);
        let id = id.wrapping_add(flow.isn[0] as u16).max(1);
        frame.clear();
        build(packet, flow, id, &contents, &mut frame);
        let len = frame.len() as u32;
        let seconds = START_S + packet.ns / 1_000_000_000;
        let micros = packet.ns / 1_000 % 1_000_000;
        let record = [seconds as u32, micros as u32, len, len];
        file.write_all(&record.map(u32::to_le_bytes).concat())
            .and_then(|()| file.write_all(&frame))
            .with_context(writing)?;
        bytes += 16 + u64::from(len);
    }
    file.flush().with_context(writing)?;
    Ok(bytes)
}

fn build(packet: &Packet, flow: &Flow, id: u16, contents: &Contents, frame: &mut Vec<u8>) {
    let from = packet.from as usize;
    let macs = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
    if let What::Arp = packet.what {
        return arp(packet.from, flow, frame);
    }
    frame.extend(macs[1 - from]);
    frame.extend(macs[from]);
    frame.extend(if flow.v6 { [0x86, 0xdd] } else { [8, 0] });
    let ip = frame.len();
    frame.resize(ip + if flow.v6 { 40 } else { 20 }, 0);
    let transport = frame.len();
    let protocol = match &packet.what {
        What::Tcp(segment) => {
            tcp(segment, packet, flow, contents, frame);
            6
        }
        What::Udp(payload) => {
            ports(flow, from, frame);
            frame.extend([0; 4]);
            contents.write(payload, packet.flow, frame);
            let len = ((frame.len() - transport) as u16).to_be_bytes();
            frame[transport + 4..transport + 6].copy_from_slice(&len);
            17
        }
        What::Echo { sequence } => {
            let kind = match (flow.v6, packet.from) {
                (false, From::Client) => 8,
                (false, From::Server) => 0,
                (true, From::Client) => 128,
                (true, From::Server) => 129,
            };
            frame.extend([kind, 0, 0, 0]);
            frame.extend((packet.flow as u16).to_be_bytes());
            frame.extend(sequence.to_be_bytes());
            frame.extend(0..56);
            if flow.v6 { 58 } else { 1 }
        }
        What::Arp => return,
    };
    ip_header(flow, from, protocol, id, &mut frame[ip..]);
    checksum(flow, from, protocol, &mut frame[transport..]);
}

fn ports(flow: &Flow, from: usize, frame: &mut Vec<u8>) {
    frame.extend(flow.ends[from].1.to_be_bytes());
    frame.extend(flow.ends[1 - from].1.to_be_bytes());
}

fn tcp(segment: &Segment, packet: &Packet, flow: &Flow, contents: &Contents, frame: &mut Vec<u8>) {
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    let from = packet.from as usize;
    let mut options = Vec::with_capacity(40);
    if segment.flags & SYN != 0 {
        options.extend([2, 4, 5, 0xb4, 4, 2]);
    } else {
        options.extend([1, 1]);
    }
    options.extend([8, 10]);
    options.extend(segment.ts.0.wrapping_add(flow.isn[from] >> 4).to_be_bytes());
    let echo = segment.ts.1.wrapping_add(flow.isn[1 - from] >> 4);
    let has_ack = segment.flags & ACK != 0;
    options.extend(if has_ack { echo } else { 0 }.to_be_bytes());
    if segment.flags & SYN != 0 {
        options.extend([1, 3, 3, 7]);
    }
    let absolute = |of: usize, relative: u32| flow.isn[of].wrapping_add(relative).to_be_bytes();
    if let Some((left, right)) = segment.sack {
        options.extend([1, 1, 5, 10]);
        options.extend(absolute(1 - from, left));
        options.extend(absolute(1 - from, right));
    }
    ports(flow, from, frame);
    frame.extend(absolute(from, segment.seq));
    let ack = absolute(1 - from, segment.ack);
    frame.extend(if has_ack { ack } else { [0; 4] });
    frame.push(((5 + options.len() / 4) << 4) as u8);
    frame.extend([segment.flags, 0xfa, 0xf0, 0, 0, 0, 0]);
    frame.extend(options);
    contents.write(&segment.payload, packet.flow, frame);
}

fn ip_header(flow: &Flow, from: usize, protocol: u8, id: u16, packet: &mut [u8]) {
    let (source, destination) = (flow.ends[from].0, flow.ends[1 - from].0);
    if flow.v6 {
        let len = ((packet.len() - 40) as u16).to_be_bytes();
        packet[..8].copy_from_slice(&[0x60, 0, 0, 0, len[0], len[1], protocol, flow.ttl[from]]);
        packet[8..24].copy_from_slice(&source);
        packet[24..40].copy_from_slice(&destination);
        return;
    }
    let (len, id) = ((packet.len() as u16).to_be_bytes(), id.to_be_bytes());
    let start = [
        0x45,
        0,
        len[0],
        len[1],
        id[0],
        id[1],
        0x40,
        0,
        flow.ttl[from],
        protocol,
        0,
        0,
    ];
    packet[..12].copy_from_slice(&start);
    packet[12..16].copy_from_slice(&source[..4]);
    packet[16..20].copy_from_slice(&destination[..4]);
    let sum = fold(sum(&packet[..20], 0));
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

fn checksum(flow: &Flow, from: usize, protocol: u8, segment: &mut [u8]) {
    let at = match protocol {
        6 => 16,
        17 => 6,
        _ => 2,
    };
    let len = if flow.v6 { 16 } else { 4 };
    let pseudo = match protocol {
        1 => 0,
        _ => {
            let header = sum(
                &flow.ends[from].0[..len],
                sum(&flow.ends[1 - from].0[..len], 0),
            );
            header + u32::from(protocol) + segment.len() as u32
        }
    };
    let sum = fold(sum(segment, pseudo));
    segment[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

fn sum(bytes: &[u8], start: u32) -> u32 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let all = pairs
        .iter()
        .map(|pair| u32::from(u16::from_be_bytes(*pair)));
    start + all.sum::<u32>() + rest.first().map_or(0, |last| u32::from(*last) << 8)
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn arp(from: From, flow: &Flow, frame: &mut Vec<u8>) {
    let from_client = from == From::Client;
    let target = if from_client {
        [255; 6]
    } else {
        [2, 0, 0, 0, 0, 1]
    };
    let sender = [2, 0, 0, 0, 0, 1 + from as u8];
    frame.extend(target);
    frame.extend(sender);
    frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1 + from as u8]);
    let neighbours = [[10, 20, 0, 10], [10, 20, 0, 1]];
    frame.extend(sender);
    frame.extend(neighbours[from as usize]);
    frame.extend(if from_client { [0; 6] } else { target });
    frame.extend(neighbours[1 - from as usize]);
    // The shortest frame of Ethernet.
    frame.resize(60, (flow.ttl[0] == 0).into());
}
