//! Checks of `Host` and `Origin`. A web page must not reach the daemon through its visitor's browser, neither
//! across origins nor by DNS rebinding: only the daemon's own names are answered, and only pages from these.

use std::net::IpAddr;

use http::{HeaderMap, Method, Uri, header, request::Parts, uri::Authority};

use super::problem::{Problem, Result};

/// Names under which the API may be asked for, besides the address itself and `localhost`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AllowedHosts(Vec<String>);

impl AllowedHosts {
    /// Host names, without port for any port, or with one.
    pub(super) fn new(names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let names = names.into_iter();
        Self(names.map(|name| name.as_ref().to_lowercase()).collect())
    }

    fn has(&self, authority: &Authority) -> bool {
        let host = authority.host().to_lowercase();
        let with_port = authority.port_u16().map(|port| format!("{host}:{port}"));
        self.0
            .iter()
            .any(|name| *name == host || with_port.as_ref() == Some(name))
    }

    /// As [`Self::has`], for what a browser says: nobody is logged in there.
    fn has_origin(&self, authority: &Authority) -> bool {
        !authority.as_str().contains('@') && self.has(authority)
    }
}

/// Refuses a request that is not for us, or that a foreign page makes. `local` is the address that the
/// client connected to; there is none on the Unix socket.
pub(super) fn check(request: &Parts, local: Option<IpAddr>, allowed: &AllowedHosts) -> Result<()> {
    let headers = &request.headers;
    let host = authority(&request.uri, headers)?;
    if let Some(host) = &host
        && !is_ours(host, local, allowed)
    {
        return Err(Problem::forbidden(
            "foreign_host",
            format!(
                "the request is for the host {}, which is not this daemon; `http.allowed_hosts` names those that are",
                host.host()
            ),
        ));
    }
    // A browser always sends it.
    if host.is_none() && local.is_some() {
        return Err(Problem::syntax(
            "host_missing",
            "the request has no `Host` header",
        ));
    }
    check_origin(request, host.as_ref(), allowed)
}

/// The host that the request is for.
fn authority(uri: &Uri, headers: &HeaderMap) -> Result<Option<Authority>> {
    let wrong = || Problem::syntax("host_invalid", "the request's `Host` is not one host");
    let mut hosts = headers.get_all(header::HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(wrong());
    }
    let host = match first.map(|host| host.as_bytes()) {
        None | Some(b"") => None,
        Some(host) => Some(Authority::try_from(host).map_err(|_| wrong())?),
    };
    // The form for proxies names the host once more; it must be the same.
    let host = match (uri.authority(), host) {
        (None, host) => host,
        (Some(uri), None) => Some(uri.clone()),
        (Some(uri), Some(host)) if *uri == host => Some(host),
        (Some(_), Some(_)) => return Err(wrong()),
    };
    if host
        .as_ref()
        .is_some_and(|host| host.as_str().contains('@'))
    {
        return Err(wrong());
    }
    Ok(host)
}

/// A name that nobody else can have point here: `localhost`, an address, or what the configuration
/// says.
fn is_ours(host: &Authority, local: Option<IpAddr>, allowed: &AllowedHosts) -> bool {
    let name = host.host();
    if name.eq_ignore_ascii_case("localhost") || allowed.has(host) {
        return true;
    }
    let literal = name.trim_start_matches('[').trim_end_matches(']');
    let Ok(address) = literal.parse::<IpAddr>() else {
        return false;
    };
    match local {
        Some(local) => address.to_canonical() == local.to_canonical(),
        None => address.is_loopback(),
    }
}

/// A page is ours if its origin is what the request was sent to, or one of the names of the configuration: behind a
/// proxy `Host` may be another, or lack the port.
fn check_origin(request: &Parts, host: Option<&Authority>, allowed: &AllowedHosts) -> Result<()> {
    let headers = &request.headers;
    let foreign = |origin: &str| {
        Problem::forbidden(
            "foreign_origin",
            format!("pages from {origin} may not use this API"),
        )
    };
    for origin in headers.get_all(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or("an origin that is not text");
        let authority = origin
            .strip_prefix("https://")
            .or_else(|| origin.strip_prefix("http://"))
            .and_then(|authority| authority.parse::<Authority>().ok());
        let is_ours =
            |authority: &Authority| Some(authority) == host || allowed.has_origin(authority);
        if !authority.is_some_and(|authority| is_ours(&authority)) {
            return Err(foreign(origin));
        }
    }
    // What browsers say of requests that have no `Origin`.
    if let Some(site) = headers.get("sec-fetch-site")
        && site != "same-origin"
        && site != "none"
        && !is_link_to_page(request)
    {
        return Err(foreign("other sites"));
    }
    Ok(())
}

/// Whether a browser follows a link of another site to the console, whose page shows nothing by itself and cannot be framed.
fn is_link_to_page(request: &Parts) -> bool {
    let says = |name: &str, value: &str| request.headers.get(name).is_some_and(|is| is == value);
    request.method == Method::GET
        && request.uri.path() == "/"
        && says("sec-fetch-mode", "navigate")
        && says("sec-fetch-dest", "document")
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    /// Headers may be there twice.
    fn request(method: &Method, uri: &str, pairs: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in pairs {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    fn code(uri: &str, local: Option<&str>, pairs: &[(&str, &str)]) -> String {
        code_of(&request(&Method::GET, uri, pairs), local)
    }

    fn code_of(request: &Parts, local: Option<&str>) -> String {
        let allowed = AllowedHosts::new(["Capture.example", "proxy.example:8443"]);
        let local = local.map(|local| local.parse().expect("an address"));
        match check(request, local, &allowed) {
            Ok(()) => "fine".to_owned(),
            Err(problem) => problem.code().to_owned(),
        }
    }

    fn host(host: &str) -> String {
        code("/", Some("10.0.0.1"), &[("host", host)])
    }

    #[test]
    fn our_own_names_are_answered() {
        for name in [
            "localhost",
            "LOCALHOST:8080",
            "10.0.0.1",
            "10.0.0.1:99",
            "capture.example",
            "CAPTURE.example:1",
            "proxy.example:8443",
            "[::ffff:10.0.0.1]:80",
        ] {
            assert_eq!(host(name), "fine", "{name}");
        }
        let six = [("host", "[fd00::1]:80")];
        assert_eq!(code("/", Some("fd00::1"), &six), "fine");
    }

    #[test]
    fn others_are_not() {
        for name in [
            "evil.example",
            "evil.example:80",
            "localhost.evil.example",
            "localhost.",
            "10.0.0.2",
            "127.0.0.1",
            "proxy.example",
            "proxy.example:80",
            "xcapture.example",
            "0x0a.0.0.1",
        ] {
            assert_eq!(host(name), "foreign_host", "{name}");
        }
        for name in ["a b", "user@localhost", "localhost:x:y", "../.."] {
            assert_eq!(host(name), "host_invalid", "{name}");
        }
    }

    #[test]
    fn one_host_and_one_only() {
        let twice = [("host", "localhost"), ("host", "localhost")];
        assert_eq!(code("/", None, &twice), "host_invalid");
        assert_eq!(code("/", Some("10.0.0.1"), &[]), "host_missing");
        // Old clients of the socket may leave it out.
        assert_eq!(code("/", None, &[]), "fine");
    }

    #[test]
    fn the_absolute_form_counts_too() {
        let evil = "http://evil.example/api";
        assert_eq!(code(evil, None, &[]), "foreign_host");
        assert_eq!(code(evil, None, &[("host", "localhost")]), "host_invalid");
        let ours = "http://localhost/api";
        assert_eq!(code(ours, None, &[("host", "localhost")]), "fine");
    }

    #[test]
    fn the_socket_knows_loopback() {
        for name in ["localhost", "127.0.0.1", "[::1]"] {
            assert_eq!(code("/", None, &[("host", name)]), "fine", "{name}");
        }
        assert_eq!(code("/", None, &[("host", "10.0.0.1")]), "foreign_host");
    }

    #[test]
    fn pages_from_elsewhere_are_refused() {
        let origin = |origin| {
            let headers = [("host", "localhost:8080"), ("origin", origin)];
            code("/", None, &headers)
        };
        assert_eq!(origin("http://localhost:8080"), "fine");
        assert_eq!(origin("https://localhost:8080"), "fine");
        for foreign in [
            "http://localhost:3000",
            "http://localhost",
            "https://evil.example",
            "null",
            "file://",
            "http://localhost:8080@evil.example",
            "http://localhost:8080/",
            "",
        ] {
            assert_eq!(origin(foreign), "foreign_origin", "{foreign:?}");
        }
    }

    #[test]
    fn pages_of_allowed_hosts_are_ours_whatever_a_proxy_makes_of_host() {
        let code = |host, origin| {
            let headers = [("host", host), ("origin", origin)];
            code("/", Some("127.0.0.1"), &headers)
        };
        for host in ["capture.example", "127.0.0.1:8080", "capture.example:8443"] {
            assert_eq!(code(host, "https://capture.example:8443"), "fine", "{host}");
            assert_eq!(code(host, "https://capture.example"), "fine", "{host}");
            assert_eq!(code(host, "https://proxy.example:8443"), "fine", "{host}");
            for foreign in [
                "https://proxy.example",
                "https://x.capture.example",
                "https://localhost:8443",
                "https://user@capture.example",
                "https://capture.example.evil.example",
            ] {
                assert_eq!(code(host, foreign), "foreign_origin", "{host} {foreign}");
            }
        }
    }

    #[test]
    fn a_page_without_origin_is_known_by_its_site() {
        let site = |site| {
            let headers = [("host", "localhost"), ("sec-fetch-site", site)];
            code("/", None, &headers)
        };
        assert_eq!(site("same-origin"), "fine");
        assert_eq!(site("none"), "fine");
        assert_eq!(site("cross-site"), "foreign_origin");
        assert_eq!(site("same-site"), "foreign_origin");
    }

    #[test]
    fn a_link_leads_to_the_page_and_to_nothing_else() {
        let link = [
            ("host", "localhost"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert_eq!(code("/", None, &link), "fine");
        assert_eq!(code("/?a=b", None, &link), "fine");
        for path in ["/api/v1/tasks", "/metrics", "//", "/ui/0/js/app.js"] {
            assert_eq!(code(path, None, &link), "foreign_origin", "{path}");
        }
        let framed = [link[0], link[1], link[2], ("sec-fetch-dest", "iframe")];
        assert_eq!(code("/", None, &framed), "foreign_origin");
        let fetched = [link[0], link[1], ("sec-fetch-mode", "no-cors"), link[3]];
        assert_eq!(code("/", None, &fetched), "foreign_origin");
        let posted = request(&Method::POST, "/", &link);
        assert_eq!(code_of(&posted, None), "foreign_origin");
        let named = [&link[..], &[("origin", "https://evil.example")]].concat();
        assert_eq!(code("/", None, &named), "foreign_origin");
    }
}
