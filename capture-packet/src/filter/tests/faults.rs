//! What is said of a text that is no filter.

use super::super::{Filter, MAX_LEN};

fn fault(text: &str) -> String {
    match text.parse::<Filter>() {
        Ok(filter) => panic!("{filter} is a filter"),
        Err(fault) => fault.to_string(),
    }
}

#[test]
fn one_sentence_with_the_column() {
    for (text, sentence) in [
        (
            "tcp.prot == 1",
            "column 1: there is no field \"tcp.prot\"; did you mean tcp.port?",
        ),
        (
            "ip and TCP",
            "column 8: there is no field \"TCP\"; did you mean tcp?",
        ),
        ("qqqq", "column 1: there is no field \"qqqq\""),
        (
            "host 10.0.0.1",
            "column 1: \"host\" is a word of capture filters; here it is ip.addr == ADDRESS",
        ),
        (
            "tcp.analysis.retransmission",
            "column 1: \"tcp.analysis.retransmission\" depends on other packets, and a filter sees one; \
             `capture-agent analyze` says what was resent",
        ),
        (
            "tcp port 80",
            "column 5: `and`, `or` or the end should stand here, not \"port\"",
        ),
        (
            "tcp.port ==",
            "column 12: a value should stand here, not the end",
        ),
        (
            "(tcp",
            "column 5: `)`, `and` or `or` should stand here, not the end",
        ),
        (
            "tcp.port == 70000",
            "column 13: \"70000\" is more than 65535, as tcp.port wants (number, 16 bits)",
        ),
        (
            "ip.src == \"10.0.0.1\"",
            "column 11: ip.src is no text (IPv4 address): write \"10.0.0.1\" without quotes",
        ),
        (
            "ip.src == ipv6.src",
            "column 11: ip.src (IPv4 address) and ipv6.src (IPv6 address) cannot be compared",
        ),
        (
            "ö and tcp",
            "column 1: a field should stand here, not \"ö\"",
        ),
        (
            "tcp and ö",
            "column 9: a field should stand here, not \"ö\"",
        ),
        (
            "tcp.payload contains \"\\q\"",
            "column 23: \\q is no escape; a backslash itself is \\\\",
        ),
    ] {
        assert_eq!(fault(text), sentence, "{text}");
    }
}

#[test]
fn hostile_text_is_escaped_in_faults() {
    for text in [
        "\u{1b}[31m",
        "\"\u{1b}\" == tcp",
        "tcp.port == \u{202e}",
        "ip.src == \"\u{1b}\"",
    ] {
        let sentence = fault(text);
        assert!(
            !sentence.chars().any(|c| c.is_control() || c == '\u{202e}'),
            "{sentence:?}"
        );
    }
}

#[test]
fn length_and_depth_have_bounds() {
    assert!(fault(&"a".repeat(MAX_LEN + 1)).contains("at most 4096 bytes"));
    let nested = |depth: usize| format!("{}tcp{}", "(".repeat(depth), ")".repeat(depth));
    assert!(nested(64).parse::<Filter>().is_ok());
    assert!(fault(&nested(65)).contains("more than 64"));
    assert!(fault(&format!("{}tcp", "!".repeat(65))).contains("more than 64"));
    assert!(fault(&format!("tcp{}", " xor tcp".repeat(65))).contains("more than 64"));
    assert!(fault(&format!("tcp.flags{}", " & 1".repeat(17))).contains("more than 16 masks"));
    let parts = vec!["0"; 17].join(",");
    assert!(fault(&format!("eth.src[{parts}] == 01")).contains("too many parts"));
    assert!(fault("frame matches \"(((a{99}){99}){99})\"").contains("too large"));
    // Many, and several that are large: each is built while somebody waits.
    let patterns = |count: usize, pattern: &str| {
        vec![format!("frame matches \"{pattern}\""); count].join(" or ")
    };
    assert!(patterns(16, "a|b").parse::<Filter>().is_ok());
    assert!(fault(&patterns(17, "a|b")).contains("more than 16 regular expressions"));
    let large = "a{600}";
    assert!(patterns(1, large).parse::<Filter>().is_ok());
    assert!(fault(&patterns(16, large)).contains("too large"));
    // Long, but not deep.
    assert!(
        format!("tcp{}", " or udp".repeat(500))
            .parse::<Filter>()
            .is_ok()
    );
}

proptest::proptest! {
    #[test]
    fn no_text_is_a_danger(text in "([a-z.]{1,8}|tcp|tcp\\.port|==|in|\\{|\\}|\\[|\\]|\\(|\\)|!|&|\"|\\\\|[0-9]{1,4}|\\.\\.|-|:| ){0,40}") {
        if let Err(fault) = text.parse::<Filter>() {
            proptest::prop_assert!(fault.column <= text.chars().count() + 1);
        }
    }
}
