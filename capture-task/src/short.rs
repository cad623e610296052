//! Times and IDs as short as people need them.

use jiff::Timestamp;

use crate::printable;

/// Characters of a short ID, unless more are needed to tell two apart.
pub(crate) const SHORT_ID: usize = 6;

/// A time that passed, in its largest unit: `12 s`, `5 min`, `3 h`, `2 d`.
pub fn about_text(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// How long ago something was.
pub fn ago_text(seconds: u64) -> String {
    match seconds {
        0..2 => "now".to_owned(),
        _ => format!("{} ago", about_text(seconds)),
    }
}

/// How long ago a time was, as the API writes it.
pub fn ago_of(time: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => {
            let passed = Timestamp::now().duration_since(time).as_secs();
            ago_text(u64::try_from(passed).unwrap_or_default())
        }
        Err(_) => printable(time),
    }
}

/// The end of an ID: the beginnings of ULIDs are their time, and alike.
pub fn short_id(id: &str, length: usize) -> &str {
    let start = id.len().saturating_sub(length);
    id.get(start..).unwrap_or(id)
}

/// How many characters at the end of IDs tell them apart.
pub fn short_length<'a>(ids: impl Iterator<Item = &'a str> + Clone) -> usize {
    let longest = ids.clone().map(str::len).max().unwrap_or_default();
    let tells_apart = |length: &usize| {
        let mut ends: Vec<_> = ids.clone().map(|id| short_id(id, *length)).collect();
        let count = ends.len();
        ends.sort_unstable();
        ends.dedup();
        ends.len() == count
    };
    (SHORT_ID..longest).find(tells_apart).unwrap_or(SHORT_ID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_ids_tell_them_apart() {
        let ids = ["01M84KVPQ7BPADDYJBK1P0YEY6", "01M84KVPQ7BPADDYJBK2P0YEY6"];
        assert_eq!(short_length(ids[..1].iter().copied()), 6);
        assert_eq!(short_length(ids.into_iter()), 7);
        assert_eq!(short_id(ids[0], 7), "1P0YEY6");
        assert_eq!(short_id("ab", 6), "ab");
        assert_eq!(short_length([].into_iter()), 6);
    }

    #[test]
    fn ages() {
        for (seconds, text) in [
            (0, "now"),
            (12, "12 s ago"),
            (119, "119 s ago"),
            (120, "2 min ago"),
            (7200, "2 h ago"),
            (172_800, "2 d ago"),
        ] {
            assert_eq!(ago_text(seconds), text);
        }
    }
}
