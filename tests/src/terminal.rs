//! Pseudo terminals.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::{
    fcntl::{self, OFlag},
    pty::{Winsize, grantpt, posix_openpt, ptsname_r, unlockpt},
    sys::stat::Mode,
};

nix::ioctl_write_ptr_bad!(
    /// Gives a terminal its size, in characters.
    set_size, libc::TIOCSWINSZ, Winsize);

/// Both ends of a pseudo terminal. Programs that other tests start meanwhile do not inherit them, as they would from `openpty`.
pub struct PseudoTerminal {
    /// The end of who sits in front of it.
    pub master: OwnedFd,
    /// The end that a program has as its standard streams.
    pub slave: OwnedFd,
}

impl PseudoTerminal {
    /// A terminal of no size.
    pub fn open() -> Self {
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let master = posix_openpt(flags).expect("a pseudo terminal");
        grantpt(&master).expect("it is ours");
        unlockpt(&master).expect("it is ours");
        let name = ptsname_r(&master).expect("it has a name");
        let slave = fcntl::open(name.as_str(), flags, Mode::empty()).expect("its other end");
        let master = master.as_fd().try_clone_to_owned().expect("a descriptor");
        Self { master, slave }
    }

    /// A terminal of this size.
    pub fn with_size(rows: u16, columns: u16) -> Self {
        let terminal = Self::open();
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // SAFETY: the descriptor is open, and the size outlives the call.
        unsafe { set_size(terminal.slave.as_raw_fd(), &raw const size) }.expect("a terminal");
        terminal
    }
}
