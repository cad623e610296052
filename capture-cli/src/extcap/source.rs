//! What Wireshark captures on: an interface of a daemon, or one of its running tasks. The value that Wireshark gives back
//! is `capture-agent:eth0`, or `capture-agent@CONTEXT:eth0`; of a task it is `task:ID` behind the colon.

use std::env;

use capture_client::{Location, contexts::LOCAL};
use capture_task::plan::quote;

use crate::{
    client::Client,
    error::{Error, Result},
};

const NAME: &str = "capture-agent";

/// A word before the ID of a task. No interface has a colon in its name.
const TASK: &str = "task:";

/// Where the packets come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// The context of the daemon; [`LOCAL`] of this host.
    context: String,
    pub(super) what: What,
}

/// What of a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// An interface, for a task of our own.
    Interface(String),
    /// A task that runs, by its ID.
    Task(String),
}

impl Source {
    pub(super) fn new(context: &str, what: What) -> Self {
        let context = context.to_owned();
        Self { context, what }
    }

    /// Reads the value that Wireshark gives back.
    pub(super) fn parse(value: &str) -> Result<Self> {
        let wrong = || {
            Error::usage(format!(
                "{} is none of our interfaces; `capture-agent extcap --extcap-interfaces` lists them",
                quote(value)
            ))
        };
        let rest = value.strip_prefix(NAME).ok_or_else(wrong)?;
        let (context, what) = rest.split_once(':').ok_or_else(wrong)?;
        let context = match context {
            "" => LOCAL,
            context => context.strip_prefix('@').ok_or_else(wrong)?,
        };
        let what = match what.strip_prefix(TASK) {
            Some(id) => What::Task(id.to_owned()),
            None => What::Interface(what.to_owned()),
        };
        match &what {
            What::Interface(name) | What::Task(name) if name.is_empty() => Err(wrong()),
            _ => Ok(Self::new(context, what)),
        }
    }

    /// The value for Wireshark.
    pub(super) fn value(&self) -> String {
        let context = match self.context.as_str() {
            LOCAL => String::new(),
            context => format!("@{context}"),
        };
        match &self.what {
            What::Interface(name) => format!("{NAME}{context}:{name}"),
            What::Task(id) => format!("{NAME}{context}:{TASK}{id}"),
        }
    }

    pub(super) fn is_local(&self) -> bool {
        self.context == LOCAL
    }

    /// Its daemon.
    pub(super) fn client(&self) -> Result<Client> {
        client(&self.context)
    }
}

/// The daemon of a context. That of this host is not the one in use: Wireshark's user has chosen no context.
pub(super) fn client(context: &str) -> Result<Client> {
    let socket = env::var_os("CAPTURE_AGENT_SOCKET").filter(|socket| !socket.is_empty());
    let location = match (context, socket) {
        (LOCAL, Some(socket)) => Location {
            socket: Some(socket.into()),
            ..Location::default()
        },
        (context, _) => Location {
            context: Some(context.to_owned()),
            ..Location::default()
        },
    };
    Ok(location.client()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_to_wireshark_and_come_back() {
        let interface = |name: &str| What::Interface(name.to_owned());
        for (source, value) in [
            (
                Source::new(LOCAL, interface("eth0.5")),
                "capture-agent:eth0.5",
            ),
            (
                Source::new("prod.eu", interface("any")),
                "capture-agent@prod.eu:any",
            ),
            (
                Source::new("lab", What::Task("01M8".to_owned())),
                "capture-agent@lab:task:01M8",
            ),
        ] {
            assert_eq!(source.value(), value);
            assert_eq!(Source::parse(value).expect("ours"), source);
        }
        for other in [
            "",
            "eth0",
            "capture-agent",
            "capture-agent:",
            "capture-agent:task:",
            "capture-agentx:eth0",
        ] {
            assert!(Source::parse(other).is_err(), "{other}");
        }
    }
}
