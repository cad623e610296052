//! The pcapng blocks that describe packets: what their options say of a section, an interface, and its figures.

use super::{
    clock::Clock,
    error::ErrorCause,
    item::{Filter, Interface, Section, Statistics},
    options::{COMMENT, Opt, Options},
};

/// Section Header Block (section 4.1 of the draft).
pub(super) fn section(mut options: Options<'_>) -> Result<Section, ErrorCause> {
    let mut section = Section::default();
    while let Some(option) = options.next()? {
        match option.code {
            COMMENT => add(&mut section.comment, option),
            2 => section.hardware = Some(option.text().into_owned()),
            3 => section.os = Some(option.text().into_owned()),
            4 => section.application = Some(option.text().into_owned()),
            _ => {}
        }
    }
    Ok(section)
}

/// Interface Description Block (section 4.2), and how the interface counts time.
pub(super) fn interface(
    interface: &mut Interface,
    mut options: Options<'_>,
) -> Result<Clock, ErrorCause> {
    let mut clock = Clock::default();
    while let Some(option) = options.next()? {
        match option.code {
            COMMENT => add(&mut interface.comment, option),
            2 => interface.name = Some(option.text().into_owned()),
            3 => interface.description = Some(option.text().into_owned()),
            9 => clock = clock.with_resolution(option.u8()?),
            11 => interface.filter = filter(option),
            14 => clock = clock.with_offset(option.u64()?.cast_signed()),
            _ => {}
        }
    }
    Ok(clock)
}

/// The first byte says what follows: 0 is an expression, 1 a BPF program.
fn filter(option: Opt<'_>) -> Option<Filter> {
    let expression = |text: &[u8]| Filter::Expression(String::from_utf8_lossy(text).into_owned());
    match option.value {
        [] | [0] => None,
        [0, text @ ..] => Some(expression(text)),
        _ => Some(Filter::Program),
    }
}

/// Bytes of text in a description.
pub(super) fn text_len(interface: &Interface) -> usize {
    let Interface {
        id: _,
        link_type: _,
        snap_len: _,
        name,
        description,
        filter,
        comment,
    } = interface;
    let filter = match filter {
        Some(Filter::Expression(text)) => text.len(),
        Some(Filter::Program) | None => 0,
    };
    let texts = [name, description, comment];
    texts.into_iter().flatten().map(String::len).sum::<usize>() + filter
}

/// Interface Statistics Block (section 4.6).
pub(super) fn statistics(
    mut statistics: Statistics,
    clock: Clock,
    mut options: Options<'_>,
) -> Result<Statistics, ErrorCause> {
    while let Some(option) = options.next()? {
        match option.code {
            COMMENT => add(&mut statistics.comment, option),
            2 => statistics.started_ns = Some(clock.ns(option.timestamp()?)),
            3 => statistics.ended_ns = Some(clock.ns(option.timestamp()?)),
            4 => statistics.received = Some(option.u64()?),
            5 => statistics.interface_dropped = Some(option.u64()?),
            6 => statistics.accepted = Some(option.u64()?),
            7 => statistics.system_dropped = Some(option.u64()?),
            8 => statistics.delivered = Some(option.u64()?),
            _ => {}
        }
    }
    Ok(statistics)
}

/// A block may have several comments.
fn add(comment: &mut Option<String>, option: Opt<'_>) {
    match comment {
        None => *comment = Some(option.text().into_owned()),
        Some(comment) => {
            comment.push('\n');
            comment.push_str(&option.text());
        }
    }
}
