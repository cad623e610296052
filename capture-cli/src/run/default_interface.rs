//! The interface of a capture that names none: that of the default route, as tcpdump and the cloud consoles choose.

use capture_engine::{interfaces, netns};

use crate::{
    args::RunArgs,
    error::{Error, Result},
    say,
};

/// Puts it into the arguments, and says so.
///
/// # Errors
/// There is no default route; the namespace cannot be entered.
pub(super) fn fill(args: &mut RunArgs) -> Result<()> {
    if args.tasks.is_some() || !args.task.interface.is_empty() {
        return Ok(());
    }
    // The routes are those of the namespace.
    if let Some(namespace) = &args.netns {
        netns::enter(namespace)?;
    }
    let present = interfaces::list_in_detail()?;
    let default = present.iter().find(|entry| entry.details.default_route);
    let Some(entry) = default else {
        const MOST: usize = 10;
        let names = present.iter().take(MOST);
        let names: Vec<_> = names
            .map(|entry| entry.name.escape_debug().to_string())
            .collect();
        return Err(Error::usage(format!(
            "--interface: none is given, and there is no default route that names one; there are {}, and \"any\" for all",
            names.join(", ")
        )));
    };
    say(&format!(
        "no -i is given; taking {}, the interface of the default route",
        entry.name.escape_debug()
    ));
    args.task.interface.push(entry.name.clone());
    Ok(())
}
