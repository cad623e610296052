//! What a task would hang on, and what is in its way, as far as that is known before it is tried.

use std::collections::BTreeMap;

use capture_common::{HookPoint, LinkLayer};
use capture_task::plan::{Directions, Hook, Plan};

use super::{
    Engine,
    state::EngineCore,
    task::{Wanted, hook_word, link_layer, mode, select},
};
use crate::{
    error::{AttachError, Error, Result},
    interfaces::{InterfaceEntry, Links},
    kernel::{Attached, HookKind, KernelVersion, hook_points, no_link_header},
};

/// A hook that a task would have on one interface.
#[derive(Debug)]
pub struct PlannedHook {
    /// The interface.
    pub interface: String,
    /// As [`Attachment::hook`](super::Attachment::hook).
    pub hook: &'static str,
    /// As [`Attachment::mode`](super::Attachment::mode), of this task alone.
    pub mode: String,
    /// Why the attachment would fail, where that is known: a driver may refuse all the same.
    pub conflict: Option<Error>,
}

/// The hooks of a task on each of its interfaces, by index. `engine` is the one that would execute it, where it has
/// started.
///
/// # Errors
/// The kernel does not answer; an interface is not there.
pub fn planned_hooks(engine: Option<&Engine>, plan: &Plan) -> Result<Vec<PlannedHook>> {
    let links = Links::list()?;
    let release = KernelVersion::running()?;
    let core = engine.map(|engine| &*engine.shared);
    let selected = select(&plan.interfaces, &links)?;
    let planned = selected.into_iter().map(|entry| {
        let Wanted { hook, directions } = Wanted::of(plan, entry);
        let attached: Vec<_> = hook_points(hook, directions)
            .into_iter()
            .map(|point| Attached {
                kind: HookKind::of(hook, point, release),
                point,
            })
            .collect();
        PlannedHook {
            interface: entry.name.clone(),
            hook: hook_word(hook),
            mode: mode(&attached),
            conflict: conflict(core, &links, release, entry, (hook, directions)),
        }
    });
    Ok(planned.collect())
}

/// Why each interface could not be captured on by the default hook, where it could not, by index. An interface of a
/// kind that cannot be captured on at all is not among them.
///
/// # Errors
/// The kernel does not answer.
pub fn conflicts(engine: Option<&Engine>) -> Result<BTreeMap<u32, Error>> {
    let links = Links::list()?;
    let release = KernelVersion::running()?;
    let core = engine.map(|engine| &*engine.shared);
    let way = (Hook::Auto, Directions::Both);
    let entries = links.entries().filter(|entry| entry.link_type().is_some());
    let found = entries.filter_map(|entry| {
        let conflict = conflict(core, &links, release, entry, way)?;
        Some((entry.ifindex, conflict))
    });
    Ok(found.collect())
}

fn conflict(
    core: Option<&EngineCore>,
    links: &Links,
    release: KernelVersion,
    entry: &InterfaceEntry,
    (hook, directions): (Hook, Directions),
) -> Option<Error> {
    let link = match link_layer(entry) {
        Ok(link) => link,
        Err(error) => return Some(error),
    };
    let (own, attached) = core.map_or((None, Vec::new()), |core| {
        let hooks = &core.lock().kernel.hooks;
        (hooks.generic_xdp(), hooks.attached(entry.ifindex))
    });
    let interface = || entry.name.clone();
    let points = hook_points(hook, directions);
    if points.contains(&HookPoint::TcIngress) && link == LinkLayer::Ethernet {
        let why = no_link_header(links, release, entry.ifindex, own);
        return why.map(|why| Error::NoLinkHeader {
            interface: interface(),
            why,
        });
    }
    if !points.contains(&HookPoint::Xdp) {
        return None;
    }
    let ours = attached.iter().find(|there| there.point == HookPoint::Xdp);
    match ours {
        Some(there) if there.kind == HookKind::of(hook, HookPoint::Xdp, release) => None,
        Some(there) => Some(Error::HookConflict {
            interface: interface(),
            there: there.kind.hook(),
        }),
        None => {
            let is_taken = links.get(entry.ifindex).is_some_and(|link| link.has_xdp);
            is_taken.then(|| Error::Attach {
                interface: interface(),
                hook,
                cause: AttachError::XdpTaken,
            })
        }
    }
}
