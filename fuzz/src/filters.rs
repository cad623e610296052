//! Display filters: any text, on packets of every kind.

use std::sync::LazyLock;

use capture_packet::{
    fields::{Field, fields},
    filter::{Filter, MAX_LEN},
};

use crate::{packets::alone, seeds};

/// Frames of Ethernet, and their fields.
static PACKETS: LazyLock<Vec<(Vec<u8>, Vec<Field>)>> = LazyLock::new(|| {
    let frames = seeds::frames().into_iter();
    let frames = frames.filter(|frame| frame[..2] == [0, 0]);
    let with_fields = frames.map(|frame| (frame[2..].to_vec(), fields(1, &frame[2..])));
    with_fields.collect()
});

/// A text is refused with a column in it, or it is a filter that says of each packet the opposite of its negation.
pub(crate) fn filter(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let filter: Filter = match text.parse() {
        Ok(filter) => filter,
        Err(fault) => {
            let fault: capture_packet::filter::Fault = fault;
            assert!(
                (1..=text.chars().count() + 1).contains(&fault.column),
                "{fault}"
            );
            assert!(!fault.message.chars().any(char::is_control), "{fault:?}");
            return;
        }
    };
    assert!(text.len() <= MAX_LEN);
    let again: Filter = filter.to_string().parse().expect("its own text");
    let negated: Option<Filter> = match text.trim() {
        "" => None,
        text => format!("not ({text})").parse().ok(),
    };
    for (frame, fields) in PACKETS.iter() {
        let frame = alone(1, frame, frame.len() as u32);
        let passes = filter.matches_fields(&frame, fields);
        assert_eq!(passes, filter.matches(&frame), "{text:?}");
        assert_eq!(passes, again.matches_fields(&frame, fields), "{text:?}");
        if let Some(negated) = &negated {
            assert_ne!(passes, negated.matches_fields(&frame, fields), "{text:?}");
        }
    }
}
