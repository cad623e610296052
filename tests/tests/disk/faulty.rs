//! A file system for the tests that fails as it is told: directories in memory, mounted through
//! `/dev/fuse`, whose writes, syncs and renames give an error, take fewer bytes than they were given, or
//! do not come back until the test says so. The kernel's side is real: what the agent gets are
//! the results of its own system calls, and what it has written is read through the same mount.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, SystemTime},
};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate,
    ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request,
    TimeOrNow, WriteFlags,
};
use tempfile::TempDir;

/// Nothing is cached: every system call is asked for.
const TTL: Duration = Duration::ZERO;

/// What the agent does to its files, one kind of request each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    /// write(2).
    Write,
    /// fsync(2) of a file.
    Sync,
    /// fsync(2) of the directory.
    SyncDirectory,
    /// rename(2).
    Rename,
    /// ftruncate(2).
    Truncate,
    /// close(2).
    Close,
}

/// What a request comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// This error.
    Error(i32),
    /// A write takes at most so many bytes.
    Short(usize),
    /// It does not come back before [`FaultyDisk::heal`], and then does what it should.
    Stall,
}

/// When.
#[derive(Clone, Copy, Debug)]
struct Rule {
    call: Call,
    /// From which request of the kind on, counted from 1.
    from: usize,
    fault: Fault,
}

/// A mounted disk, gone when dropped.
pub(crate) struct FaultyDisk {
    shared: Arc<Shared>,
    // In this order: the mount goes before its directory.
    session: Option<BackgroundSession>,
    directory: TempDir,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    healed: Condvar,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    asked: BTreeMap<Call, usize>,
    /// By directory and name.
    names: BTreeMap<(u64, OsString), u64>,
    files: BTreeMap<u64, Vec<u8>>,
    /// Besides the root.
    directories: BTreeSet<u64>,
    /// Inodes of files whose writes do not come back.
    holes: BTreeSet<u64>,
    /// Requests that do not come back.
    stalled: usize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request, and says what it comes to.
    fn ask(&self, call: Call) -> Option<Fault> {
        let mut state = self.lock();
        let asked = state.asked.entry(call).or_default();
        *asked += 1;
        let number = *asked;
        let mut rules = state.rules.iter();
        rules
            .find(|rule| rule.call == call && number >= rule.from)
            .map(|rule| rule.fault)
    }

    /// Waits, within a request, until the disk is healed.
    fn stall(&self) {
        let mut state = self.lock();
        state.stalled += 1;
        let stalls = |state: &mut State| {
            let mut rules = state.rules.iter();
            !state.holes.is_empty() || rules.any(|rule| rule.fault == Fault::Stall)
        };
        state = self
            .healed
            .wait_while(state, stalls)
            .unwrap_or_else(PoisonError::into_inner);
        state.stalled -= 1;
    }

    /// Answers a request with nothing to give but whether it worked.
    fn answer(
        self: &Arc<Self>,
        call: Call,
        reply: ReplyEmpty,
        act: impl FnOnce(&mut State) -> bool,
    ) {
        match self.ask(call) {
            Some(Fault::Error(code)) => return reply.error(Errno::from_i32(code)),
            Some(Fault::Stall) => {
                // The other requests go on.
                let shared = Arc::clone(self);
                act(&mut self.lock());
                thread::spawn(move || {
                    shared.stall();
                    reply.ok();
                });
                return;
            }
            Some(Fault::Short(_)) | None => {}
        }
        match act(&mut self.lock()) {
            true => reply.ok(),
            false => reply.error(Errno::ENOENT),
        }
    }
}

impl FaultyDisk {
    /// Mounts a disk without faults. An error where the machine has no FUSE.
    pub(crate) fn new() -> Result<Self, &'static str> {
        if !Path::new("/dev/fuse").exists() {
            return Err("this machine has no /dev/fuse");
        }
        let directory = tempfile::tempdir().expect("a directory");
        let shared = Arc::new(Shared::default());
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("faulty".to_owned())];
        let mounted = fuser::spawn_mount(Requests(Arc::clone(&shared)), directory.path(), &config);
        let session = mounted.expect("root may mount a file system of its own");
        Ok(Self {
            shared,
            session: Some(session),
            directory,
        })
    }

    /// A disk whose requests of this kind, from this one on (counted from 1), come to this.
    pub(crate) fn with(call: Call, from: usize, fault: Fault) -> Result<Self, &'static str> {
        let disk = Self::new()?;
        disk.fail(call, from, fault);
        Ok(disk)
    }

    /// Adds a fault: requests of this kind, from this one on (counted from 1).
    pub(crate) fn fail(&self, call: Call, from: usize, fault: Fault) {
        self.shared.lock().rules.push(Rule { call, from, fault });
    }

    /// Writes to this file do not come back from now on, those to others do.
    pub(crate) fn stall_writes_to(&self, path: &Path) {
        let metadata = path.metadata().expect("the file is there");
        self.shared.lock().holes.insert(metadata.ino());
    }

    /// Takes all faults back; what was stalled goes on.
    pub(crate) fn heal(&self) {
        let mut state = self.shared.lock();
        state.rules.clear();
        state.holes.clear();
        drop(state);
        self.shared.healed.notify_all();
    }

    /// How many requests of this kind there were.
    pub(crate) fn asked(&self, call: Call) -> usize {
        self.shared.lock().asked.get(&call).copied().unwrap_or(0)
    }

    /// How many requests do not come back at the moment.
    pub(crate) fn stalled(&self) -> usize {
        self.shared.lock().stalled
    }

    /// The path of a file on it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The names of its files, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let state = self.shared.lock();
        let names = state.entries(INodeNo::ROOT.0);
        names
            .map(|(name, _)| name.to_string_lossy().into_owned())
            .collect()
    }
}

impl Drop for FaultyDisk {
    fn drop(&mut self) {
        self.heal();
        if let Some(session) = self.session.take()
            && let Err(error) = session.umount_and_join()
        {
            eprintln!("{}: {error}", self.directory.path().display());
        }
    }
}

/// The kernel's requests.
struct Requests(Arc<Shared>);

impl State {
    fn attributes(&self, inode: u64) -> Option<FileAttr> {
        let is_directory = inode == INodeNo::ROOT.0 || self.directories.contains(&inode);
        let size = match is_directory {
            true => 0,
            false => self.files.get(&inode)?.len() as u64,
        };
        let then = SystemTime::UNIX_EPOCH;
        Some(FileAttr {
            ino: INodeNo(inode),
            size,
            blocks: size.div_ceil(512),
            atime: then,
            mtime: then,
            ctime: then,
            crtime: then,
            kind: if is_directory {
                FileType::Directory
            } else {
                FileType::RegularFile
            },
            perm: if is_directory { 0o700 } else { 0o600 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }

    fn named(&self, parent: INodeNo, name: &OsStr) -> Option<FileAttr> {
        self.attributes(*self.names.get(&(parent.0, name.to_owned()))?)
    }

    /// What is in a directory, sorted.
    fn entries(&self, directory: u64) -> impl Iterator<Item = (&OsString, u64)> {
        let all = self.names.iter();
        all.filter(move |((parent, _), _)| *parent == directory)
            .map(|((_, name), inode)| (name, *inode))
    }

    /// A name for an inode that is new.
    fn link(&mut self, parent: INodeNo, name: &OsStr) -> u64 {
        let [files, directories] = [self.files.keys().max(), self.directories.iter().max()];
        let inode = files.max(directories).map_or(INodeNo::ROOT.0, |last| *last) + 1;
        self.names.insert((parent.0, name.to_owned()), inode);
        inode
    }

    fn write(&mut self, inode: u64, offset: u64, data: &[u8]) -> bool {
        let Some(file) = self.files.get_mut(&inode) else {
            return false;
        };
        let end = offset as usize + data.len();
        if file.len() < end {
            file.resize(end, 0);
        }
        file[offset as usize..end].copy_from_slice(data);
        true
    }
}

impl Filesystem for Requests {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.0.lock().named(parent, name) {
            Some(attributes) => reply.entry(&TTL, &attributes, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.0.lock().attributes(inode.0) {
            Some(attributes) => reply.attr(&TTL, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        inode: INodeNo,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        if let Some(size) = size {
            if let Some(Fault::Error(code)) = self.0.ask(Call::Truncate) {
                return reply.error(Errno::from_i32(code));
            }
            if let Some(file) = self.0.lock().files.get_mut(&inode.0) {
                file.resize(size as usize, 0);
            }
        }
        match self.0.lock().attributes(inode.0) {
            Some(attributes) => reply.attr(&TTL, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        let mut state = self.0.lock();
        let inode = state.link(parent, name);
        state.directories.insert(inode);
        match state.attributes(inode) {
            Some(attributes) => reply.entry(&TTL, &attributes, Generation(0)),
            None => reply.error(Errno::EIO),
        }
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _: u32,
        _: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let mut state = self.0.lock();
        let inode = state.link(parent, name);
        state.files.insert(inode, Vec::new());
        match state.attributes(inode) {
            Some(attributes) => reply.created(
                &TTL,
                &attributes,
                Generation(0),
                FileHandle(inode),
                // Every write(2) is a request of its own, and gets that request's result.
                FopenFlags::FOPEN_DIRECT_IO,
            ),
            None => reply.error(Errno::EIO),
        }
    }

    fn open(&self, _: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(inode.0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let state = self.0.lock();
        let Some(file) = state.files.get(&inode.0) else {
            return reply.error(Errno::ENOENT);
        };
        let start = file.len().min(offset as usize);
        let end = file.len().min(start + size as usize);
        reply.data(&file[start..end]);
    }

    fn write(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut data = data;
        let is_hole = self.0.lock().holes.contains(&inode.0);
        match self.0.ask(Call::Write).or(is_hole.then_some(Fault::Stall)) {
            Some(Fault::Error(code)) => return reply.error(Errno::from_i32(code)),
            Some(Fault::Short(most)) => data = &data[..data.len().min(most)],
            Some(Fault::Stall) => {
                let (shared, data) = (Arc::clone(&self.0), data.to_owned());
                thread::spawn(move || {
                    shared.stall();
                    shared.lock().write(inode.0, offset, &data);
                    reply.written(data.len() as u32);
                });
                return;
            }
            None => {}
        }
        match self.0.lock().write(inode.0, offset, data) {
            true => reply.written(data.len() as u32),
            false => reply.error(Errno::ENOENT),
        }
    }

    /// Room for everything: a full disk is an error of a write here.
    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let blocks = 1 << 28;
        reply.statfs(blocks, blocks, blocks, 1 << 20, 1 << 20, 4096, 255, 4096);
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        self.0.answer(Call::Close, reply, |_| true);
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.0.answer(Call::Sync, reply, |_| true);
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.0.answer(Call::SyncDirectory, reply, |_| true);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        self.0.answer(Call::Rename, reply, |state| {
            let inode = state.names.remove(&(parent.0, name.to_owned()));
            let new = (new_parent.0, new.to_owned());
            inode.map(|inode| state.names.insert(new, inode)).is_some()
        });
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = (parent.0, name.to_owned());
        match self.0.lock().names.remove(&name) {
            Some(_) => reply.ok(),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn readdir(
        &self,
        _: &Request,
        directory: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let state = self.0.lock();
        let entries = state.entries(directory.0).enumerate();
        for (index, (name, inode)) in entries.skip(offset as usize) {
            let next = index as u64 + 1;
            let kind = match state.directories.contains(&inode) {
                true => FileType::Directory,
                false => FileType::RegularFile,
            };
            if reply.add(INodeNo(inode), next, kind, name) {
                break;
            }
        }
        reply.ok();
    }
}
