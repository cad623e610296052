//! The parts of the analysis, each in a pass of its own over the file: reading, headers, all of it. CPU time of this thread.

use std::{fs::File, hint::black_box, path::Path};

use anyhow::{Context as _, Result};
use capture_file::read::{Item, Reader};
use capture_inspector::Feed;
use capture_packet::decode::Decoded;
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Nanoseconds a packet.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Parts {
    /// Reading the file.
    pub(crate) read: f64,
    /// The headers of its packets.
    pub(crate) decode: f64,
    /// Headers, flows, detectors and the report.
    pub(crate) analyze: f64,
}

/// Measures them.
pub(crate) fn measure(path: &Path) -> Result<Parts> {
    let (packets, read) = timed(path, |_, data| {
        black_box(data.len());
    })?;
    let (_, decoded) = timed(path, |original_len, data| {
        black_box(Decoded::new(1, data, original_len).payload_len);
    })?;
    let begin = cpu_ns()?;
    let mut feed = Feed::default();
    feed.all(&mut Reader::new(open(path)?))?;
    black_box(feed.finish().findings.len());
    let all = cpu_ns()? - begin;
    let each = |ns: i64| ns as f64 / packets as f64;
    Ok(Parts {
        read: each(read),
        decode: each(decoded - read),
        analyze: each(all - read),
    })
}

/// Looks at each packet's length and bytes: packets, and nanoseconds for all.
fn timed(path: &Path, mut look: impl FnMut(u32, &[u8])) -> Result<(u64, i64)> {
    let begin = cpu_ns()?;
    let mut reader = Reader::new(open(path)?);
    while let Some(item) = reader.next()? {
        if let Item::Packet(packet) = item {
            look(packet.original_len, packet.data);
        }
    }
    Ok((reader.packets(), cpu_ns()? - begin))
}

fn open(path: &Path) -> Result<File> {
    File::open(path).with_context(|| format!("cannot open {}", path.display()))
}

fn cpu_ns() -> Result<i64> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    Ok(time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}
