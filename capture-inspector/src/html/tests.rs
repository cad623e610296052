use std::process::Command;

use capture_analysis::PacketId;
use capture_packet::testing::{MILLISECOND, SECOND, framed, ip, tcp, tcp_frame, udp_frame};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::{Input, analyze, cited_packets, testing::Pcapng};

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let word = (0..3).fold(0_u32, |word, at| {
            word << 8 | u32::from(*three.get(at).unwrap_or(&0))
        });
        for digit in 0..4 {
            text.push(match digit <= three.len() {
                true => char::from(DIGITS[(word >> (18 - 6 * digit)) as usize & 63]),
                false => '=',
            });
        }
    }
    text
}

#[test]
fn the_policy_allows_the_style_of_the_page_and_nothing_else() {
    let digest = base64(&Sha256::digest(STYLE));
    assert!(
        POLICY.ends_with(&format!("style-src 'sha256-{digest}'")),
        "it is sha256-{digest}"
    );
    assert!(POLICY.starts_with("default-src 'none';"));
    // What would end the element, or fetch something.
    for part in ["<", "url(", "@import"] {
        assert!(!STYLE.contains(part), "{part}");
    }
}

fn query(name: &[u8]) -> Vec<u8> {
    let mut query = b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
    query.push(name.len() as u8);
    query.extend(name);
    query.extend(b"\x00\x00\x01\x00\x01");
    query
}

/// What is a finding.
fn land() -> Vec<u8> {
    framed(&ip("10.0.0.9", "10.0.0.9", 6, &tcp((80, 80), 2, 1, &[])))
}

/// A capture with something of everything, and with a name that somebody has chosen.
fn capture(name: &[u8]) -> Pcapng {
    let (client, server) = (("10.0.0.5", 40_000), ("10.0.0.9", 80));
    let (asker, resolver) = (("10.0.0.5", 40_053), ("10.0.0.2", 53));
    let mut file = Pcapng::new("task", "eth0")
        .packet(0, &tcp_frame(client, server, 2, 0, b""))
        .packet(MILLISECOND, &tcp_frame(server, client, 18, 0, b""))
        .packet(2 * MILLISECOND, &tcp_frame(client, server, 16, 1, b"GET"));
    for second in 0..20 {
        file = file.packet(second * SECOND, &udp_frame(asker, resolver, &query(name)));
    }
    file.packet(30 * SECOND, &land())
        .packet(31 * SECOND, &land())
}

fn page_of(mut inputs: Vec<Input>) -> String {
    let analysis = analyze(&mut inputs).expect("it is read");
    let cited = cited_packets(&mut inputs, &analysis);
    html(&analysis, &cited)
}

/// Whether each element is closed where it has to be, and which there are. What is written by the template is known to be
/// simple: no comments, no quotes of one stroke.
fn elements(page: &str) -> Vec<String> {
    let mut open = Vec::new();
    let mut seen = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        let end = rest[at..].find('>').expect("the end of a tag") + at;
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        let name = tag
            .split([' ', '/'])
            .find(|part| !part.is_empty())
            .expect("a name");
        match name {
            "!DOCTYPE" | "meta" => {}
            name if tag.starts_with('/') => assert_eq!(open.pop(), Some(name.to_owned())),
            "style" => rest = &rest[rest.find("</style>").expect("its end") + 8..],
            name => open.push(name.to_owned()),
        }
        seen.push(name.to_owned());
    }
    assert!(open.is_empty(), "{open:?}");
    seen
}

#[test]
fn what_others_have_chosen_is_text() {
    let hostile = "<img src=x onerror=alert(1)>&\u{202e}\0\u{1b}[31m\"'.pcapng";
    let name = b"<img src=x onerror=alert(2)>\xe2\x80\xae\0</td></table><script>";
    let page = page_of(vec![
        capture(name).file(hostile),
        capture(b"x").file("</title><script>"),
    ]);
    let seen = elements(&page);
    for element in ["img", "script", "iframe", "object", "link", "form", "base"] {
        assert!(!seen.iter().any(|it| it == element), "{element}");
    }
    let is_dangerous =
        |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{2028}\u{feff}".contains(c);
    assert!(
        !page.contains(is_dangerous),
        "{:?}",
        page.find(is_dangerous)
    );
    assert!(
        page.contains("&lt;img src=x onerror=alert(1)&gt;&amp;\\u{202e}\\u{0}"),
        "{page}"
    );
    // A DNS name is in lower case.
    assert!(
        page.contains("&lt;img src=x onerror=alert(2)&gt;"),
        "{page}"
    );
}

#[test]
fn findings_lead_to_the_packets_that_they_cite() {
    let page = page_of(vec![capture(b"name").file("test.pcapng")]);
    let references: Vec<_> = page.split("href=\"#").skip(1).collect();
    assert!(references.len() >= 2, "{page}");
    for reference in references {
        let (id, _) = reference.split_once('"').expect("its end");
        assert_eq!(page.matches(&format!("id=\"{id}\"")).count(), 1, "{id}");
    }
    assert!(
        page.contains(">10.0.0.9</td><td>10.0.0.9</td><td>TCP</td>"),
        "{page}"
    );
}

#[test]
fn packets_of_a_pipe_are_cited_without_a_link() {
    let pipe = Input::stream("-", std::io::Cursor::new(capture(b"name").bytes()));
    let page = page_of(vec![pipe]);
    assert!(!page.contains("href="), "{page}");
    assert!(page.contains("packets 24 25"), "{page}");
}

#[test]
fn packets_of_several_files_are_told_apart() {
    let mut inputs = vec![
        capture(b"a").file("a"),
        Pcapng::new("b", "eth1").file("b"),
        Pcapng::new("c", "eth0")
            .packet(40 * SECOND, &land())
            .file("c"),
    ];
    let analysis = analyze(&mut inputs).expect("it is read");
    let cited = cited_packets(&mut inputs, &analysis);
    let of = |file, number| PacketId::OfFile { file, number };
    let ids: Vec<_> = cited.iter().map(|it| it.id).collect();
    assert!(ids.ends_with(&[of(0, 24), of(0, 25), of(2, 1)]), "{ids:?}");
    assert!(cited.is_sorted_by_key(|it| it.id));
    let last = &cited[cited.len() - 1];
    assert_eq!((last.source.as_str(), last.original_len), ("10.0.0.9", 54));
}

#[test]
fn an_empty_capture_has_a_page() {
    let page = page_of(vec![
        Pcapng::new("task", "eth0").lost(0).file("nothing.pcapng"),
    ]);
    elements(&page);
    assert!(page.contains("<h1>Nothing found</h1>"), "{page}");
}

/// By a parser of others, where there is one.
#[test]
fn xmllint_takes_the_page() {
    let page = page_of(vec![capture(b"<b>").file("test.pcapng")]);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("page.html");
    std::fs::write(&path, page).expect("it is written");
    let Ok(output) = Command::new("xmllint")
        .args(["--html", "--noout"])
        .arg(&path)
        .output()
    else {
        return eprintln!("not compared: xmllint is not installed");
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    // It knows HTML 4 only.
    let errors: Vec<_> = errors
        .lines()
        .filter(|it| it.contains("error") && !it.contains("Tag "))
        .collect();
    assert_eq!(errors, [""; 0]);
}
