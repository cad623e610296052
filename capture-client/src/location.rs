//! Which daemon is meant: by options, else by the environment, else by the context in use, else the one of this host.

use std::{env, ffi::OsString, path::PathBuf};

use capture_task::plan::quote;

use crate::{
    Client,
    address::Address,
    contexts::{Context, Contexts, LOCAL},
    error::{Error, Result},
};

/// What options say of the daemon; all of it may be missing.
#[derive(Clone, Debug, Default)]
pub struct Location {
    /// `--socket`.
    pub socket: Option<PathBuf>,
    /// `--url`.
    pub url: Option<String>,
    /// `--context`.
    pub context: Option<String>,
    /// `--token-file`.
    pub token_file: Option<PathBuf>,
    /// `--ca`.
    pub ca: Option<PathBuf>,
}

/// The environment, as far as it names a daemon.
#[derive(Debug, Default)]
struct Environment {
    socket: Option<OsString>,
    url: Option<OsString>,
    context: Option<OsString>,
    token_file: Option<OsString>,
    ca: Option<OsString>,
}

impl Environment {
    fn read() -> Self {
        let set = |value: Option<OsString>| value.filter(|value| !value.is_empty());
        Self {
            socket: set(env::var_os("CAPTURE_AGENT_SOCKET")),
            url: set(env::var_os("CAPTURE_AGENT_URL")),
            context: set(env::var_os("CAPTURE_AGENT_CONTEXT")),
            token_file: set(env::var_os("CAPTURE_AGENT_TOKEN_FILE")),
            ca: set(env::var_os("CAPTURE_AGENT_CA")),
        }
    }
}

impl Location {
    /// The client of the daemon that is meant.
    ///
    /// # Errors
    /// A URL, context or file is none.
    pub fn client(self) -> Result<Client> {
        self.resolve(Environment::read(), Contexts::load)
    }

    fn resolve(
        self,
        environment: Environment,
        contexts: impl FnOnce() -> Result<Contexts>,
    ) -> Result<Client> {
        let Self {
            socket,
            url,
            context,
            token_file,
            ca,
        } = self;
        let has_files = token_file.is_some() || ca.is_some();
        let token_file = token_file.or(environment.token_file.map(PathBuf::from));
        let ca = ca.or(environment.ca.map(PathBuf::from));
        let found = if let Some(socket) = socket {
            at_socket("--socket", socket)?
        } else if let Some(url) = url {
            at("--url", url.into(), token_file, ca)?
        } else if let Some(name) = context {
            in_context(&contexts()?, &name, token_file, ca)?
        } else if let Some(url) = environment.url {
            at("CAPTURE_AGENT_URL", url, token_file, ca)?
        } else if let Some(socket) = environment.socket {
            at_socket("CAPTURE_AGENT_SOCKET", socket.into())?
        } else if let Some(name) = environment.context {
            in_context(&contexts()?, &name.to_string_lossy(), token_file, ca)?
        } else {
            let contexts = contexts()?;
            in_context(&contexts, contexts.current(), token_file, ca)?
        };
        if has_files && !matches!(found.address(), Address::Https { .. }) {
            return Err(Error::usage(format!(
                "--token-file and --ca belong to a daemon at https://, and {} needs none",
                found.address()
            )));
        }
        Ok(found)
    }
}

impl Client {
    /// The daemon of a context, with the files that it names.
    ///
    /// # Errors
    /// Its URL is none.
    pub fn of_context(context: &Context) -> Result<Self> {
        let Context {
            url,
            token_file,
            ca,
        } = context.clone();
        at("url", url.into(), token_file, ca)
    }
}

fn in_context(
    contexts: &Contexts,
    name: &str,
    token_file: Option<PathBuf>,
    ca: Option<PathBuf>,
) -> Result<Client> {
    if name == LOCAL {
        return Ok(Client::local());
    }
    let context = contexts.named(name)?;
    let context = Context {
        url: context.url.clone(),
        token_file: token_file.or(context.token_file.clone()),
        ca: ca.or(context.ca.clone()),
    };
    Client::of_context(&context)
}

/// A path, which no URL is meant by.
fn at_socket(place: &str, socket: PathBuf) -> Result<Client> {
    let text = socket.to_string_lossy();
    if !text.starts_with('/') && text.contains("://") {
        let url = place.replace("socket", "url").replace("SOCKET", "URL");
        return Err(Error::usage(format!(
            "{place}: {} is a URL, not the path of a socket; give it by {url}",
            quote(&text)
        )));
    }
    Ok(Client::new(Address::Socket(socket)))
}

fn at(
    place: &str,
    url: OsString,
    token_file: Option<PathBuf>,
    ca: Option<PathBuf>,
) -> Result<Client> {
    let url = url.to_string_lossy();
    let address =
        Address::parse(&url).map_err(|fault| Error::usage(format!("{place}: {fault}")))?;
    Ok(Client::new(address).with_files(token_file, ca))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::SOCKET;

    fn contexts() -> Result<Contexts> {
        let mut contexts = Contexts::default();
        let lab = Context {
            url: "ssh://lab".to_owned(),
            token_file: None,
            ca: None,
        };
        contexts.create("lab", lab.clone())?;
        contexts.create(
            "other",
            Context {
                url: "ssh://other".to_owned(),
                ..lab
            },
        )?;
        contexts.use_by_default("lab")?;
        Ok(contexts)
    }

    #[test]
    fn options_go_before_the_environment_and_that_before_the_context_in_use() {
        let environment = |names: &[&str]| {
            let set = |name, value: &str| names.contains(&name).then(|| value.into());
            Environment {
                socket: set("socket", "/env.sock"),
                url: set("url", "ssh://env"),
                context: set("context", "other"),
                token_file: None,
                ca: None,
            }
        };
        let some = |text: &str| Some(text.to_owned());
        let socket = Location {
            socket: Some("/a.sock".into()),
            ..Location::default()
        };
        let url = Location {
            url: some("ssh://a"),
            ..Location::default()
        };
        let context = Location {
            context: some("other"),
            ..Location::default()
        };
        let local = Location {
            context: some("local"),
            ..Location::default()
        };
        let none = Location::default();
        let all = ["socket", "url", "context"];
        for (location, names, expected) in [
            (&socket, &all[..], "/a.sock"),
            (&url, &all[..], "ssh://a"),
            (&context, &all[..], "ssh://other"),
            (&local, &all[..], SOCKET),
            (&none, &all[..], "ssh://env"),
            (&none, &["socket", "context"][..], "/env.sock"),
            (&none, &["context"][..], "ssh://other"),
            (&none, &[][..], "ssh://lab"),
        ] {
            let client = location.clone().resolve(environment(names), contexts);
            assert_eq!(client.expect("a daemon").address().to_string(), expected);
        }
        let client = none.resolve(environment(&[]), || Ok(Contexts::default()));
        assert_eq!(client.expect("a daemon").address().to_string(), SOCKET);
    }

    #[test]
    fn a_url_is_no_socket() {
        let location = Location {
            socket: Some("https://a:8443".into()),
            ..Location::default()
        };
        let error = location.resolve(Environment::default(), contexts);
        assert_eq!(
            error.expect_err("refused").to_string(),
            "--socket: \"https://a:8443\" is a URL, not the path of a socket; give it by --url"
        );
        let environment = Environment {
            socket: Some("ssh://a".into()),
            ..Environment::default()
        };
        let error = Location::default().resolve(environment, contexts);
        let error = error.expect_err("refused").to_string();
        assert!(error.ends_with("give it by CAPTURE_AGENT_URL"), "{error}");
    }

    #[test]
    fn files_belong_to_https() {
        let location = Location {
            url: Some("ssh://a".to_owned()),
            ca: Some("/a/ca.pem".into()),
            ..Location::default()
        };
        let error = location
            .resolve(Environment::default(), contexts)
            .expect_err("refused");
        assert!(
            error.to_string().contains("belong to a daemon at https"),
            "{error}"
        );
        // Of the environment they are for whichever daemon needs them.
        let environment = Environment {
            ca: Some("/a/ca.pem".into()),
            ..Environment::default()
        };
        assert!(Location::default().resolve(environment, contexts).is_ok());
    }
}
