//! The file name of a download (RFC 6266), made from the task's name and safe on every operating system.

use http::HeaderValue;

/// Most bytes of a name before its suffix; with it, the name fits every file system.
const MAX_BYTES: usize = 200;

/// `attachment` with the name in ASCII, and where that says less, also in UTF-8 (RFC 8187).
pub(super) fn attachment(name: &str, suffix: &str) -> HeaderValue {
    let name = format!("{}{suffix}", safe(name));
    let ascii: String = name
        .chars()
        .map(|char| if char.is_ascii() { char } else { '_' })
        .collect();
    let mut value = format!("attachment; filename=\"{ascii}\"");
    if ascii != name {
        value.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                value.push(char::from(byte));
            } else {
                value.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    // What is left is visible ASCII without quotes and backslashes.
    HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("attachment"))
}

/// A name without what separates directories, has a meaning in a shell or a header, hides the file,
/// or turns the order of what is shown.
fn safe(name: &str) -> String {
    let mut kept = String::new();
    for char in name.chars() {
        let is_harmless = char.is_alphanumeric() || "-_.+@ ".contains(char);
        let char = if is_harmless { char } else { '_' };
        if kept.len() + char.len_utf8() > MAX_BYTES {
            break;
        }
        kept.push(char);
    }
    let kept = kept.trim_matches(['.', ' ']);
    if kept.is_empty() {
        "capture".to_owned()
    } else {
        kept.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(name: &str) -> String {
        let value = attachment(name, ".pcapng");
        value.to_str().expect("visible ASCII").to_owned()
    }

    #[test]
    fn plain_names_stay() {
        assert_eq!(
            of("web-1 eth0"),
            "attachment; filename=\"web-1 eth0.pcapng\""
        );
    }

    #[test]
    fn paths_and_quotes_do_not() {
        assert_eq!(
            of("../../etc/passwd"),
            "attachment; filename=\"_.._etc_passwd.pcapng\""
        );
        assert_eq!(
            of("a\"; filename=b\\"),
            "attachment; filename=\"a__ filename_b_.pcapng\""
        );
        assert_eq!(of(".."), "attachment; filename=\"capture.pcapng\"");
        assert_eq!(of(""), "attachment; filename=\"capture.pcapng\"");
    }

    #[test]
    fn other_scripts_are_in_both_forms() {
        assert_eq!(
            of("Zürich"),
            "attachment; filename=\"Z_rich.pcapng\"; filename*=UTF-8''Z%C3%BCrich.pcapng"
        );
        // A right-to-left override would show "gpj.pcapng" as its reverse.
        assert!(!of("a\u{202e}b").contains("%E2%80%AE"));
    }

    proptest! {
        #[test]
        fn the_header_has_one_quoted_name(name in any::<String>()) {
            let value = of(&name);
            let rest = value.strip_prefix("attachment; filename=\"").expect("a quoted name");
            let (quoted, _) = rest.split_once('"').expect("its end");
            prop_assert!(!quoted.contains(['/', '\\', ':', '%']) && !quoted.starts_with('.'));
            prop_assert_eq!(value.matches('"').count(), 2);
        }
    }
}
