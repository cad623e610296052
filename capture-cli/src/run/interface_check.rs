//! The interfaces of a foreground capture: whether they can be captured on, and the lines that say
//! where it captures.

use capture_engine::{
    Attachment,
    interfaces::{InterfaceEntry, LinkState},
};
use capture_task::{
    plan::{Field, Hook, InterfaceSelection, Keyword, nearest, quote},
    printable,
};

use crate::{
    error::{Error, Result},
    request::RunOptions,
    task_request::TaskRequest,
};

/// Refuses interfaces that are not there or whose frames are not understood, of all tasks at once.
pub(super) fn check_interfaces(
    tasks: &[TaskRequest],
    options: &RunOptions,
    present: &[InterfaceEntry],
) -> Result<()> {
    let mut problems = Vec::new();
    let mut down = Vec::new();
    for (index, task) in tasks.iter().enumerate() {
        let InterfaceSelection::Named(names) = &task.plan.interfaces else {
            continue;
        };
        let place = options.place_of(index, Field::Interfaces);
        for name in names {
            match present.iter().find(|entry| entry.name == *name) {
                None => problems.push(unknown(&place, name, present)),
                Some(entry) if entry.link_type().is_none() => problems.push(format!(
                    "{place}: {} cannot be captured on: {}",
                    quote(name),
                    entry.link_description()
                )),
                Some(entry) if entry.state == LinkState::Down && !down.contains(name) => {
                    log::warn!(
                        "the interface {} is down; nothing passes until it is up",
                        quote(name)
                    );
                    down.push(name.clone());
                }
                Some(_) => {}
            }
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Error::usage(problems.join("\n")))
    }
}

fn unknown(place: &str, name: &str, present: &[InterfaceEntry]) -> String {
    const MOST: usize = 10;
    let names = present.iter().map(|entry| entry.name.as_str());
    // tcpdump takes the numbers of interfaces, too.
    let by_number = || {
        let mut entries = present.iter();
        let meant = entries.find(|entry| name.parse() == Ok(entry.ifindex))?;
        Some(meant.name.as_str())
    };
    let hint = nearest(name, names.clone())
        .or_else(by_number)
        .map(|near| format!(" (did you mean {}?)", quote(near)))
        .unwrap_or_default();
    let mut listed: Vec<_> = names
        .take(MOST)
        .map(|name| name.escape_debug().to_string())
        .collect();
    if present.len() > MOST {
        listed.push("… (see `capture-agent interfaces`)".to_owned());
    }
    format!(
        "{place}: {} is not there{hint}; there are {}",
        quote(name),
        listed.join(", ")
    )
}

/// `capturing on IF (hook, mode)`, one line for each interface, however many tasks capture there.
pub(super) fn attachment_lines(attachments: &[Attachment], hook: Hook) -> Vec<String> {
    if attachments.is_empty() {
        return vec![format!(
            "capturing on any ({}, no interface yet: waiting for one)",
            hook.keyword()
        )];
    }
    let mut interfaces: Vec<(&str, Vec<&str>, &str)> = Vec::new();
    for Attachment {
        interface,
        hook,
        mode,
    } in attachments
    {
        match interfaces.iter_mut().find(|(name, ..)| name == interface) {
            Some((_, hooks, _)) if !hooks.contains(hook) => hooks.push(hook),
            Some(_) => {}
            None => interfaces.push((interface, vec![hook], mode)),
        }
    }
    let lines = interfaces.iter().map(|(interface, hooks, mode)| {
        let interface = printable(interface);
        format!("capturing on {interface} ({}, {mode})", hooks.join("+"))
    });
    lines.collect()
}
