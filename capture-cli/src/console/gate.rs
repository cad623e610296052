//! Who gets in: the browser that shows, once and soon, the secret of the printed address. It gets a cookie for it, which
//! it shows from then on. Pages of other sites are refused whatever they show.

use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use capture_store::Secret;
use http::{HeaderMap, HeaderValue, Method, header, request::Parts, uri::Authority};

use crate::error::Result;

/// How long the printed address is good.
const ONCE_LIFETIME: Duration = Duration::from_secs(60);

/// What is done with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is passed on.
    Pass,
    /// The browser gets this cookie, and is led to the page.
    Enter(HeaderValue),
    /// It has the cookie, and is led to the page.
    Again,
    /// It is not let in: a code, and why in a sentence.
    Refuse(&'static str, &'static str),
}

/// The gate of one console.
#[derive(Debug)]
pub(super) struct Gate {
    /// Name of the cookie. Browsers show cookies to all ports of a host, so that the port is in it.
    name: String,
    cookie: Secret,
    /// Hash of the printed secret until it is used, and its end.
    once: Mutex<Option<([u8; 32], Instant)>>,
}

impl Gate {
    /// The gate of a port, and the secret that opens it.
    pub(super) fn new(port: u16, now: Instant) -> Result<(Self, Secret)> {
        let once = Secret::random("")?;
        let gate = Self {
            name: format!("__Host-console-{port}"),
            cookie: Secret::random("")?,
            once: Mutex::new(Some((Secret::hash(once.reveal()), now + ONCE_LIFETIME))),
        };
        Ok((gate, once))
    }

    /// What is done with a request.
    pub(super) fn judge(&self, request: &Parts, now: Instant) -> Verdict {
        let Some(host) = host(request) else {
            return Verdict::Refuse(
                "foreign_host",
                "this console is for 127.0.0.1 and localhost alone",
            );
        };
        let origins = request.headers.get_all(header::ORIGIN).iter();
        let mut is_named = false;
        for origin in origins {
            is_named = true;
            if !is_origin_of(origin, &host) {
                return Verdict::Refuse(
                    "foreign_origin",
                    "pages of other sites may not use this console",
                );
            }
        }
        let is_known = self.has_cookie(&request.headers);
        let is_page = request.method == Method::GET && request.uri.path() == "/";
        if let Some(shown) = once(request).filter(|_| is_page) {
            return match self.spend(shown, now) {
                true => Verdict::Enter(self.set_cookie()),
                false if is_known => Verdict::Again,
                false => Verdict::Refuse(
                    "once",
                    "this address was used already, or is over; start `capture-agent console` again",
                ),
            };
        }
        if !is_known {
            return Verdict::Refuse(
                "cookie_missing",
                "open the address that `capture-agent console` has printed; another browser needs another one",
            );
        }
        if !matches!(request.method, Method::GET | Method::HEAD) && !is_named {
            return Verdict::Refuse(
                "origin_missing",
                "a request that changes something needs the `Origin` of this page",
            );
        }
        Verdict::Pass
    }

    /// Whether this is the secret, which is used up by that.
    fn spend(&self, shown: &str, now: Instant) -> bool {
        let mut once = self.once.lock().unwrap_or_else(PoisonError::into_inner);
        // Hashes are compared, so that the time it takes tells nothing of the secret.
        let is_it = once.is_some_and(|(hash, end)| now < end && Secret::hash(shown) == hash);
        if is_it {
            *once = None;
        }
        is_it
    }

    fn has_cookie(&self, headers: &HeaderMap) -> bool {
        let all = headers.get_all(header::COOKIE).iter();
        let pairs = all.filter_map(|value| value.to_str().ok());
        let mut pairs = pairs.flat_map(|value| value.split(';'));
        let hash = Secret::hash(self.cookie.reveal());
        pairs.any(|pair| {
            let pair = pair.trim().split_once('=');
            pair.is_some_and(|(name, value)| name == self.name && Secret::hash(value) == hash)
        })
    }

    fn set_cookie(&self) -> HeaderValue {
        let cookie = format!(
            "{}={}; HttpOnly; Secure; SameSite=Strict; Path=/",
            self.name,
            self.cookie.reveal()
        );
        let mut value = HeaderValue::from_str(&cookie).unwrap_or(HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }
}

/// The host that a request is for, where it is one that nobody else can have point here. Its port is any, as that of an
/// ssh tunnel is another.
fn host(request: &Parts) -> Option<Authority> {
    let mut hosts = request.headers.get_all(header::HOST).iter();
    let host = Authority::try_from(hosts.next()?.as_bytes()).ok()?;
    let is_other = |uri: &Authority| *uri != host;
    if hosts.next().is_some() || request.uri.authority().is_some_and(is_other) {
        return None;
    }
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    let is_loopback = name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let is_ours = is_loopback || name.eq_ignore_ascii_case("localhost");
    (is_ours && !host.as_str().contains('@')).then_some(host)
}

fn is_origin_of(origin: &HeaderValue, host: &Authority) -> bool {
    let origin = origin.to_str().ok();
    let authority = origin.and_then(|origin| origin.strip_prefix("http://"));
    let authority = authority.and_then(|authority| authority.parse::<Authority>().ok());
    authority.as_ref() == Some(host)
}

/// The secret of the printed address, in a query that has nothing else.
fn once(request: &Parts) -> Option<&str> {
    request.uri.query()?.strip_prefix("once=")
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn request(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    const HOST: (&str, &str) = ("host", "127.0.0.1:8080");

    fn code(verdict: &Verdict) -> &str {
        match verdict {
            Verdict::Pass => "pass",
            Verdict::Enter(_) => "enter",
            Verdict::Again => "again",
            Verdict::Refuse(code, _) => code,
        }
    }

    /// A gate, its address, and the cookie of a browser that came in at once.
    fn entered(now: Instant) -> (Gate, String, String) {
        let (gate, once) = Gate::new(8080, now).expect("random bytes");
        let uri = format!("/?once={}", once.reveal());
        let verdict = gate.judge(&request("GET", &uri, &[HOST]), now);
        let Verdict::Enter(cookie) = verdict else {
            panic!("{verdict:?}")
        };
        let cookie = cookie.to_str().expect("text");
        let (pair, attributes) = cookie.split_once("; ").expect("attributes");
        assert_eq!(attributes, "HttpOnly; Secure; SameSite=Strict; Path=/");
        assert!(pair.starts_with("__Host-console-8080="));
        assert!(!pair.contains(once.reveal()));
        (gate, uri, pair.to_owned())
    }

    #[test]
    fn the_address_is_good_once_and_soon() {
        let now = Instant::now();
        let (gate, uri, cookie) = entered(now);
        let again = request("GET", &uri, &[HOST]);
        assert_eq!(code(&gate.judge(&again, now)), "once");
        // The browser that came in may load the address again.
        let reload = request("GET", &uri, &[HOST, ("cookie", &cookie)]);
        assert_eq!(code(&gate.judge(&reload, now)), "again");

        let (gate, once) = Gate::new(8080, now).expect("random bytes");
        let late = request("GET", &format!("/?once={}", once.reveal()), &[HOST]);
        assert_eq!(code(&gate.judge(&late, now + ONCE_LIFETIME)), "once");
        for wrong in ["", "0", &once.reveal()[1..]] {
            let wrong = request("GET", &format!("/?once={wrong}"), &[HOST]);
            assert_eq!(code(&gate.judge(&wrong, now)), "once");
        }
        // Only the page spends it, and whoever shows it to another place does not.
        for (method, path) in [("POST", "/"), ("HEAD", "/"), ("GET", "/api/v1/tasks")] {
            let other = request(method, &format!("{path}?once={}", once.reveal()), &[HOST]);
            assert_eq!(code(&gate.judge(&other, now)), "cookie_missing");
        }
        assert_eq!(code(&gate.judge(&late, now)), "enter");
    }

    #[test]
    fn nothing_passes_without_the_cookie() {
        let now = Instant::now();
        let (gate, _, cookie) = entered(now);
        let with = |cookie: &str| {
            let request = request("GET", "/api/v1/tasks", &[HOST, ("cookie", cookie)]);
            code(&gate.judge(&request, now)).to_owned()
        };
        assert_eq!(with(&cookie), "pass");
        assert_eq!(with(&format!("a=b; {cookie}")), "pass");
        let (other, _, _) = entered(now);
        drop(other);
        for wrong in [
            "",
            "__Host-console-8080=",
            &cookie[..cookie.len() - 1],
            &format!("{cookie}0"),
            &cookie.replace("8080", "8081"),
            &cookie.replace("__Host", "__host"),
        ] {
            assert_eq!(with(wrong), "cookie_missing", "{wrong}");
        }
    }

    #[test]
    fn other_hosts_and_pages_are_refused() {
        let now = Instant::now();
        let (gate, _, cookie) = entered(now);
        let judged = |method: &str, headers: &[(&str, &str)]| {
            let headers = [headers, &[("cookie", cookie.as_str())]].concat();
            code(&gate.judge(&request(method, "/api/v1/tasks", &headers), now)).to_owned()
        };
        for host in [
            "127.0.0.1:8080",
            "localhost:9999",
            "[::1]:1",
            "LOCALHOST",
            "127.8.9.1",
        ] {
            assert_eq!(judged("GET", &[("host", host)]), "pass", "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1",
            "",
            "a@localhost",
            "localhost.",
        ] {
            assert_eq!(judged("GET", &[("host", host)]), "foreign_host", "{host}");
        }
        assert_eq!(judged("GET", &[]), "foreign_host");
        assert_eq!(judged("GET", &[HOST, HOST]), "foreign_host");
        assert_eq!(judged("POST", &[HOST]), "origin_missing");
        let origin = |origin| judged("POST", &[HOST, ("origin", origin)]);
        assert_eq!(origin("http://127.0.0.1:8080"), "pass");
        for foreign in [
            "http://127.0.0.1:81",
            "http://localhost:8080",
            "https://evil.example",
            "null",
            "",
        ] {
            assert_eq!(origin(foreign), "foreign_origin", "{foreign}");
        }
    }
}
