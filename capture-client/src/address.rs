//! Where a daemon is, as `--url` says it, and what is needed to be let in there.

use std::{fmt, path::PathBuf};

use capture_task::plan::quote;
use http::uri::Authority;

/// Where the daemon listens unless somebody says otherwise.
pub(crate) const SOCKET: &str = "/run/capture-agent/api.sock";

/// Port of `https://HOST`.
const HTTPS_PORT: u16 = 443;

/// How a URL is written.
const FORMS: &str =
    "write https://HOST:PORT, ssh://[USER@]HOST[:PORT][/path/of/socket], or unix:///path/of/socket";

/// Where a daemon is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A socket of this host.
    Socket(PathBuf),
    /// HTTPS, as with `http.listen` in the daemon's configuration.
    Https {
        /// A name, or an IP address without brackets.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// The socket of another host, by the ssh of this one.
    Ssh {
        /// Its user there; ssh's own default where there is none.
        user: Option<String>,
        /// A name, also one of ssh's configuration, or an IP address without brackets.
        host: String,
        /// TCP port; ssh's own default where there is none.
        port: Option<u16>,
        /// The daemon's socket there.
        socket: PathBuf,
    },
}

impl Address {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it, in one sentence.
    pub fn parse(url: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(format!("{} is no URL; {FORMS}", quote(url)));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "https" => https(rest),
            "ssh" => ssh(rest),
            "unix" if rest.starts_with('/') => Ok(Self::Socket(rest.into())),
            "unix" => Err(format!("the path in {} is not absolute; {FORMS}", quote(url))),
            "http" => Err(
                "http:// would send the token in clear; set `http.tls_cert` at the daemon and write https://, or use ssh://"
                    .to_owned(),
            ),
            other => Err(format!("{} is not known; {FORMS}", quote(&format!("{other}://")))),
        }
    }
}

impl Address {
    /// The URL that [`parse`](Self::parse) reads as this address.
    pub fn url(&self) -> String {
        match self {
            Self::Socket(path) => format!("unix://{}", path.display()),
            Self::Https { .. } | Self::Ssh { .. } => self.to_string(),
        }
    }
}

/// The URL, as messages name it: `https://capture.example:8443`; of a socket only the path.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => path.display().fmt(f),
            Self::Https { host, port } => write!(f, "https://{}:{port}", in_brackets(host)),
            Self::Ssh {
                user,
                host,
                port,
                socket,
            } => {
                f.write_str("ssh://")?;
                if let Some(user) = user {
                    write!(f, "{user}@")?;
                }
                f.write_str(&in_brackets(host))?;
                if let Some(port) = port {
                    write!(f, ":{port}")?;
                }
                match socket.as_os_str() == SOCKET {
                    true => Ok(()),
                    false => socket.display().fmt(f),
                }
            }
        }
    }
}

/// A host as it stands before a port.
pub(crate) fn in_brackets(host: &str) -> String {
    match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    }
}

fn https(rest: &str) -> Result<Address, String> {
    let (authority, path) = split(rest);
    if !path.is_empty() {
        return Err(format!(
            "{} is more than the daemon's host and port; write https://HOST:PORT",
            quote(&format!("https://{rest}"))
        ));
    }
    let (user, host, port) = parts(authority, "https")?;
    match user {
        Some(_) => Err(
            "a URL with a user or a secret is not taken; name the file of a token by --token-file"
                .to_owned(),
        ),
        None => Ok(Address::Https {
            host,
            port: port.unwrap_or(HTTPS_PORT),
        }),
    }
}

fn ssh(rest: &str) -> Result<Address, String> {
    let (authority, path) = split(rest);
    let (user, host, port) = parts(authority, "ssh")?;
    if user.as_ref().is_some_and(|user| user.contains(':')) {
        return Err("a URL with a password is not taken; use a key of ssh".to_owned());
    }
    // They would be options of ssh.
    for word in user.iter().chain([&host]) {
        if word.starts_with('-') {
            return Err(format!("{} is no user or host of ssh", quote(word)));
        }
    }
    // ssh divides its argument there.
    if path.contains([':', '\\', '"', '\'', ' ', '%', '$', '~']) {
        return Err(format!(
            "the path {} has characters that ssh takes for more than a path",
            quote(path)
        ));
    }
    let socket = match path {
        "" | "/" => SOCKET,
        path => path,
    };
    Ok(Address::Ssh {
        user,
        host,
        port,
        socket: socket.into(),
    })
}

/// What is before the path, and the path.
fn split(rest: &str) -> (&str, &str) {
    let start = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest.split_at(start) {
        (authority, "/") => (authority, ""),
        parts => parts,
    }
}

/// User, host and port.
fn parts(authority: &str, scheme: &str) -> Result<(Option<String>, String, Option<u16>), String> {
    let wrong = || {
        let url = format!("{scheme}://{authority}");
        format!("{} names no host; {FORMS}", quote(&url))
    };
    let parsed: Authority = authority.parse().map_err(|_| wrong())?;
    let (user, rest) = match authority.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, authority),
    };
    if user == Some("") {
        return Err(wrong());
    }
    let host = parsed.host();
    let port = match rest.strip_prefix(host) {
        Some("") => None,
        // A port of more than 16 bits, or none behind the colon, is no port.
        _ => Some(
            parsed
                .port_u16()
                .filter(|port| *port > 0)
                .ok_or_else(|| format!("{} has no valid port; {FORMS}", quote(rest)))?,
        ),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host {
        "" => Err(wrong()),
        host => Ok((user.map(str::to_owned), host.to_owned(), port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_are_taken() {
        for (url, shown) in [
            (
                "https://capture.example:8443",
                "https://capture.example:8443",
            ),
            (
                "https://capture.example:8443/",
                "https://capture.example:8443",
            ),
            ("HTTPS://10.0.0.1", "https://10.0.0.1:443"),
            ("https://[fd00::1]:8443", "https://[fd00::1]:8443"),
            ("ssh://host", "ssh://host"),
            ("ssh://host/", "ssh://host"),
            ("ssh://root@host:2222", "ssh://root@host:2222"),
            ("ssh://[fd00::1]:22/a/b.sock", "ssh://[fd00::1]:22/a/b.sock"),
            ("ssh://host/run/capture-agent/api.sock", "ssh://host"),
            ("unix:///a/b.sock", "/a/b.sock"),
        ] {
            let address = Address::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(address.to_string(), shown, "{url}");
            assert_eq!(Address::parse(&address.url()).as_ref(), Ok(&address));
        }
        let ssh = Address::parse("ssh://me@host:22").expect("a URL");
        assert_eq!(
            ssh,
            Address::Ssh {
                user: Some("me".to_owned()),
                host: "host".to_owned(),
                port: Some(22),
                socket: SOCKET.into(),
            }
        );
    }

    #[test]
    fn urls_that_are_refused() {
        for (url, part) in [
            ("capture.example", "is no URL"),
            ("", "is no URL"),
            ("http://capture.example:8443", "in clear"),
            ("ftp://capture.example", "is not known"),
            ("https://", "names no host"),
            ("https://:8443", "names no host"),
            ("https://host:", "no valid port"),
            ("https://host:0", "no valid port"),
            ("https://host:65536", "no valid port"),
            ("https://a b", "names no host"),
            ("https://host/api/v1", "more than"),
            ("https://host?x", "more than"),
            ("https://cap_secret@host", "--token-file"),
            ("ssh://a:b@host", "password"),
            ("ssh://-oProxyCommand=id", "no user or host"),
            ("ssh://-l@host", "no user or host"),
            ("ssh://@host", "names no host"),
            ("ssh://host/a:b", "takes for more"),
            ("unix://a", "not absolute"),
        ] {
            let fault = Address::parse(url).expect_err(url);
            assert!(fault.contains(part), "{url}: {fault}");
        }
    }
}
