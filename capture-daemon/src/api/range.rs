//! Byte ranges (RFC 9110, section 14). A single range is served; a request for several gets the whole file, as the
//! RFC allows.

use http::{HeaderMap, header};

/// The part of a file that answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// 200: all of it.
    Whole,
    /// 206: bytes `first` to `last`, both included.
    Part { first: u64, last: u64 },
    /// 416: the range begins behind the end.
    Beyond,
}

/// What `Range` and `If-Range` ask of a file of `len` bytes with the strong entity tag `etag`.
pub(super) fn select(headers: &HeaderMap, len: u64, etag: &str) -> Selection {
    let mut ranges = headers.get_all(header::RANGE).iter();
    let (Some(range), None) = (ranges.next(), ranges.next()) else {
        return Selection::Whole;
    };
    // A date never matches: no file has a Last-Modified that it could be compared with.
    let unchanged = headers
        .get(header::IF_RANGE)
        .is_none_or(|tag| tag.as_bytes() == etag.as_bytes());
    if !unchanged {
        return Selection::Whole;
    }
    range
        .to_str()
        .ok()
        .and_then(|range| parse(range, len))
        .unwrap_or(Selection::Whole)
}

/// One range; `None` where it is not one, which RFC 9110 has us ignore.
fn parse(range: &str, len: u64) -> Option<Selection> {
    let (unit, range) = range.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let (first, last) = match (first, last) {
        ("", suffix) => match number(suffix)? {
            0 => return Some(Selection::Beyond),
            suffix => (len.saturating_sub(suffix), u64::MAX),
        },
        (first, "") => (number(first)?, u64::MAX),
        (first, last) => (number(first)?, number(last)?),
    };
    if last < first {
        return None;
    }
    if first >= len {
        return Some(Selection::Beyond);
    }
    Some(Selection::Part {
        first,
        last: last.min(len - 1),
    })
}

/// Digits alone; more than fit are the largest number that does.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// Whether `If-None-Match` already has this version: 304, or nothing.
pub(super) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        // Weak comparison, section 8.8.3.2.
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const ETAG: &str = "\"a\"";

    fn headers(pairs: &[(http::HeaderName, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            let value = HeaderValue::from_str(value).expect("a header's value");
            (name.clone(), value)
        });
        pairs.collect()
    }

    fn range(value: &str, len: u64) -> Selection {
        select(&headers(&[(header::RANGE, value)]), len, ETAG)
    }

    fn part(first: u64, last: u64) -> Selection {
        Selection::Part { first, last }
    }

    #[test]
    fn the_examples_of_the_rfc() {
        // Section 14.1.2, with a representation of 10,000 bytes.
        assert_eq!(range("bytes=0-499", 10_000), part(0, 499));
        assert_eq!(range("bytes=500-999", 10_000), part(500, 999));
        assert_eq!(range("bytes=-500", 10_000), part(9_500, 9_999));
        assert_eq!(range("bytes=9500-", 10_000), part(9_500, 9_999));
        assert_eq!(range("bytes=0-0,-1", 10_000), Selection::Whole);
    }

    #[test]
    fn ends_are_cut_and_starts_are_not() {
        assert_eq!(range("bytes=5-100", 10), part(5, 9));
        assert_eq!(range("bytes=-100", 10), part(0, 9));
        assert_eq!(range("bytes=9-9", 10), part(9, 9));
        assert_eq!(range("bytes=10-", 10), Selection::Beyond);
        assert_eq!(range("bytes=-0", 10), Selection::Beyond);
        assert_eq!(
            range("bytes=99999999999999999999999-", 10),
            Selection::Beyond
        );
        assert_eq!(range("bytes=0-99999999999999999999999", 10), part(0, 9));
    }

    #[test]
    fn an_empty_file_has_no_part() {
        for asked in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            assert_eq!(range(asked, 0), Selection::Beyond, "{asked}");
        }
    }

    #[test]
    fn what_is_no_range_is_ignored() {
        for asked in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-4",
            "bytes=+1-2",
            "bytes=1 - 2",
            "bytes=--1",
            "lines=1-2",
            "bytes=1-2-3",
        ] {
            assert_eq!(range(asked, 10), Selection::Whole, "{asked}");
        }
    }

    #[test]
    fn two_headers_are_no_range() {
        let twice = headers(&[(header::RANGE, "bytes=0-1"), (header::RANGE, "bytes=2-3")]);
        assert_eq!(select(&twice, 10, ETAG), Selection::Whole);
    }

    #[test]
    fn if_range_takes_the_same_strong_tag_only() {
        let with = |tag| {
            let headers = headers(&[(header::RANGE, "bytes=2-3"), (header::IF_RANGE, tag)]);
            select(&headers, 10, ETAG)
        };
        assert_eq!(with("\"a\""), part(2, 3));
        assert_eq!(with("\"b\""), Selection::Whole);
        assert_eq!(with("W/\"a\""), Selection::Whole);
        assert_eq!(with("Wed, 21 Oct 2015 07:28:00 GMT"), Selection::Whole);
    }

    #[test]
    fn if_none_match_compares_weakly() {
        let known = |tags| is_known(&headers(&[(header::IF_NONE_MATCH, tags)]), ETAG);
        assert!(known("\"a\""));
        assert!(known("\"b\", W/\"a\""));
        assert!(known("*"));
        assert!(!known("\"b\""));
        assert!(!is_known(&HeaderMap::new(), ETAG));
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_file(text in "bytes=[0-9]{0,4}-[0-9]{0,4}", len in 0u64..5_000) {
            match range(&text, len) {
                Selection::Part { first, last } => prop_assert!(first <= last && last < len),
                Selection::Whole | Selection::Beyond => {}
            }
        }
    }
}
