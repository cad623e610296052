//! The system calls of a confined process: those that reading open files, memory and an orderly end take. Any other ends
//! it at once, whatever its arguments are.

use std::{collections::BTreeMap, env::consts::ARCH};

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, apply_filter,
};

/// Calls with any arguments: none of these reaches beyond the process and its descriptors.
const ANY: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_sched_yield,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Installs the filter, for good.
pub(super) fn confine() -> Result<(), String> {
    let program = program().map_err(|error| error.to_string())?;
    apply_filter(&program).map_err(|error| error.to_string())
}

fn program() -> Result<BpfProgram, BackendError> {
    let no_execution = || one(2, SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64), 0);
    let own = u64::from(std::process::id());
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ANY.iter().map(|call| (*call, Vec::new())).collect();
    // Memory, but no code.
    rules.insert(libc::SYS_mmap, vec![no_execution()?]);
    rules.insert(libc::SYS_mprotect, vec![no_execution()?]);
    // The socket takes answers and gives descriptors; stderr is a pipe.
    let to_socket = || one(0, SeccompCmpOp::Eq, libc::STDIN_FILENO as u64);
    let to_stderr = || one(0, SeccompCmpOp::Eq, libc::STDERR_FILENO as u64);
    rules.insert(libc::SYS_recvmsg, vec![to_socket()?]);
    rules.insert(libc::SYS_recvfrom, vec![to_socket()?]);
    rules.insert(libc::SYS_write, vec![to_socket()?, to_stderr()?]);
    // What the standard library writes to sockets with, and to nobody but the other end.
    let to_other_end = SeccompRule::new(vec![
        argument(0, SeccompCmpOp::Eq, libc::STDIN_FILENO as u64)?,
        SeccompCondition::new(4, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)?,
    ])?;
    rules.insert(libc::SYS_sendto, vec![to_other_end]);
    rules.insert(libc::SYS_writev, vec![to_stderr()?]);
    // The standard library asserts that a descriptor is open before it closes it, where assertions are on.
    let is_open = one(1, SeccompCmpOp::Eq, libc::F_GETFD as u64)?;
    rules.insert(libc::SYS_fcntl, vec![is_open]);
    // abort(3) signals its own process.
    rules.insert(libc::SYS_tgkill, vec![one(0, SeccompCmpOp::Eq, own)?]);
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::KillProcess,
        SeccompAction::Allow,
        ARCH.try_into()?,
    )?;
    filter.try_into()
}

/// A rule about one argument.
fn one(number: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![argument(number, operator, value)?])
}

/// A condition on an argument that the kernel takes as 32 bits.
fn argument(
    number: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(number, SeccompCmpArgLen::Dword, operator, value)
}
