//! The network interfaces of the current network namespace: what the listing shows, and what the engine must know of
//! each before it attaches. Asked of the kernel by netlink, as `/sys` goes on showing the namespace in which it was
//! mounted.

mod driver;
mod entry;
mod link;
mod route;
mod up;

pub use self::{
    driver::driver,
    entry::{
        InterfaceDetails, InterfaceEntry, InterfaceJson, LINKTYPE_ETHERNET, LINKTYPE_RAW,
        LinkCounters, LinkState,
    },
    route::{Route, route_to},
};
pub(crate) use self::{
    link::{Link, Links},
    up::set_up,
};
use crate::error::Result;

/// All interfaces of the calling thread's network namespace, by index. One whose name is not UTF-8 is left out: nobody
/// can ask for it.
///
/// # Errors
/// The kernel does not answer.
pub fn list() -> Result<Vec<InterfaceEntry>> {
    Links::list()?.into_entries()
}

/// The same with all [`InterfaceDetails`], which [`list`] leaves empty: the driver of each is asked.
///
/// # Errors
/// As [`list`].
pub fn list_in_detail() -> Result<Vec<InterfaceEntry>> {
    let mut entries = Links::list_with_counters()?.into_entries()?;
    let default = route::default_interfaces();
    for entry in &mut entries {
        entry.details.speed_mbps = driver::speed_mbps(&entry.name);
        entry.details.default_route = default.contains(&entry.ifindex);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_listed() {
        let entries = list().expect("interfaces can be listed");
        let lo = entries
            .iter()
            .find(|entry| entry.name == "lo")
            .expect("lo exists");
        assert_eq!(
            (lo.ifindex, lo.arphrd, lo.link_type()),
            (1, 772, Some(LINKTYPE_ETHERNET))
        );
        assert!(lo.mtu > 0);
        if lo.state == LinkState::Up {
            assert!(
                lo.addresses
                    .contains(&"127.0.0.1/8".parse().expect("a prefix"))
            );
        }
    }

    /// What needs root.
    mod privileged {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, process::Command, thread};

        use capture_tests::{netns::Netns, output, rights};

        use super::*;

        #[test]
        fn an_interface_that_is_being_renamed_is_not_gone() {
            let namespace = Netns::new();
            namespace.ip("link add here type veth peer name other");
            let mut renames = String::new();
            for _ in 0..500 {
                renames.push_str("link set here name there\nlink set there name here\n");
            }
            thread::scope(|scope| {
                let renaming = scope.spawn(|| namespace.ip(&renames));
                rights::within_as_unit(&namespace, || {
                    while !renaming.is_finished() {
                        let entries = list().expect("interfaces can be listed");
                        assert_eq!(entries.len(), 3, "{entries:?}");
                    }
                });
            });
        }

        /// Nobody can ask for it, and it costs no time.
        #[test]
        fn an_interface_without_a_name_in_text_is_left_out() {
            let namespace = Netns::new();
            let name = OsStr::from_bytes(b"x\xff");
            let mut command = Command::new("ip");
            command
                .args(["-netns", namespace.name(), "link", "add"])
                .arg(name);
            output(command.args(["type", "veth", "peer", "name", "here"]));
            namespace.ip("addr add 10.9.0.1/32 dev here");
            namespace.ip("addr add 10.9.1.1 peer 10.9.1.2/32 dev here");
            let entries = namespace.within(list).expect("interfaces can be listed");
            let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
            assert_eq!(names, ["lo", "here"]);
            let addresses: Vec<_> = entries[1]
                .addresses
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(addresses, ["10.9.0.1/32", "10.9.1.1/32"]);
            let links = namespace.within(Links::list).expect("they can be listed");
            assert_eq!(
                links.iter().count(),
                3,
                "whose frames go where is known of all"
            );
        }

        /// More than one datagram of the kernel's answer holds, and in order.
        #[test]
        fn hundreds_of_interfaces_are_listed_once_each() {
            let namespace = Netns::new();
            let mut lines = String::new();
            for number in 0..300 {
                lines.push_str(&format!(
                    "link add a{number} type veth peer name b{number}\n"
                ));
                lines.push_str(&format!(
                    "addr add 10.1.{}.{}/32 dev a{number}\n",
                    number / 250,
                    number % 250 + 1
                ));
            }
            namespace.ip(&lines);
            let entries = namespace.within(list).expect("interfaces can be listed");
            assert_eq!(entries.len(), 601);
            assert!(entries.is_sorted_by(|one, next| one.ifindex < next.ifindex));
            let addresses = entries.iter().filter(|entry| entry.name.starts_with('a'));
            assert!(addresses.clone().all(|entry| entry.addresses.len() == 1));
            assert_eq!(addresses.count(), 300);
        }
    }
}
