//! What somebody meant who typed a word that is no field.

use super::scan::quoted;
use crate::fields::known;

/// Longest word that is compared with the names of fields.
const MAX_COMPARED: usize = 64;
/// Below this two words have nothing to do with each other.
const SIMILAR: f64 = 0.8;

/// A sentence about a word that stands where a field belongs.
pub(super) fn unknown_field(word: &str) -> String {
    let shown = quoted(word);
    if let Some(instead) = of_capture_filters(word) {
        return format!("{shown} is a word of capture filters; here it is {instead}");
    }
    if let Some(instead) = of_conversations(word) {
        return format!("{shown} depends on other packets, and a filter sees one; {instead}");
    }
    let meant = similar(word).map(|name| format!("; did you mean {name}?"));
    format!("there is no field {shown}{}", meant.unwrap_or_default())
}

/// The field whose name is most like a word. To compare takes the product of both lengths.
fn similar(word: &str) -> Option<&'static str> {
    let lower = word.to_ascii_lowercase();
    let all = known::all().filter(|_| word.len() <= MAX_COMPARED);
    let scores = all.map(|known| (strsim::jaro_winkler(&lower, known.name), known.name));
    let best = scores.max_by(|one, other| one.0.total_cmp(&other.0));
    Some(best.filter(|(score, _)| *score >= SIMILAR)?.1)
}

/// What a word of pcap-filter(7) is here.
fn of_capture_filters(word: &str) -> Option<&'static str> {
    Some(match word {
        "host" => "ip.addr == ADDRESS",
        "net" => "ip.addr == ADDRESS/LENGTH",
        "port" => "tcp.port == NUMBER or udp.port == NUMBER",
        "portrange" => "tcp.port in {FROM..TO}",
        "src" => "ip.src == ADDRESS",
        "dst" => "ip.dst == ADDRESS",
        "ether" => "eth.addr == ADDRESS",
        "proto" => "ip.proto == NUMBER",
        "icmp6" => "icmpv6",
        "ip6" => "ipv6",
        "less" => "frame.len <= NUMBER",
        "greater" => "frame.len >= NUMBER",
        _ => return None,
    })
}

/// What can be done in place of Wireshark's fields that follow a conversation.
fn of_conversations(word: &str) -> Option<&'static str> {
    Some(match word {
        "tcp.seq" => "take tcp.seq_raw",
        "tcp.ack" => "take tcp.ack_raw",
        "tcp.window_size" => "take tcp.window_size_value",
        "tcp.stream" | "udp.stream" => "take addresses and ports",
        word if word.starts_with("tcp.analysis") => "`capture-agent analyze` says what was resent",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_word_as_short_as_a_name_is_compared() {
        assert!(known::all().all(|known| known.name.len() <= MAX_COMPARED));
        assert_eq!(similar("tcp.prot"), Some("tcp.port"));
        // Alike, and not looked at.
        let long = format!("tcp.port{}", "x".repeat(MAX_COMPARED - 7));
        assert!(strsim::jaro_winkler(&long, "tcp.port") >= SIMILAR);
        assert_eq!(similar(&long), None);
    }
}
