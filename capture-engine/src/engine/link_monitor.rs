//! The watch on interfaces: a thread that hears of every change over netlink, and brings tasks on
//! `any` to new interfaces, and tasks to their end whose last interface has vanished or whose packets
//! the kernel has begun to show without link header.

use std::{
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::Arc,
    thread::{self, JoinHandle},
};

use capture_task::{plan::InterfaceSelection, task::StopReason};
use jiff::Timestamp;
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        eventfd::{EfdFlags, EventFd},
        socket::{
            AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv,
            socket,
        },
    },
};

use super::{
    state::{EngineCore, State},
    task::info,
};
use crate::{
    error::{Error, Result},
    interfaces::Links,
};

/// RTMGRP_LINK (include/uapi/linux/rtnetlink.h): news of interfaces.
const RTMGRP_LINK: u32 = 1;

/// Looked at even without news, in milliseconds: a message may be lost to a full socket buffer.
const INTERVAL_MS: u16 = 1000;

/// A running watch; dropping it ends the thread.
pub(super) struct LinkMonitor {
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl LinkMonitor {
    /// Starts the watch in the network namespace of the caller.
    pub(super) fn start(shared: Arc<EngineCore>) -> Result<Self> {
        let news = news().map_err(Error::system("listen to changes of interfaces"))?;
        let stop = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(Error::system("make an eventfd"))?;
        let stop = Arc::new(stop);
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("interfaces".to_owned())
            .spawn(move || {
                let mut checked = Timestamp::now();
                while wait(&news, &stopped) {
                    // Listed under the lock: no task is judged by a list from before it came.
                    let mut state = shared.lock();
                    let now = Timestamp::now();
                    match Links::list() {
                        Ok(links) => {
                            follow(&shared, &mut state, &links);
                            end_headless(&shared, &mut state, &links, checked);
                            checked = now;
                        }
                        Err(error) => log::warn!("{error}"),
                    }
                }
            })
            .map_err(Error::system("start the thread that watches interfaces"))?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for LinkMonitor {
    fn drop(&mut self) {
        if let Err(error) = self.stop.write(1) {
            log::warn!("cannot stop the watch on interfaces: {error}");
            return;
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the watch on interfaces has panicked");
        }
    }
}

fn news() -> nix::Result<OwnedFd> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        SockProtocol::NetlinkRoute,
    )?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, RTMGRP_LINK))?;
    Ok(socket)
}

/// Waits for news or the next look; false when the watch is to end.
fn wait(news: &OwnedFd, stop: &EventFd) -> bool {
    let mut fds = [
        PollFd::new(news.as_fd(), PollFlags::POLLIN),
        PollFd::new(stop.as_fd(), PollFlags::POLLIN),
    ];
    // An interruption is as good as news.
    let _ = poll(&mut fds, PollTimeout::from(INTERVAL_MS));
    if fds[1].any().unwrap_or(true) {
        return false;
    }
    // What the messages say is not read: the list of interfaces says it better.
    let mut buffer = [0; 8192];
    while recv(news.as_raw_fd(), &mut buffer, MsgFlags::empty()).is_ok() {}
    true
}

/// Ends the tasks that have been shown frames without link header since, at the earliest, the look
/// before: what they lost, and which of their packets are spoiled, nobody can tell.
fn end_headless(shared: &EngineCore, state: &mut State, links: &Links, before: Timestamp) {
    let State { kernel, tasks, .. } = state;
    for task in tasks.values_mut().filter(|task| task.fault.is_none()) {
        let why = task
            .tc_ingress(kernel)
            .find_map(|ifindex| kernel.no_link_header(links, ifindex));
        if let Some(why) = why {
            kernel.tables.deactivate(task.slot);
            task.fault = Some(Error::LinkHeaderLost {
                why,
                since: format!("{before:.0}"),
            });
            shared.end(&task.end_signal, StopReason::Error);
        }
    }
}

/// Brings every task to the interfaces that there are now.
fn follow(shared: &EngineCore, state: &mut State, links: &Links) {
    let State { kernel, tasks, .. } = state;
    for task in tasks.values_mut() {
        task.read_interfaces(kernel);
        let slot = task.slot;
        let mut vanished = Vec::new();
        for interface in task
            .interfaces
            .iter_mut()
            .filter(|interface| !interface.gone)
        {
            if links.get(interface.ifindex).is_none() {
                interface.gone = true;
                vanished.push(interface.name.clone());
                // The kernel took the links away with the device.
                kernel.detach(interface.ifindex, slot);
            }
        }
        match task.plan.interfaces {
            InterfaceSelection::Any => {
                for entry in links.entries().filter(|entry| entry.link_type().is_some()) {
                    let known = task
                        .interfaces
                        .iter()
                        .any(|there| there.ifindex == entry.ifindex && !there.gone);
                    if known {
                        continue;
                    }
                    // The output knows of the interface before its first packet comes.
                    let added = info(entry)
                        .and_then(|info| shared.reader.add_interface(slot, info))
                        .and_then(|()| task.attach(kernel, links, entry));
                    match added {
                        Ok(()) => log::info!("now capturing on {} too", entry.name),
                        Err(error) => log::warn!("not capturing on {}: {error}", entry.name),
                    }
                }
            }
            InterfaceSelection::Named(_) => {
                if task.interfaces.iter().all(|interface| interface.gone) {
                    shared.end(&task.end_signal, StopReason::InterfaceGone);
                } else {
                    for name in vanished {
                        log::warn!(
                            "{name} is gone, and is not captured on any more, not even if it comes back"
                        );
                    }
                }
            }
        }
    }
}
