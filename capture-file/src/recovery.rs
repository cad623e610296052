//! Recovery of a `.part` whose writer was killed: it is cut back to its last whole record and renamed to
//! `STEM_interrupted.EXT`. The contents are read once, front to back, and not trusted. A capture recovers the
//! `.part` of its own name; others are left for `recover`.

use std::{
    fmt, fs,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use capture_task::printable;
use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, RenameFlags, renameat2},
};

use super::path::{lock, sync_directory, with_suffix};

/// A recovered `.part`; [`fmt::Display`] says so in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredFile {
    /// Its old name.
    pub part: PathBuf,
    /// Its new name; `None` if it was removed, as not even its header was whole.
    pub path: Option<PathBuf>,
    /// Packets in it.
    pub packets: u64,
    /// Bytes kept of these packets.
    pub bytes: u64,
    /// Its size now.
    pub size: u64,
    /// Bytes of a partial record that were cut off.
    pub cut: u64,
}

impl fmt::Display for RecoveredFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            part,
            path,
            packets,
            bytes: _,
            size: _,
            cut,
        } = self;
        let part = printable(&part.to_string_lossy());
        match path {
            Some(path) => {
                write!(
                    f,
                    "{part} was left by an interrupted capture: its {packets} packets are now in {}",
                    printable(&path.to_string_lossy())
                )?;
                match cut {
                    0 => Ok(()),
                    _ => write!(f, ", {cut} bytes of a torn record were cut off"),
                }
            }
            None => write!(
                f,
                "{part} was left by an interrupted capture, empty, and is removed"
            ),
        }
    }
}

/// The whole records of a capture file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Bytes up to the end of the last whole record; 0 if not even the header is whole.
    pub size: u64,
    /// Packets in them.
    pub packets: u64,
    /// Bytes kept of these packets.
    pub bytes: u64,
}

/// Recovers `NAME.part` (or any path) as `STEM_interrupted.EXT`, or `STEM_interrupted_N.EXT` where
/// that exists.
///
/// # Errors
/// `WouldBlock` if a process is writing it, `InvalidData` if it is not a capture file (it is then left alone),
/// `NotFound`, and errors of the file system.
pub fn recover(part: &Path) -> io::Result<RecoveredFile> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(part)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is not a regular file",
        ));
    }
    if !lock(&file, part)? {
        return Err(io::ErrorKind::NotFound.into());
    }
    let Scan {
        size,
        packets,
        bytes,
    } = scan(&file)?;
    let cut = metadata.len().saturating_sub(size);
    if size == 0 {
        fs::remove_file(part)?;
        return Ok(RecoveredFile {
            part: part.to_owned(),
            path: None,
            packets,
            bytes,
            size,
            cut,
        });
    }
    if cut > 0 {
        file.set_len(size)?;
        // Keeps the time of the capture's last write. Not worth failing for.
        let _ = metadata.modified().and_then(|at| file.set_modified(at));
    }
    file.sync_all()?;
    let path = rename_to_free_name(part)?;
    sync_directory(&path)?;
    Ok(RecoveredFile {
        part: part.to_owned(),
        path: Some(path),
        packets,
        bytes,
        size,
        cut,
    })
}

/// Renames it to the first free name; two recoveries at once never take the same one.
fn rename_to_free_name(part: &Path) -> io::Result<PathBuf> {
    let name = match part.extension() {
        Some(extension) if extension == "part" => part.with_extension(""),
        _ => part.to_owned(),
    };
    let mut n = 1_u64;
    loop {
        let suffix = if n == 1 {
            "interrupted".to_owned()
        } else {
            format!("interrupted_{n}")
        };
        let candidate = with_suffix(&name, &suffix);
        let flags = RenameFlags::RENAME_NOREPLACE;
        let renamed = match renameat2(AT_FDCWD, part, AT_FDCWD, &candidate, flags) {
            // Some file systems do not support the flag.
            Err(Errno::EINVAL | Errno::ENOSYS) => rename_to_reserved(part, &candidate),
            renamed => renamed.map_err(io::Error::from),
        };
        match renamed {
            Ok(()) => return Ok(candidate),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => n += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Reserves the name with an empty file, which the rename then replaces.
fn rename_to_reserved(part: &Path, name: &Path) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(name)?;
    fs::rename(part, name)
}

/// The `.part`s of captures in a directory that no process has locked. They are not locked here either, as even a
/// short lock could make a capture fail that starts just then.
pub fn leftovers(directory: &Path) -> Vec<PathBuf> {
    // `1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF`; without it there is no way to tell which are in use.
    let Ok(locks) = fs::read_to_string("/proc/locks") else {
        return Vec::new();
    };
    // By the inode alone, as on some file systems stat(2) reports another device.
    let is_locked = |inode: u64| {
        let mut fields = locks.split_whitespace();
        fields.any(|field| field.ends_with(&format!(":{inode}")))
    };
    let listed = match directory {
        empty if empty == Path::new("") => Path::new("."),
        other => other,
    };
    let mut left: Vec<_> = fs::read_dir(listed)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| Path::new(&entry.file_name()).extension() == Some("part".as_ref()))
        .map(|entry| directory.join(entry.file_name()))
        .filter(|path| is_capture(path).is_some_and(|inode| !is_locked(inode)))
        .collect();
    left.sort();
    left
}

/// The inode of a regular file with the magic number of a capture file.
fn is_capture(path: &Path) -> Option<u64> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
        .ok()?;
    let metadata = file.metadata().ok()?;
    let mut magic = [0; 4];
    let begins = metadata.is_file() && file.read_exact_at(&mut magic, 0).is_ok();
    (begins && Magic::of(magic).is_some()).then(|| metadata.ino())
}

/// The magic number of a capture file.
enum Magic {
    Pcapng,
    /// With byte order and time units a second.
    Pcap(Order, u32),
}

impl Magic {
    fn of(bytes: [u8; 4]) -> Option<Self> {
        Some(match bytes {
            [0x0a, 0x0d, 0x0d, 0x0a] => Self::Pcapng,
            [0xd4, 0xc3, 0xb2, 0xa1] => Self::Pcap(Order::Little, 1_000_000),
            [0x4d, 0x3c, 0xb2, 0xa1] => Self::Pcap(Order::Little, 1_000_000_000),
            [0xa1, 0xb2, 0xc3, 0xd4] => Self::Pcap(Order::Big, 1_000_000),
            [0xa1, 0xb2, 0x3c, 0x4d] => Self::Pcap(Order::Big, 1_000_000_000),
            _ => return None,
        })
    }
}

/// Finds the end of the last whole record, of either format in either byte order.
///
/// # Errors
/// `InvalidData` if the file has not the magic number of a capture file.
pub fn scan(file: &File) -> io::Result<Scan> {
    let size = file.metadata()?.len();
    let mut window = ReadWindow {
        file,
        size,
        start: 0,
        data: Vec::new(),
    };
    let Some(&magic) = window.at(0, 4)?.and_then(<[u8]>::first_chunk) else {
        return Ok(Scan::default());
    };
    match Magic::of(magic) {
        Some(Magic::Pcapng) => scan_pcapng(&mut window),
        Some(Magic::Pcap(order, units)) => scan_pcap(&mut window, order, units),
        None => Err(not_a_capture()),
    }
}

fn not_a_capture() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "it is not a capture file; move it away",
    )
}

/// A buffer that moves forward through the file. Small records cost no system call each, and lengths that are
/// claimed in the file cost no memory.
struct ReadWindow<'a> {
    file: &'a File,
    size: u64,
    start: u64,
    data: Vec<u8>,
}

const WINDOW_LEN: usize = 1 << 18;

impl ReadWindow<'_> {
    /// `len` (a few) bytes at an offset, or `None` if the file ends before.
    fn at(&mut self, offset: u64, len: usize) -> io::Result<Option<&[u8]>> {
        let end = offset.saturating_add(len as u64);
        if end > self.size {
            return Ok(None);
        }
        if offset < self.start || end > self.start + self.data.len() as u64 {
            self.data.resize(WINDOW_LEN.max(len), 0);
            let mut filled = 0;
            while filled < len {
                match self
                    .file
                    .read_at(&mut self.data[filled..], offset + filled as u64)
                {
                    // The file shrank meanwhile.
                    Ok(0) => {
                        self.size = offset + filled as u64;
                        self.data.truncate(filled);
                        self.start = offset;
                        return Ok(None);
                    }
                    Ok(n) => filled += n,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            self.data.truncate(filled);
            self.start = offset;
        }
        let from = (offset - self.start) as usize;
        Ok(self.data.get(from..from + len))
    }
}

#[derive(Clone, Copy, Debug)]
enum Order {
    Little,
    Big,
}

impl Order {
    /// The 32-bit word at an index.
    fn word(self, data: &[u8], index: usize) -> u32 {
        let bytes = data.get(4 * index..).and_then(|rest| rest.first_chunk());
        match (self, bytes) {
            (_, None) => 0,
            (Self::Little, Some(bytes)) => u32::from_le_bytes(*bytes),
            (Self::Big, Some(bytes)) => u32::from_be_bytes(*bytes),
        }
    }
}

/// Records of 16 bytes and the packet, after a header of 24.
fn scan_pcap(window: &mut ReadWindow<'_>, order: Order, fraction_limit: u32) -> io::Result<Scan> {
    let mut scan = Scan::default();
    if window.at(0, 24)?.is_none() {
        return Ok(scan);
    }
    scan.size = 24;
    while let Some(header) = window.at(scan.size, 16)? {
        let [seconds, fraction, kept, original] = [0, 1, 2, 3].map(|i| order.word(header, i));
        // After a power failure the end of a file can read as zeros, which would pass for packets.
        let nothing = seconds == 0 && fraction == 0 && kept == 0 && original == 0;
        let end = scan.size + 16 + u64::from(kept);
        if nothing || fraction >= fraction_limit || end > window.size {
            break;
        }
        scan.size = end;
        scan.packets += 1;
        scan.bytes += u64::from(kept);
    }
    Ok(scan)
}

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Blocks that carry their length at both ends.
fn scan_pcapng(window: &mut ReadWindow<'_>) -> io::Result<Scan> {
    let mut scan = Scan::default();
    let mut order = Order::Little;
    let mut interfaces = 0_u32;
    while let Some(head) = window.at(scan.size, 12)? {
        // The type of a section header reads the same in both orders.
        let is_section = order.word(head, 0) == SECTION_HEADER;
        if is_section {
            order = match head[8..] {
                [0x4d, 0x3c, 0x2b, 0x1a] => Order::Little,
                [0x1a, 0x2b, 0x3c, 0x4d] => Order::Big,
                _ if scan.size == 0 => return Err(not_a_capture()),
                _ => break,
            };
            interfaces = 0;
        }
        let [kind, len] = [0, 1].map(|i| order.word(head, i));
        let least = match kind {
            SECTION_HEADER => 28,
            INTERFACE_DESCRIPTION => 20,
            ENHANCED_PACKET | PACKET => 32,
            SIMPLE_PACKET => 16,
            _ => 12,
        };
        let end = scan.size + u64::from(len);
        let mut bytes = 0;
        if len < least || len % 4 != 0 || end > window.size {
            break;
        }
        match kind {
            INTERFACE_DESCRIPTION => interfaces = interfaces.saturating_add(1),
            ENHANCED_PACKET => {
                let Some(head) = window.at(scan.size, 28)? else {
                    break;
                };
                let [interface, kept] = [2, 5].map(|i| order.word(head, i));
                if interface >= interfaces || u64::from(kept) + 32 > u64::from(len) {
                    break;
                }
                bytes = u64::from(kept);
            }
            _ => {}
        }
        match window.at(end - 4, 4)? {
            Some(again) if order.word(again, 0) == len => {}
            _ => break,
        }
        if matches!(kind, ENHANCED_PACKET | SIMPLE_PACKET | PACKET) {
            scan.packets += 1;
            // Not known of the packet blocks that captures of this agent do not have.
            scan.bytes += bytes;
        }
        scan.size = end;
    }
    Ok(scan)
}
