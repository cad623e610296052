//! `version`: what runs here, and what answers.

use serde::{Deserialize, Serialize};

use super::{
    args::{OutputForm, VersionArgs},
    client::block_on,
    listing::json_line,
    print,
};
use crate::{
    error::{ErrorKind, Result},
    exit::Exit,
};

/// The versions of a client and of the daemon that it asks.
#[derive(Debug, Serialize)]
struct Versions {
    client: Program,
    /// Null where no daemon answers.
    daemon: Option<Answer>,
    /// Why none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// This program.
#[derive(Debug, Serialize)]
struct Program {
    version: &'static str,
    commit: Option<&'static str>,
    /// Of the machine that it runs on.
    kernel: Option<String>,
}

/// What the daemon says of itself.
#[derive(Debug, Deserialize, Serialize)]
struct Answer {
    version: String,
    commit: Option<String>,
    kernel: Option<String>,
    started_at: String,
}

/// Executes `version`.
pub(super) fn show(args: VersionArgs, commit: &'static str) -> Result<Exit> {
    let VersionArgs { form, socket } = args;
    let client = socket.client()?;
    let (daemon, error) = match block_on(async { Ok(client.get("/version").await?) }) {
        Ok(answer) => (Some(answer), None),
        // One that is older has no such call.
        Err(error) if error.kind == ErrorKind::NotFound => {
            let why = "the daemon is older than this program, and does not say its version";
            (None, Some(why.to_owned()))
        }
        Err(error) => (None, Some(error.message)),
    };
    let versions = Versions {
        client: Program {
            version: env!("CARGO_PKG_VERSION"),
            commit: Some(commit).filter(|commit| !commit.is_empty()),
            kernel: capture_engine::procfs::release().ok(),
        },
        daemon,
        error,
    };
    match form.output {
        OutputForm::Json => print(&json_line(&versions)?)?,
        OutputForm::Table => print(text(&versions).as_bytes())?,
    }
    Ok(Exit::Ok)
}

fn text(versions: &Versions) -> String {
    let Versions {
        client,
        daemon,
        error,
    } = versions;
    let of_build = |version: &str, commit: Option<&str>| match commit {
        Some(commit) => format!("{version} (commit {commit})"),
        None => version.to_owned(),
    };
    let daemon_line = match (daemon, error) {
        (Some(daemon), _) => format!(
            "{}, since {}",
            of_build(&daemon.version, daemon.commit.as_deref()),
            daemon.started_at
        ),
        (None, error) => format!("none: {}", error.as_deref().unwrap_or("it does not answer")),
    };
    let kernel = match daemon {
        Some(daemon) => daemon.kernel.as_deref(),
        None => client.kernel.as_deref(),
    };
    format!(
        "client  {}\ndaemon  {daemon_line}\nkernel  {}\n",
        of_build(client.version, client.commit),
        kernel.unwrap_or("not known")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Program {
        Program {
            version: "1.2.3",
            commit: Some("0123456789ab"),
            kernel: Some("6.1.0-9-amd64".to_owned()),
        }
    }

    #[test]
    fn both_ends_are_named() {
        let versions = Versions {
            client: client(),
            daemon: Some(Answer {
                version: "1.2.2".to_owned(),
                commit: None,
                kernel: Some("5.10.0".to_owned()),
                started_at: "2026-03-01T08:00:00.000Z".to_owned(),
            }),
            error: None,
        };
        assert_eq!(
            text(&versions),
            "client  1.2.3 (commit 0123456789ab)\n\
             daemon  1.2.2, since 2026-03-01T08:00:00.000Z\n\
             kernel  5.10.0\n"
        );
    }

    #[test]
    fn without_a_daemon_it_says_why() {
        let versions = Versions {
            client: client(),
            daemon: None,
            error: Some("no daemon is running".to_owned()),
        };
        assert_eq!(
            text(&versions),
            "client  1.2.3 (commit 0123456789ab)\n\
             daemon  none: no daemon is running\n\
             kernel  6.1.0-9-amd64\n"
        );
    }
}
