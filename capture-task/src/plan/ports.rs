//! Port lists: `[443, "8000-8100"]` as sorted ranges that neither overlap nor touch, the form in
//! which the port table and the filter expression want them.

use std::ops::RangeInclusive;

use super::{
    collect::Faults,
    fault::{FaultKind, PortForm},
    field::Field,
    limits::MAX_PORTS,
    text::Excerpt,
};
use crate::task::Quantity;

/// The ranges of a list; `None` where the list is empty, which means every packet.
///
/// Port 0 is a port like any other: it does not belong on the wire, and so is worth looking for.
pub(super) fn parse_list(
    field: Field,
    items: &[Quantity],
    faults: &mut Faults,
) -> Option<Vec<RangeInclusive<u16>>> {
    if items.len() > MAX_PORTS {
        faults.add(field, too_many(items.len()));
        return None;
    }
    let ranges = items
        .iter()
        .enumerate()
        .filter_map(|(index, item)| faults.check_item(field, index, parse(item)))
        .collect();
    (!items.is_empty()).then(|| merge(ranges))
}

pub(super) fn too_many(count: usize) -> FaultKind {
    FaultKind::TooManyPorts {
        count: count as u64,
        most: MAX_PORTS as u64,
    }
}

/// The same ports in the shortest list, sorted, with ranges that overlap or touch as one. A list in which
/// something is wrong stays as it is.
pub(super) fn shorten(items: &mut Vec<Quantity>) {
    let ranges: Result<Vec<_>, _> = items.iter().map(parse).collect();
    if let Ok(ranges) = ranges {
        *items = merge(ranges).into_iter().map(written).collect();
    }
}

/// An item of a list: a number, or text for a range.
pub(super) fn written(range: RangeInclusive<u16>) -> Quantity {
    let (first, last) = range.into_inner();
    if first == last {
        Quantity::Number(first.into())
    } else {
        Quantity::Text(format!("{first}-{last}"))
    }
}

fn parse(item: &Quantity) -> Result<RangeInclusive<u16>, FaultKind> {
    let text = match item {
        Quantity::Number(number) => {
            let port = u16::try_from(*number).map_err(|_| beyond(&number.to_string()))?;
            return Ok(port..=port);
        }
        Quantity::Text(text) => text.trim(),
    };
    if text.is_empty() {
        return Err(FaultKind::PortEmpty);
    }
    let Some((first, last)) = text.split_once('-') else {
        let port = port(text, text)?;
        return Ok(port..=port);
    };
    let (first, last) = (port(first.trim(), text)?, port(last.trim(), text)?);
    if first > last {
        return Err(FaultKind::PortRangeBackwards {
            text: text.into(),
            first,
            last,
        });
    }
    Ok(first..=last)
}

/// One port, `text`, in the item `item`.
fn port(text: &str, item: &str) -> Result<u16, FaultKind> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map_err(|_| beyond(item));
    }
    let form = if item.split([':', ',', ' ']).nth(1).is_some() {
        PortForm::Several
    } else if item.starts_with(|c: char| c.is_ascii_alphabetic())
        && item.len() < Excerpt::MOST
        && item
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    {
        PortForm::Service
    } else {
        PortForm::Other
    };
    Err(FaultKind::NotAPort {
        text: item.into(),
        form,
    })
}

fn beyond(text: &str) -> FaultKind {
    FaultKind::PortOutOfRange { text: text.into() }
}

fn merge(mut ranges: Vec<RangeInclusive<u16>>) -> Vec<RangeInclusive<u16>> {
    ranges.sort_by_key(|range| *range.start());
    let mut merged: Vec<RangeInclusive<u16>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if u32::from(*range.start()) <= u32::from(*last.end()) + 1 => {
                *last = *last.start()..=*last.end().max(range.end());
            }
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::Wording;

    fn text(item: &str) -> Quantity {
        Quantity::Text(item.to_owned())
    }

    #[test]
    fn items() {
        assert_eq!(parse(&Quantity::Number(443)), Ok(443..=443));
        assert_eq!(parse(&text("0")), Ok(0..=0));
        assert_eq!(parse(&text("8000 - 8100")), Ok(8000..=8100));
        assert_eq!(parse(&text("0-65535")), Ok(0..=65535));
    }

    #[test]
    fn faults() {
        for (item, code, hint) in [
            (Quantity::Number(70_000), "out_of_range", "65535"),
            (Quantity::Number(-1), "out_of_range", "65535"),
            (text("70000"), "out_of_range", "65535"),
            (text("1-70000"), "out_of_range", "65535"),
            (text("8100-8000"), "invalid", "\"8000-8100\""),
            (text(""), "invalid", "empty"),
            (text("8000-"), "invalid", "range"),
            (text("-80"), "invalid", "range"),
            (text("+80"), "invalid", "range"),
            (text("1-2-3"), "invalid", "range"),
            (text("8000:8100"), "invalid", "one range"),
            (text("443,80"), "invalid", "one item"),
            (text("https"), "invalid", "getent services https"),
            (text(&"h".repeat(60)), "invalid", "getent services h"),
            (text(&"h".repeat(61)), "invalid", "range"),
        ] {
            let fault = parse(&item).expect_err("should be refused");
            assert_eq!(fault.code(), code, "{item:?}");
            let sentence = fault.sentence(Wording::API);
            assert!(sentence.contains(hint), "{item:?}: {sentence}");
        }
    }

    #[test]
    fn a_list_in_its_shortest_form() {
        for (given, expected) in [
            (&[][..], &[][..]),
            (
                &[text("443"), text("8000-8100")],
                &[Quantity::Number(443), text("8000-8100")],
            ),
            (&[text("9-9"), text(" 9")], &[Quantity::Number(9)]),
            (
                &[text("81"), text("0"), text("80-80"), text("82 - 90")],
                &[Quantity::Number(0), text("80-90")],
            ),
            (&[text("1-65535"), text("0")], &[text("0-65535")]),
            (
                &[text("5"), text("x"), text("5")],
                &[text("5"), text("x"), text("5")],
            ),
        ] {
            let mut items = given.to_vec();
            shorten(&mut items);
            assert_eq!(items, expected);
        }
    }

    proptest! {
        /// The ports stay, and the form that they have then is the last.
        #[test]
        fn the_shortest_form_says_the_same(
            pairs in prop::collection::vec((any::<u16>(), 0..2000_u16), 0..40),
        ) {
            let given: Vec<_> =
                pairs.iter().map(|(first, more)| written(*first..=first.saturating_add(*more))).collect();
            let mut items = given.clone();
            shorten(&mut items);
            let mut faults = Faults::default();
            let [of_given, of_items] =
                [&given, &items].map(|list| parse_list(Field::Ports, list, &mut faults));
            prop_assert_eq!(of_given, of_items);
            prop_assert!(items.len() <= given.len());
            let mut again = items.clone();
            shorten(&mut again);
            prop_assert_eq!(again, items);
        }

        #[test]
        fn merged_ranges_hold_the_same_ports(
            pairs in prop::collection::vec((0_u16..300, 0_u16..40), 1..12),
            high in any::<bool>(),
        ) {
            let offset = if high { u16::MAX - 339 } else { 0 };
            let ranges: Vec<_> =
                pairs.iter().map(|(start, more)| start + offset..=start + more + offset).collect();
            let merged = merge(ranges.clone());
            for port in 0..=u16::MAX {
                let is_in = |ranges: &[RangeInclusive<u16>]| ranges.iter().any(|r| r.contains(&port));
                prop_assert_eq!(is_in(&ranges), is_in(&merged));
            }
            for pair in merged.windows(2) {
                prop_assert!(u32::from(*pair[0].end()) + 1 < u32::from(*pair[1].start()));
            }
        }
    }
}
