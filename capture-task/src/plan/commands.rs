//! A request as lines for a shell: `capture-agent task create …`, and the same as `curl`. Pasted, both make the task
//! that the request describes.

use serde_json::{Value, json};

use crate::task::{Addresses, Quantity, RotateSpec, TaskSpec};

/// Where a `curl` line finds the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// The daemon's socket, by its path.
    Socket(String),
    /// TCP, by scheme and authority: `https://capture.example:8443`. The token stands in the environment.
    Tcp(String),
}

/// `capture-agent task create …` for a valid request; `socket` is the daemon's where that is not the default.
pub fn create_command(spec: &TaskSpec, start_at: Option<&str>, socket: Option<&str>) -> String {
    let mut words = ["capture-agent", "task", "create"]
        .map(str::to_owned)
        .to_vec();
    for (option, value) in options(spec, start_at, socket) {
        match value {
            None => words.push(option.to_owned()),
            // A value that looks like an option.
            Some(value) if value.starts_with('-') => {
                words.push(quoted(&format!("{option}={value}")));
            }
            Some(value) => words.extend([option.to_owned(), quoted(&value)]),
        }
    }
    words.join(" ")
}

/// `curl …` for a request. The answer is the task, or what is wrong.
pub fn curl_command(spec: &TaskSpec, start_at: Option<&str>, door: &Door) -> String {
    let mut body = serde_json::to_value(spec).unwrap_or_default();
    if let Some(start_at) = start_at {
        body["start_at"] = json!(start_at);
    }
    let (way, base) = match door {
        Door::Socket(path) => (
            format!("--unix-socket {}", quoted(path)),
            "http://localhost",
        ),
        Door::Tcp(base) => (
            "-H \"Authorization: Bearer $CAPTURE_AGENT_TOKEN\"".to_owned(),
            base.as_str(),
        ),
    };
    let url = quoted(&format!("{base}/api/v1/tasks"));
    let body = quoted(&Value::to_string(&body));
    format!("curl -sS {way} -H 'Content-Type: application/json' -d {body} {url}")
}

/// The options of `task create`, those that are flags without a value.
fn options(
    spec: &TaskSpec,
    start_at: Option<&str>,
    socket: Option<&str>,
) -> Vec<(&'static str, Option<String>)> {
    // All fields of a request, so that none is forgotten here.
    let TaskSpec {
        name,
        interfaces,
        direction,
        hook,
        protocol,
        // Follows from the addresses.
        address_type: _,
        ip,
        ports,
        peer_ip,
        peer_ports,
        icmp_errors,
        max_bytes,
        oversize,
        duration,
        max_packets,
        max_file_bytes,
        format,
        rotate,
    } = spec;
    let RotateSpec {
        bytes,
        seconds,
        files,
    } = rotate.clone().unwrap_or_default();
    let amount = |quantity: &Option<Quantity>| quantity.as_ref().map(quantity_text);
    let list = |ports: &[Quantity]| {
        let items: Vec<_> = ports.iter().map(quantity_text).collect();
        (!items.is_empty()).then(|| items.join(","))
    };
    let before = [("--name", name.clone())];
    let interfaces = interfaces
        .iter()
        .map(|name| ("--interface", Some(name.clone())));
    let behind = [
        ("--direction", direction.clone()),
        ("--hook", hook.clone()),
        ("--protocol", protocol.clone()),
        ("--ip", ip.as_ref().map(Addresses::to_string)),
        ("--port", list(ports)),
        ("--peer-ip", peer_ip.as_ref().map(Addresses::to_string)),
        ("--peer-port", list(peer_ports)),
        ("--max-bytes", amount(max_bytes)),
        ("--oversize", oversize.clone()),
        ("--duration", amount(duration)),
        ("--max-packets", amount(max_packets)),
        ("--max-file-bytes", amount(max_file_bytes)),
        ("--format", format.clone()),
        ("--rotate-bytes", bytes.as_ref().map(rotate_bytes)),
        ("--rotate-seconds", amount(&seconds)),
        ("--rotate-files", amount(&files)),
        ("--start-at", start_at.map(str::to_owned)),
        ("--socket", socket.map(str::to_owned)),
    ];
    let mut options: Vec<_> = before.into_iter().chain(interfaces).chain(behind).collect();
    options.retain(|(_, value)| value.is_some());
    if *icmp_errors {
        options.push(("--icmp-errors", None));
    }
    options
}

fn quantity_text(quantity: &Quantity) -> String {
    match quantity {
        Quantity::Number(number) => number.to_string(),
        Quantity::Text(text) => text.trim().to_owned(),
    }
}

/// A bare number means bytes in JSON and millions of them on the command line.
fn rotate_bytes(quantity: &Quantity) -> String {
    let text = quantity_text(quantity);
    let is_bare = text.bytes().all(|byte| byte.is_ascii_digit());
    if is_bare { format!("{text}B") } else { text }
}

/// A word for a POSIX shell.
pub fn quoted(word: &str) -> String {
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_safe) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(value: Value) -> TaskSpec {
        serde_json::from_value(value).expect("a request")
    }

    #[test]
    fn what_is_given_becomes_options_and_nothing_else() {
        let least = spec(json!({"name": "web", "interfaces": ["eth0"]}));
        assert_eq!(
            create_command(&least, None, None),
            "capture-agent task create --name web --interface eth0"
        );
        let much = spec(json!({
            "name": "it's -a $(task)", "interfaces": ["-x", "any"], "ip": ["10.0.0.5", "::5"],
            "address_type": "ip_pair", "peer_ip": "10.0.0.0/8", "ports": [443, "8000-8100"],
            "icmp_errors": true, "rotate": {"bytes": 65536, "files": " 3 "},
        }));
        assert_eq!(
            create_command(
                &much,
                Some("2026-03-01T08:00:00Z"),
                Some("/tmp/a b/api.sock")
            ),
            r"capture-agent task create --name 'it'\''s -a $(task)' --interface=-x --interface any --ip 10.0.0.5,::5 --port 443,8000-8100 --peer-ip 10.0.0.0/8 --rotate-bytes 65536B --rotate-files 3 --start-at 2026-03-01T08:00:00Z --socket '/tmp/a b/api.sock' --icmp-errors"
        );
    }

    #[test]
    fn curl_has_the_request_as_json() {
        let least = spec(json!({"name": "it's", "interfaces": ["lo"]}));
        assert_eq!(
            curl_command(
                &least,
                None,
                &Door::Socket("/run/capture-agent/api.sock".to_owned())
            ),
            r#"curl -sS --unix-socket /run/capture-agent/api.sock -H 'Content-Type: application/json' -d '{"interfaces":["lo"],"name":"it'\''s"}' http://localhost/api/v1/tasks"#
        );
        let line = curl_command(
            &least,
            Some("2026-03-01T08:00:00Z"),
            &Door::Tcp("https://capture.example:8443".to_owned()),
        );
        assert!(
            line.contains(r#"-H "Authorization: Bearer $CAPTURE_AGENT_TOKEN""#),
            "{line}"
        );
        assert!(
            line.contains(r#""start_at":"2026-03-01T08:00:00Z""#),
            "{line}"
        );
        assert!(
            line.ends_with(" https://capture.example:8443/api/v1/tasks"),
            "{line}"
        );
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_read_more_into_them() {
        for (word, text) in [
            ("a-b_c.d/e:f,g", "a-b_c.d/e:f,g"),
            ("", "''"),
            ("a b", "'a b'"),
            ("~", "'~'"),
            ("*", "'*'"),
            ("é", "'é'"),
            ("!x", "'!x'"),
        ] {
            assert_eq!(quoted(word), text);
        }
    }
}
