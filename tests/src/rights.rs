//! The rights of the agent under test: those of root, or exactly those that the systemd unit grants. What root
//! may do and the unit's user may not fails without a word in an agent that was only ever tested as root.

use std::{
    fs::File,
    os::{
        fd::AsRawFd as _,
        unix::fs::{FileTypeExt as _, chown},
    },
    path::Path,
    process::Command,
    sync::OnceLock,
};

use caps::{CapSet, Capability, CapsHashSet};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use crate::{agent, netns::Netns};

/// The unit, in which the capabilities are granted.
const UNIT: &str = include_str!("../../deploy/systemd/capture-agent.service");

/// `nobody` of Debian.
const NOBODY: u32 = 65534;

/// With which rights an agent is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Those of the test itself.
    Root,
    /// Those of the systemd unit: an ordinary user, the unit's capabilities in every set, `no_new_privs`.
    Unit,
}

impl Rights {
    /// Those that `CAPTURE_TEST_RIGHTS` names, `root` or `unit`; `root` where it is not set.
    pub fn from_env() -> Self {
        match std::env::var("CAPTURE_TEST_RIGHTS").as_deref() {
            Err(_) | Ok("root") => Self::Root,
            Ok("unit") => Self::Unit,
            Ok(other) => panic!("CAPTURE_TEST_RIGHTS={other}, and neither root nor unit"),
        }
    }

    /// A command that will run the agent with these rights in a namespace.
    pub fn command(self, namespace: &Netns) -> Command {
        match self {
            Self::Root => namespace.command(agent::binary()),
            Self::Unit => {
                let mut command = namespace.command("setpriv");
                let id = NOBODY.to_string();
                let capabilities = setpriv_list();
                command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
                for set in ["--bounding-set", "--inh-caps", "--ambient-caps"] {
                    command.args([set, &capabilities]);
                }
                command.arg("--no-new-privs").arg(binary_for_everybody());
                command
            }
        }
    }

    /// Gives a directory that the test made to the user of these rights, with the files in it.
    pub fn give(self, directory: &Path) {
        if self == Self::Root {
            return;
        }
        let entries = std::fs::read_dir(directory).expect("the test made it");
        for entry in entries {
            let entry = entry.expect("an entry");
            if !entry.file_type().expect("its type").is_socket() {
                chown(entry.path(), Some(NOBODY), Some(NOBODY)).expect("root may");
            }
        }
        chown(directory, Some(NOBODY), Some(NOBODY)).expect("root may");
    }
}

/// The capabilities that the unit grants.
fn granted() -> CapsHashSet {
    let line = UNIT
        .lines()
        .find_map(|line| line.strip_prefix("AmbientCapabilities="));
    let names = line.expect("the unit grants capabilities").split(' ');
    let granted = names.map(|name| name.parse::<Capability>().expect("a capability"));
    granted.collect()
}

/// As setpriv(1) takes them: `-all,+bpf,…`.
fn setpriv_list() -> String {
    let mut list = "-all".to_owned();
    for capability in granted() {
        let name = capability.to_string().to_lowercase();
        list.push_str(",+");
        list.push_str(name.strip_prefix("cap_").expect("CAP_…"));
    }
    list
}

/// A path of the agent by which every user can execute it. The directories above the agent may be closed to
/// them, so it is a descriptor that the children of the test inherit.
pub fn binary_for_everybody() -> String {
    static BINARY: OnceLock<File> = OnceLock::new();
    let file = BINARY.get_or_init(|| {
        let file = File::open(agent::binary()).expect("the agent under test");
        fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).expect("it is open");
        file
    });
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Runs work of the product with the unit's capabilities in force on a thread in a namespace. What it starts has
/// no others either, but [`Netns::within`], by which fixtures work, has those of root again.
pub fn within_as_unit<T: Send>(namespace: &Netns, work: impl FnOnce() -> T + Send) -> T {
    namespace.within(|| {
        as_unit();
        work()
    })
}

/// Has this thread, and those that it starts, no capabilities in force but the unit's.
pub fn as_unit() {
    caps::set(None, CapSet::Effective, &granted()).expect("root may");
}

/// Has this thread all capabilities in force that it may have.
pub(crate) fn as_root() {
    let permitted = caps::read(None, CapSet::Permitted).expect("a thread knows them");
    caps::set(None, CapSet::Effective, &permitted).expect("they are permitted");
}
