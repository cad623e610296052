//! What each process of the daemon gives up for good, beside capabilities ([`super::privileges`]): system calls by seccomp, files and
//! networks by Landlock, its memory for others. A call that is refused fails with EPERM, as libraries try some that they can do
//! without.

use std::{
    collections::BTreeMap,
    env::consts::ARCH,
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, NetPort, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus, Scope, path_beneath_rules,
};
use nix::sys::{
    prctl,
    resource::{Resource, setrlimit},
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter, apply_filter_all_threads,
};

use super::config::Config;

#[cfg(test)]
mod tests;

/// Rules by number of the call; a call without rules is meant whatever its arguments are.
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The newest Landlock that is made use of: signals by scope, kernel 6.12.
const LANDLOCK: ABI = ABI::V6;

/// What the daemon reads beside its own files: names of users and groups, time zones, certificates, itself and the machine.
const READ: &[&str] = &[
    "/etc",
    "/usr",
    "/lib",
    "/lib64",
    "/proc",
    "/sys",
    "/run/systemd/userdb",
    "/var/lib/sss/mc",
    "/dev/urandom",
];

/// What bpf(2) is asked for once everything is loaded: values of maps, links, and what a descriptor is.
const BPF_COMMANDS: [u64; 6] = [1, 2, 3, 4, 15, 28];

/// The supervisor, whose children inherit this.
pub(super) fn of_supervisor() -> Result<(), String> {
    keep_memory_private()?;
    // A loader is a child of it, so bpf(2) is not among these.
    let refused = anyway(&[
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_kexec_load,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_open_by_handle_at,
        libc::SYS_io_uring_setup,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_listen,
        libc::SYS_setuid,
        libc::SYS_setresuid,
        libc::SYS_setgid,
        libc::SYS_setresgid,
    ]);
    refuse(refused).map_err(|error| format!("system calls: {error}"))
}

/// A loader: the kernel's own descriptions of itself, and bpf(2).
pub(super) fn of_loader() -> Result<(), String> {
    let read = ["/sys", "/proc"].map(PathBuf::from);
    // Where the daemon lacks it, it has said so.
    let _ = leave_files(&read, &[], &[]);
    let calls = [MEMORY, THREADS, FILES_READ, TIME, OWN].concat();
    let mut allowed = anyway(&calls);
    allowed.extend(anyway(&[
        libc::SYS_bpf,
        libc::SYS_recvmsg,
        libc::SYS_recvfrom,
        libc::SYS_sendmsg,
        libc::SYS_setrlimit,
        libc::SYS_epoll_create1,
        libc::SYS_write,
        libc::SYS_writev,
    ]));
    allow_only(allowed).map_err(|error| format!("system calls: {error}"))
}

/// The daemon itself, before it opens anything. It has directories of its own; what it reads is there for all, or named in its
/// configuration.
///
/// Says what is missing of it here.
pub(super) fn of_daemon(config: &Config, file: Option<&Path>) -> Result<Vec<String>, String> {
    keep_memory_private()?;
    let paths = &config.paths;
    let mut write = vec![paths.captures.clone()];
    write.extend(
        [&paths.database, &paths.socket]
            .into_iter()
            .filter_map(|path| above(path)),
    );
    let mut read: Vec<_> = READ.iter().map(PathBuf::from).collect();
    read.extend(file.and_then(above));
    let tls = config.http.tls.iter().flat_map(|tls| [&tls.cert, &tls.key]);
    read.extend(tls.filter_map(|path| above(path)));
    let ports: Vec<_> = config
        .http
        .listen
        .iter()
        .map(|address| address.port())
        .collect();
    let missing = match leave_files(&read, &write, &ports) {
        Ok(true) => Vec::new(),
        Ok(false) => vec!["a part of Landlock".to_owned()],
        Err(error) => vec![format!("Landlock ({error})")],
    };
    let calls = of_daemon_calls().map_err(|error| error.to_string())?;
    allow_only(calls).map_err(|error| format!("system calls: {error}"))?;
    Ok(missing)
}

/// All threads of the daemon once it listens: nothing more to connect to, and no further socket of a network.
pub(super) fn of_serving_daemon() -> Result<(), String> {
    let to_networks = || -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
        [libc::AF_INET, libc::AF_INET6]
            .into_iter()
            .map(|family| one(0, SeccompCmpOp::Eq, family as u64))
            .collect()
    };
    let program = || -> Result<BpfProgram, seccompiler::BackendError> {
        let mut refused = anyway(&[libc::SYS_connect]);
        refused.insert(libc::SYS_socket, to_networks()?);
        filter(
            refused,
            SeccompAction::Allow,
            SeccompAction::Errno(libc::EPERM as u32),
        )
    };
    let program = program().map_err(|error| error.to_string())?;
    apply_filter_all_threads(&program).map_err(|error| format!("system calls: {error}"))
}

/// The directory of a file.
fn above(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    path.parent().map(Path::to_owned)
}

/// No other process of the same user can read this one's memory (ptrace(2)), and no core dump is written of it: there are packets and
/// tokens in it.
fn keep_memory_private() -> Result<(), String> {
    prctl::set_dumpable(false).map_err(|errno| format!("PR_SET_DUMPABLE: {errno}"))?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(|errno| format!("RLIMIT_CORE: {errno}"))
}

/// Leaves these files, to be read or written with all that is below, and these ports to listen on. Says whether the kernel knows all of
/// it.
fn leave_files(
    read: &[PathBuf],
    write: &[PathBuf],
    ports: &[u16],
) -> Result<bool, landlock::RulesetError> {
    let reading = AccessFs::from_read(LANDLOCK) & !AccessFs::Execute;
    let writing = AccessFs::from_all(LANDLOCK) & !AccessFs::Execute;
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::Signal)?
        .create()?
        .add_rules(path_beneath_rules(read, reading))?
        .add_rules(path_beneath_rules(
            ["/dev/null"],
            reading | AccessFs::WriteFile,
        ))?
        .add_rules(path_beneath_rules(write, writing))?;
    for port in ports {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
    }
    Ok(rules.restrict_self()?.ruleset == RulesetStatus::FullyEnforced)
}

/// Memory.
const MEMORY: &[libc::c_long] = &[
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_msync,
    libc::SYS_munmap,
    libc::SYS_membarrier,
    libc::SYS_memfd_create,
];

/// Threads, their signals and their end.
const THREADS: &[libc::c_long] = &[
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_get_robust_list,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_tid_address,
    libc::SYS_sigaltstack,
    libc::SYS_tgkill,
    libc::SYS_getcpu,
];

/// What this process is.
const OWN: &[libc::c_long] = &[
    libc::SYS_capget,
    libc::SYS_capset,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getgroups,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getpriority,
    libc::SYS_getresgid,
    libc::SYS_getresuid,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_prctl,
    libc::SYS_prlimit64,
    libc::SYS_seccomp,
    libc::SYS_sysinfo,
    libc::SYS_times,
    libc::SYS_uname,
    libc::SYS_getrandom,
];

/// Clocks and waiting.
const TIME: &[libc::c_long] = &[
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_gettime,
    libc::SYS_timerfd_settime,
];

/// Reading files. Which, says Landlock.
const FILES_READ: &[libc::c_long] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_fcntl,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_lseek,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_statfs,
    libc::SYS_statx,
];

/// Writing files.
const FILES_WRITTEN: &[libc::c_long] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_link,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mkdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rename,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rmdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
    libc::SYS_copy_file_range,
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_fdatasync,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_linkat,
    libc::SYS_mkdirat,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_sendfile,
    libc::SYS_sync_file_range,
    libc::SYS_truncate,
    libc::SYS_umask,
    libc::SYS_unlinkat,
    libc::SYS_utimensat,
    libc::SYS_write,
    libc::SYS_writev,
];

/// Sockets and waiting for them.
const SOCKETS: &[libc::c_long] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_ioctl,
    libc::SYS_listen,
    libc::SYS_pipe2,
    libc::SYS_ppoll,
    libc::SYS_recvfrom,
    libc::SYS_recvmmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_socketpair,
];

fn of_daemon_calls() -> Result<Rules, seccompiler::BackendError> {
    let groups = [
        MEMORY,
        THREADS,
        OWN,
        TIME,
        FILES_READ,
        FILES_WRITTEN,
        SOCKETS,
    ];
    let mut allowed = anyway(&groups.concat());
    let eq = |argument, value: u64| one(argument, SeccompCmpOp::Eq, value);
    // No code that was not there at the start.
    let no_code = || one(2, SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64), 0);
    allowed.insert(libc::SYS_mmap, vec![no_code()?]);
    allowed.insert(libc::SYS_mprotect, vec![no_code()?]);
    // Threads, and no processes.
    let thread = libc::CLONE_THREAD as u64;
    allowed.insert(
        libc::SYS_clone,
        vec![one(0, SeccompCmpOp::MaskedEq(thread), thread)?],
    );
    let families = [
        libc::AF_UNIX,
        libc::AF_INET,
        libc::AF_INET6,
        libc::AF_NETLINK,
    ];
    let families = families.into_iter().map(|family| eq(0, family as u64));
    allowed.insert(libc::SYS_socket, families.collect::<Result<_, _>>()?);
    let commands = BPF_COMMANDS.into_iter().map(|command| eq(0, command));
    allowed.insert(libc::SYS_bpf, commands.collect::<Result<_, _>>()?);
    let own = std::process::id().into();
    allowed.insert(libc::SYS_tgkill, vec![eq(0, own)?]);
    Ok(allowed)
}

fn anyway(calls: &[libc::c_long]) -> Rules {
    calls.iter().map(|call| (*call, Vec::new())).collect()
}

/// A rule about one argument of 32 bits.
fn one(
    argument: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompRule, seccompiler::BackendError> {
    let length = SeccompCmpArgLen::Dword;
    SeccompRule::new(vec![SeccompCondition::new(
        argument, length, operator, value,
    )?])
}

fn filter(
    rules: Rules,
    otherwise: SeccompAction,
    then: SeccompAction,
) -> Result<BpfProgram, seccompiler::BackendError> {
    SeccompFilter::new(rules, otherwise, then, ARCH.try_into()?)?.try_into()
}

/// Lets nothing but these calls through. clone3(2) is said not to be there, as its flags cannot be looked at; the C library then
/// uses clone(2).
fn allow_only(rules: Rules) -> Result<(), seccompiler::Error> {
    let refused = SeccompAction::Errno(libc::EPERM as u32);
    let allowed = filter(rules, refused, SeccompAction::Allow)?;
    let unknown = SeccompAction::Errno(libc::ENOSYS as u32);
    let clone3 = filter(anyway(&[libc::SYS_clone3]), SeccompAction::Allow, unknown)?;
    apply_filter(&allowed)?;
    apply_filter(&clone3)
}

fn refuse(rules: Rules) -> Result<(), seccompiler::Error> {
    let refused = SeccompAction::Errno(libc::EPERM as u32);
    apply_filter(&filter(rules, SeccompAction::Allow, refused)?)
}
