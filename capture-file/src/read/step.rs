//! From one record to the next. A record is looked at only when all of it is there; where the source ends before, it is
//! the end, damage, or nothing yet. Comes between the formats and `reader`.

use std::io::Read;

use super::{
    buffer::Buffer,
    error::ErrorCause,
    item::{Interface, Secrets, Section, Statistics},
    pcap::Pcap,
    pcapng::{self, Block, Class, Pcapng},
    record::PacketRecord,
};

/// A block that is passed over.
pub(super) struct Skip {
    block: Block,
    /// Bytes before its end, the length there not included.
    left: u64,
    /// Where it begins.
    pub(super) offset: u64,
    secrets: Option<Secrets>,
}

/// What the reader has come to.
pub(super) enum Step {
    /// And where in the buffer its record begins.
    Packet(PacketRecord, usize),
    Interface(Box<Interface>),
    Statistics(Box<Statistics>),
    Section(Box<Section>),
    Secrets(Secrets),
    Pending,
    End,
}

/// The next record of pcap.
pub(super) fn pcap_record<R: Read>(
    buffer: &mut Buffer<R>,
    pcap: &Pcap,
) -> Result<Step, ErrorCause> {
    let header_len = pcap.record_header_len;
    if !buffer.has(header_len)? {
        return ended(buffer);
    }
    let header = pcap.record(buffer.rest().get(..header_len).unwrap_or_default())?;
    let data_len = header.len as usize;
    if !buffer.has(header_len + data_len)? {
        return ended(buffer);
    }
    let at = buffer.take(header_len + data_len);
    Ok(Step::Packet(pcap.packet(header), at))
}

/// The next block of pcapng that says something.
pub(super) fn pcapng_block<R: Read>(
    buffer: &mut Buffer<R>,
    pcapng: &mut Pcapng,
    skip: &mut Option<Skip>,
) -> Result<Step, ErrorCause> {
    loop {
        if skip.is_some()
            && let Some(step) = pass_over(buffer, pcapng, skip)?
        {
            return Ok(step);
        }
        if !buffer.has(pcapng::HEAD_LEN)? {
            return ended(buffer);
        }
        let Some(head) = buffer.rest().first_chunk() else {
            return ended(buffer);
        };
        let block = pcapng.block(head)?;
        let len = block.len as usize;
        match block.class {
            Class::Packet => {
                if !buffer.has(len)? {
                    return ended(buffer);
                }
                let data = buffer.rest().get(..len).unwrap_or_default();
                pcapng.check_foot(block, data)?;
                let packet = pcapng.packet(block, data)?;
                return Ok(Step::Packet(packet, buffer.take(len)));
            }
            Class::Description => return describe(buffer, pcapng, block),
            Class::Skipped => {
                if !begin_skip(buffer, pcapng, block, skip)? {
                    return ended(buffer);
                }
            }
        }
    }
}

/// Reads a block that describes.
#[cold]
fn describe<R: Read>(
    buffer: &mut Buffer<R>,
    pcapng: &mut Pcapng,
    block: Block,
) -> Result<Step, ErrorCause> {
    let len = block.len as usize;
    if !buffer.has(len)? {
        return ended(buffer);
    }
    let data = buffer.rest().get(..len).unwrap_or_default();
    pcapng.check_foot(block, data)?;
    let step = match block.kind {
        pcapng::SECTION_HEADER => Step::Section(Box::new(pcapng.section(data)?)),
        pcapng::INTERFACE_DESCRIPTION => Step::Interface(Box::new(pcapng.interface(data)?)),
        _ => Step::Statistics(Box::new(pcapng.statistics(data)?)),
    };
    buffer.take(len);
    Ok(step)
}

/// Begins to pass over a block; `false` if its beginning is not there yet.
#[cold]
fn begin_skip<R: Read>(
    buffer: &mut Buffer<R>,
    pcapng: &Pcapng,
    block: Block,
    skip: &mut Option<Skip>,
) -> Result<bool, ErrorCause> {
    let mut secrets = None;
    if block.kind == pcapng::DECRYPTION_SECRETS {
        if !buffer.has(16)? {
            return Ok(false);
        }
        secrets = Some(pcapng.secrets(buffer.rest()));
    }
    *skip = Some(Skip {
        block,
        left: u64::from(block.len) - pcapng::FOOT_LEN as u64,
        offset: buffer.offset(),
        secrets,
    });
    Ok(true)
}

/// Passes over a block, and checks its end; `None` where it had nothing to say.
#[cold]
fn pass_over<R: Read>(
    buffer: &mut Buffer<R>,
    pcapng: &mut Pcapng,
    skip: &mut Option<Skip>,
) -> Result<Option<Step>, ErrorCause> {
    let Some(skipped) = skip else {
        return Ok(None);
    };
    while skipped.left > 0 {
        match buffer.skip(skipped.left)? {
            0 => return cut(buffer).map(Some),
            count => skipped.left -= count,
        }
    }
    if !buffer.has(pcapng::FOOT_LEN)? {
        return cut(buffer).map(Some);
    }
    let foot = buffer.rest().get(..pcapng::FOOT_LEN).unwrap_or_default();
    pcapng.check_foot(skipped.block, foot)?;
    buffer.take(pcapng::FOOT_LEN);
    pcapng.passed_over(skipped.block);
    let secrets = skipped.secrets;
    *skip = None;
    Ok(secrets.map(Step::Secrets))
}

/// At the end of the source: before a record, or within one.
#[cold]
pub(super) fn ended<R: Read>(buffer: &Buffer<R>) -> Result<Step, ErrorCause> {
    if buffer.rest().is_empty() && !buffer.is_following() {
        return Ok(Step::End);
    }
    cut(buffer)
}

/// At the end of the source, within a record.
fn cut<R: Read>(buffer: &Buffer<R>) -> Result<Step, ErrorCause> {
    if buffer.is_following() {
        return Ok(Step::Pending);
    }
    Err(ErrorCause::Cut {
        there: buffer.rest().len(),
    })
}
