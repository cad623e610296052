//! Reads nanosecond pcap files, which tcpdump and the agent write, for a comparison byte by byte in
//! [`super::verdict`].

use anyhow::{Context as _, Result, ensure};

/// The frames of a file (draft-ietf-opsawg-pcap, host byte order): the bytes that were kept, and the
/// length on the wire.
pub(super) fn frames(file: &[u8]) -> Result<Vec<(Vec<u8>, usize)>> {
    let number = |at: usize| -> Result<u32> {
        let bytes = file
            .get(at..at + 4)
            .with_context(|| format!("cut at {at}"))?;
        Ok(u32::from_ne_bytes(bytes.try_into()?))
    };
    ensure!(number(0)? == 0xa1b2_3c4d, "no nanosecond pcap file");
    let (mut at, mut frames) = (24, Vec::new());
    while at < file.len() {
        let (kept, len) = (number(at + 8)? as usize, number(at + 12)? as usize);
        let bytes = file
            .get(at + 16..at + 16 + kept)
            .with_context(|| format!("a record is cut at {at}"))?;
        frames.push((bytes.to_vec(), len));
        at += 16 + kept;
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_and_a_cut_file_is_not() {
        let words = [0xa1b2_3c4d, 4 << 16 | 2, 0, 0, 65_535, 1, 0, 0, 4, 60, 7];
        let file: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
        let read = frames(&file).expect("a whole file");
        assert_eq!(read, [(7_u32.to_ne_bytes().to_vec(), 60)]);
        assert!(frames(&file[..file.len() - 1]).is_err());
        assert!(frames(b"no pcap").is_err());
    }
}
