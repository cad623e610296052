//! The process that becomes an engine: what it gives up before. Files are by Landlock, without which no engine is started;
//! sockets are by seccomp, which every kernel has. The other layers are left out where they are not allowed, and named.

use std::{
    collections::BTreeMap,
    env::consts::ARCH,
    fs::File,
    io::{self, Write as _},
    mem::ManuallyDrop,
    os::{
        fd::FromRawFd as _,
        unix::{net::UnixStream, process::CommandExt as _},
    },
    path::{Path, PathBuf},
    process::Command,
};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus, Scope, path_beneath_rules,
};
use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::{
        prctl::{set_no_new_privs, set_pdeathsig},
        resource::Resource,
        signal::Signal,
        socket::{UnixAddr, getsockname},
    },
    unistd::dup2_stdin,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

use super::launch::{Confined, Launch, Limits};
use crate::process::confine::{close_descriptors, drop_capabilities, give_way, lower};

/// What engines read, and what their libraries do.
const READ: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/etc/localtime",
    "/etc/protocols",
    "/etc/services",
    "/etc/suricata",
    "/var/lib/suricata/rules",
    "/proc/self",
    "/proc/meminfo",
    "/proc/cpuinfo",
    "/sys/devices/system",
    "/dev/null",
    "/dev/urandom",
];

/// Confines this process, and becomes the engine; comes back only where that fails, with false.
pub(crate) fn become_engine(launch: &str) -> bool {
    // SAFETY: stdin was opened by whoever started this process, and nothing else here uses or closes it.
    let mut socket = ManuallyDrop::new(unsafe { UnixStream::from_raw_fd(libc::STDIN_FILENO) });
    // Somebody typed the argument.
    if getsockname::<UnixAddr>(libc::STDIN_FILENO).is_err() {
        return false;
    }
    let Ok(launch) = serde_json::from_str::<Launch>(launch) else {
        return false;
    };
    let (said, command) = match prepare(&launch) {
        Ok((missing, command)) => (Confined::Without(missing), Some(command)),
        Err(why) => (Confined::Refused(why), None),
    };
    let told = serde_json::to_vec(&said).is_ok_and(|json| socket.write_all(&json).is_ok());
    let Some((mut command, null)) = command.filter(|_| told) else {
        return false;
    };
    // Closes the socket, by which the other side knows that this is all.
    let closed = match launch.interactive {
        true => dup2_stdin(io::stdout()),
        false => dup2_stdin(null),
    };
    if closed.is_err() {
        return false;
    }
    let error = command.exec();
    // Nobody is left to tell where this fails.
    let _ = writeln!(io::stderr(), "cannot be executed: {error}");
    false
}

fn prepare(launch: &Launch) -> Result<(Vec<String>, (Command, File)), String> {
    let mut missing = Vec::new();
    close_descriptors().map_err(|error| format!("open descriptors: {error}"))?;
    let null = File::open("/dev/null").map_err(|error| format!("/dev/null: {error}"))?;
    give_way();
    match leave_namespaces() {
        Ok(()) => {
            if let Err(error) = freeze_mounts(launch.write.as_deref()) {
                missing.push(format!("a read-only view of all file systems ({error})"));
            }
        }
        Err(errno) => missing.push(format!("namespaces of its own ({errno})")),
    }
    limit(&launch.limits).map_err(|errno| format!("limits: {errno}"))?;
    drop_capabilities().map_err(|error| format!("capabilities: {error}"))?;
    set_no_new_privs().map_err(|errno| format!("no_new_privs: {errno}"))?;
    set_pdeathsig(Signal::SIGKILL).map_err(|errno| format!("death signal: {errno}"))?;
    if !leave_files(launch).map_err(|error| format!("Landlock: {error}"))? {
        missing.push("a part of Landlock".to_owned());
    }
    refuse_calls().map_err(|error| format!("system calls: {error}"))?;
    let home = launch.write.as_deref().unwrap_or(Path::new("/"));
    let mut command = Command::new(&launch.program);
    command
        .args(&launch.arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .env("HOME", home)
        .env("TMPDIR", home)
        .current_dir(home);
    Ok((missing, (command, null)))
}

/// A network in which there is nothing, and mounts and System V objects of its own. Whoever may not make them may do so in
/// a user namespace of their own, where that is allowed.
fn leave_namespaces() -> Result<(), Errno> {
    let own = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC;
    unshare(own).or_else(|_| unshare(CloneFlags::CLONE_NEWUSER | own))
}

/// Makes all mounts read-only but that of a directory, if there is one, since kernel 5.12. What Landlock says holds without it.
fn freeze_mounts(but: Option<&Path>) -> io::Result<()> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    if let Some(but) = but {
        mount(Some(but), but, none, MsFlags::MS_BIND, none)?;
    }
    let flags = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID;
    set_attributes(Path::new("/"), libc::AT_RECURSIVE, flags, 0)?;
    match but {
        Some(but) => set_attributes(but, 0, 0, libc::MOUNT_ATTR_RDONLY),
        None => Ok(()),
    }
}

fn set_attributes(path: &Path, how: libc::c_int, set: u64, clear: u64) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    let attributes = libc::mount_attr {
        attr_set: set,
        attr_clr: clear,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: the path ends with a zero, and both outlive the call, which is told how long the attributes are.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            how,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn limit(limits: &Limits) -> Result<(), Errno> {
    for (resource, most) in [
        (Resource::RLIMIT_AS, limits.memory),
        (Resource::RLIMIT_NOFILE, 1024),
        (Resource::RLIMIT_FSIZE, limits.file),
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_MEMLOCK, 0),
    ] {
        lower(resource, most, most)?;
    }
    // SIGXCPU says why it ends; SIGKILL a second later ends one that does not heed it.
    lower(Resource::RLIMIT_CPU, limits.processor, limits.processor + 1)
}

/// Leaves the files that an engine needs. What is of the first Landlock must hold; says whether all of it does.
fn leave_files(launch: &Launch) -> Result<bool, landlock::RulesetError> {
    let read = READ.iter().map(PathBuf::from);
    let read = read.chain(launch.read.iter().cloned());
    let read = read.chain([launch.program.clone()]);
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V5))?
        .handle_access(AccessNet::from_all(ABI::V4))?
        .scope(Scope::from_all(ABI::V6))?
        .create()?
        // Those that are not there are left out.
        .add_rules(path_beneath_rules(read, AccessFs::from_read(ABI::V1)))?
        .add_rules(path_beneath_rules(
            launch.write.iter(),
            AccessFs::from_all(ABI::V5),
        ))?
        .add_rules(path_beneath_rules(
            ["/dev/null"],
            AccessFs::from_file(ABI::V1),
        ))?;
    let status = rules.restrict_self()?;
    Ok(status.ruleset == RulesetStatus::FullyEnforced)
}

/// Calls that an engine has no use for, and that reach beyond it. They fail, as engines try some of them.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_bpf,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_load,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_pivot_root,
    libc::SYS_perf_event_open,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_ptrace,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    // It would leave the group that is ended at the deadline.
    libc::SYS_setsid,
    libc::SYS_setpgid,
];

fn refuse_calls() -> Result<(), String> {
    let program = calls().map_err(|error| error.to_string())?;
    apply_filter(&program).map_err(|error| error.to_string())
}

fn calls() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let unix = libc::AF_UNIX as u64;
    let is_network = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, unix)?;
    rules.insert(libc::SYS_socket, vec![SeccompRule::new(vec![is_network])?]);
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM as u32),
        ARCH.try_into()?,
    )?;
    filter.try_into()
}
