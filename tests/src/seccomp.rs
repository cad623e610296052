//! A seccomp filter as a container runtime puts one on a process: it answers a system call itself, with an error.

use std::{io, os::unix::process::CommandExt as _, process::Command};

/// Has bpf(2) fail with this error in a program that is about to be started, and in all that it starts.
pub fn deny_bpf(command: &mut Command, errno: i32) {
    deny(command, libc::SYS_bpf, errno);
}

/// The same of another system call.
pub fn deny(command: &mut Command, call: libc::c_long, errno: i32) {
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let answer = (libc::BPF_RET | libc::BPF_K) as u16;
    let instruction = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    // The number of the call is the first word of `struct seccomp_data`. Programs of other architectures, whose
    // numbers differ, are not started here.
    let mut filter = [
        instruction(load, 0, 0, 0),
        instruction(equal, 0, 1, call as u32),
        instruction(answer, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32),
        instruction(answer, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let install = move || {
        let program = libc::sock_fprog {
            len: filter.len() as u16,
            filter: filter.as_mut_ptr(),
        };
        // SAFETY: `program` and the instructions that it points to outlive the call. Root needs no `no_new_privs`.
        let result = unsafe {
            libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const program,
            )
        };
        match result {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: between fork and exec it only makes a system call, and allocates nothing.
    unsafe { command.pre_exec(install) };
}
