//! What somebody would try who has taken control of an inspector.

use std::{
    ffi::CString,
    fs::{self, File},
    hint::black_box,
    io,
    net::TcpStream,
};

use serde::{Deserialize, Serialize};

use super::super::wire::Answer;

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(in super::super) enum Misdeed {
    /// Nothing, which succeeds.
    None,
    Open,
    Create,
    Connect(u16),
    Execute,
    Trace(i32),
    LoadProgram,
    Fork,
    Signal(i32),
    Namespace,
    WriteElsewhere,
    MapCode,
    Memory,
    Loop,
    Panic,
    Abort,
    Garbage,
    Silence,
}

impl Misdeed {
    /// Tries it, and says what came of it.
    pub(in super::super) fn commit(self, _file: Option<File>) -> Answer {
        let outcome = match self.attempt() {
            Ok(()) => "done".to_owned(),
            Err(error) => format!("{:?}", error.raw_os_error()),
        };
        Answer::Unconfined(outcome)
    }

    fn attempt(self) -> io::Result<()> {
        match self {
            Self::None => Ok(()),
            Self::Open => File::open("/etc/hostname").map(drop),
            Self::Create => fs::write("/tmp/capture-inspector-was-here", "x"),
            Self::Connect(port) => TcpStream::connect(("127.0.0.1", port)).map(drop),
            Self::Execute => execute(),
            // SAFETY: of these calls none takes memory of this process.
            Self::Trace(process) => result(unsafe { libc::ptrace(libc::PTRACE_ATTACH, process) }),
            Self::LoadProgram => load_program(),
            // SAFETY: the child does nothing but end.
            Self::Fork => match unsafe { libc::fork() } {
                // SAFETY: as above.
                0 => unsafe { libc::_exit(0) },
                process => result(process.into()),
            },
            // SAFETY: plain numbers.
            Self::Signal(process) => result(unsafe { libc::kill(process, 0) }.into()),
            // SAFETY: plain numbers.
            Self::Namespace => result(unsafe { libc::unshare(libc::CLONE_NEWUSER) }.into()),
            Self::WriteElsewhere => {
                // SAFETY: one byte of a constant.
                result(unsafe { libc::write(1, b"x".as_ptr().cast(), 1) } as i64)
            }
            Self::MapCode => map_code(),
            Self::Memory => {
                let mut all = Vec::new();
                loop {
                    all.push(black_box(vec![1_u8; 1 << 20]));
                }
            }
            Self::Loop => loop {
                black_box(0);
            },
            Self::Panic => panic!("a secret"),
            Self::Abort => std::process::abort(),
            Self::Garbage => {
                // SAFETY: so many bytes of a constant.
                result(unsafe { libc::write(0, b"\x04\0\0\0}}}}".as_ptr().cast(), 8) } as i64)
            }
            Self::Silence => {
                // SAFETY: one byte of a constant: a part of a length.
                result(unsafe { libc::write(0, b"\x04".as_ptr().cast(), 1) } as i64)?;
                Self::Loop.attempt()
            }
        }
    }
}

fn result(returned: i64) -> io::Result<()> {
    match returned {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn execute() -> io::Result<()> {
    let program = CString::new("/bin/true").expect("a name");
    let arguments = [program.as_ptr(), std::ptr::null()];
    // SAFETY: both lists end with a null pointer, and live until the call.
    let returned = unsafe {
        libc::execve(
            program.as_ptr(),
            arguments.as_ptr(),
            [std::ptr::null()].as_ptr(),
        )
    };
    result(returned.into())
}

/// `BPF_MAP_CREATE` of an array of one number.
fn load_program() -> io::Result<()> {
    let attributes: [u32; 4] = [2, 4, 4, 1];
    // SAFETY: the attributes are as long as is said.
    result(unsafe { libc::syscall(libc::SYS_bpf, 0, attributes.as_ptr(), 16) })
}

fn map_code() -> io::Result<()> {
    let protection = libc::PROT_READ | libc::PROT_EXEC;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping, which nothing uses.
    let map = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, -1, 0) };
    result(map as i64)
}
