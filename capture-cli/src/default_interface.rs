//! The interface of a capture that names none: that of the default route, as tcpdump and the cloud consoles choose. It is
//! always said.

use capture_engine::{interfaces, netns};

use super::{args::RunArgs, client::Client, say};
use crate::error::{Error, Result};

/// Puts it into the arguments of `run`.
///
/// # Errors
/// There is no default route; the namespace cannot be entered.
pub(super) fn of_run(args: &mut RunArgs) -> Result<()> {
    if args.tasks.is_some() || !args.task.interface.is_empty() {
        return Ok(());
    }
    // The routes are those of the namespace.
    if let Some(namespace) = &args.netns {
        netns::enter(namespace)?;
    }
    let rows = interfaces::list_in_detail()?.into_iter();
    let rows = rows.map(|entry| (entry.name, entry.details.default_route));
    args.task.interface.push(choose(rows, "")?);
    Ok(())
}

/// That of the daemon's host, for a task there.
///
/// # Errors
/// There is no default route there; the daemon does not answer.
pub(super) async fn of_daemon(client: &Client) -> Result<String> {
    let rows = client.interfaces().await?.into_iter();
    let rows = rows.map(|row| (row.name, row.default_route));
    choose(rows, " of the daemon")
}

/// Of interfaces and whether the default route leads out there. Says it, too; `whose` stands behind the route.
fn choose(present: impl Iterator<Item = (String, bool)>, whose: &str) -> Result<String> {
    let mut names = Vec::new();
    for (name, default_route) in present {
        let shown = name.escape_debug().to_string();
        if default_route {
            say(&format!(
                "no -i is given; taking {shown}, the interface of the default route{whose}"
            ));
            return Ok(name);
        }
        names.push(shown);
    }
    const MOST: usize = 10;
    names.truncate(MOST);
    Err(Error::usage(format!(
        "--interface: none is given, and there is no default route{whose} that names one; there are {}, and \"any\" for all",
        names.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_default_route_decides_and_without_one_all_are_named() {
        let choose = |rows: &[(&str, bool)]| {
            let rows = rows
                .iter()
                .map(|(name, default)| ((*name).to_owned(), *default));
            super::choose(rows, " of the daemon")
        };
        let found = choose(&[("lo", false), ("eth1", true), ("eth2", true)]);
        assert_eq!(found.expect("one is chosen"), "eth1");
        let error = choose(&[("lo", false), ("e\u{1b}", false)]);
        assert_eq!(
            error.expect_err("none is").message,
            "--interface: none is given, and there is no default route of the daemon that names one; there are lo, e\\u{1b}, \
             and \"any\" for all"
        );
    }
}
