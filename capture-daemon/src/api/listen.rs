//! The listening sockets. The Unix socket has its mode and group before anybody can connect, and never replaces
//! that of a running daemon. TCP is optional, with TLS unless on loopback.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener as StdTcpListener},
    os::fd::AsRawFd as _,
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown},
        net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use capture_file::open_failure;
use capture_store::ownership::why_denied;
use capture_task::Cause;
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

use super::tls::{self, Certificate};
use crate::{
    config::{Config, Tls},
    error::{Error, Result},
};

/// The sockets that are open.
#[derive(Debug)]
pub(super) struct Sockets {
    unix: Option<StdUnixListener>,
    path: PathBuf,
    /// Device and inode of the socket's file, by which it is known to be ours.
    file: (u64, u64),
    tcp: Option<StdTcpListener>,
    addresses: Vec<SocketAddr>,
    certificate: Option<Arc<Certificate>>,
}

/// Listeners as the runtime has them.
pub(super) type Listeners = (UnixListener, Vec<(TcpListener, Option<TlsAcceptor>)>);

impl Sockets {
    /// Opens all that the configuration names. The Unix socket is for the members of group `gid`.
    pub(super) fn open(config: &Config, gid: Option<u32>) -> Result<Self> {
        let certificate = match &config.http.tls {
            Some(tls) => Some(Certificate::load(&tls.cert, &tls.key)?),
            None => None,
        };
        let tcp = match config.http.listen {
            Some(address) => Some(open_tcp(address, certificate.is_some())?),
            None => None,
        };
        let addresses = tcp.iter().filter_map(|tcp| tcp.local_addr().ok()).collect();
        let path = config.paths.socket.clone();
        let at_path = |error: io::Error| {
            let why = why_denied(&path, &error);
            Error::runtime(format!(
                "{}: {}{why}",
                path.display(),
                open_failure(&path, &error)
            ))
        };
        clear(&path)?;
        let unix = open_unix(&path, gid).map_err(at_path)?;
        let metadata = fs::symlink_metadata(&path).map_err(at_path)?;
        Ok(Self {
            unix: Some(unix),
            file: (metadata.dev(), metadata.ino()),
            path,
            tcp,
            addresses,
            certificate,
        })
    }

    /// The listeners, once.
    pub(super) fn listeners(&mut self) -> Result<Listeners> {
        let failed = |error: io::Error| Error::runtime(format!("cannot listen: {}", Cause(&error)));
        let Some(unix) = self.unix.take() else {
            return Err(Error::runtime("the sockets are in use already"));
        };
        unix.set_nonblocking(true).map_err(failed)?;
        let unix = UnixListener::from_std(unix).map_err(failed)?;
        let mut listeners = Vec::new();
        if let Some(tcp) = self.tcp.take() {
            tcp.set_nonblocking(true).map_err(failed)?;
            let acceptor = self.certificate.as_ref().map(Certificate::acceptor);
            let tcp = TcpListener::from_std(tcp).map_err(failed)?;
            listeners.push((tcp, acceptor.transpose()?));
        }
        Ok((unix, listeners))
    }

    /// Takes over a new certificate and group, or on an error neither.
    pub(super) fn reload(&self, config: &Config, gid: Option<u32>) -> Result<()> {
        let with_files = self.certificate.as_ref().zip(config.http.tls.as_ref());
        let fresh = with_files.map(|(certificate, Tls { cert, key })| {
            tls::pair(cert, key).map(|fresh| (certificate, fresh))
        });
        let fresh = fresh.transpose()?;
        match give_to(&self.path, gid) {
            // The rest of the configuration has nothing to do with it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => log::error!(
                "{} was removed, and nobody can connect there; restart the daemon",
                self.path.display()
            ),
            given => given.map_err(|error| {
                Error::runtime(format!("{}: {}", self.path.display(), Cause(&error)))
            })?,
        }
        // Last, as nothing can go wrong with it any more.
        if let Some((certificate, fresh)) = fresh {
            certificate.set(fresh);
        }
        Ok(())
    }

    /// What TLS shows.
    pub(super) fn certificate(&self) -> Option<Arc<Certificate>> {
        self.certificate.clone()
    }

    /// Where it listens for TCP.
    pub(super) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Removes the socket's file, if it still is ours.
    pub(super) fn close(self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.file);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            log::warn!("{}: {error}", self.path.display());
        }
    }
}

fn open_tcp(address: SocketAddr, has_tls: bool) -> Result<StdTcpListener> {
    // The configuration says so too; what it costs to be wrong here is worth a second look.
    if !has_tls && !address.ip().is_loopback() {
        return Err(Error::usage(format!(
            "http.listen: {address} is no loopback address, and without TLS tokens would cross the network in the open"
        )));
    }
    StdTcpListener::bind(address)
        .map_err(|error| Error::runtime(format!("cannot listen on {address}: {}", Cause(&error))))
}

/// Makes the way free for a new socket: a file that a daemon left behind goes, one that a daemon still
/// listens on, and what is no socket at all, stays.
fn clear(path: &Path) -> Result<()> {
    let shown = path.display();
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::runtime(format!("{shown}: {}", Cause(&error)))),
        Ok(metadata) if !metadata.file_type().is_socket() => Err(Error::conflict(format!(
            "{shown} is there and is no socket; remove it, or name another path as `paths.socket`"
        ))),
        Ok(_) => match StdUnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            Err(error) => Err(Error::runtime(format!("{shown}: {}", Cause(&error)))),
            Ok(_) => Err(Error::conflict(format!(
                "another daemon answers on {shown}; stop it first, or name another path as `paths.socket`"
            ))),
        },
    }
}

/// Binds beside the path, sets mode and group, and moves the socket to its place: nobody can connect
/// to it before it is as it should be.
fn open_unix(path: &Path, gid: Option<u32>) -> io::Result<StdUnixListener> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let directory = fs::File::open(directory)?;
    // By way of the directory's descriptor, as the path of a socket may not be much longer than the one that it gets.
    let beside = format!(
        "/proc/self/fd/{}/.api.sock.{}",
        directory.as_raw_fd(),
        std::process::id()
    );
    let beside = PathBuf::from(beside);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = StdUnixListener::bind(&beside)?;
    let placed = give_to(&beside, gid).and_then(|()| fs::rename(&beside, path));
    if let Err(error) = placed {
        // It is of no use to anybody.
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    Ok(listener)
}

/// Lets the owner and the group connect; the owner alone, where there is no group, or where it is not
/// ours to give the socket to.
fn give_to(path: &Path, gid: Option<u32>) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    let Some(gid) = gid else {
        return Ok(());
    };
    match chown(path, None, Some(gid)) {
        Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(0o660)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            log::warn!(
                "{} cannot be given to the group {gid}: the daemon's user is no member of it",
                path.display()
            );
            Ok(())
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn the_socket_has_its_mode_and_replaces_what_was_left() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("run/api.sock");
        let gid = nix::unistd::getegid().as_raw();
        drop(open_unix(&path, Some(gid)).expect("a socket"));
        clear(&path).expect("nobody listens");
        let _listener = open_unix(&path, None).expect("a socket in its place");
        let mode = fs::metadata(&path).expect("it is there").mode();
        assert_eq!(mode & 0o777, 0o600);
        give_to(&path, Some(gid)).expect("it is ours");
        let metadata = fs::metadata(&path).expect("it is there");
        assert_eq!((metadata.mode() & 0o777, metadata.gid()), (0o660, gid));
        let names = fs::read_dir(path.parent().expect("a parent")).expect("readable");
        assert_eq!(names.count(), 1, "nothing is left beside it");
    }

    #[test]
    fn the_longest_path_that_a_client_can_connect_to_is_one_to_listen_on() {
        let directory = tempfile::tempdir().expect("a directory");
        let name = |length: usize| {
            let taken = directory.path().as_os_str().len() + 1;
            directory.path().join("s".repeat(length - taken))
        };
        let path = name(107);
        let _listener = open_unix(&path, None).expect("a socket");
        StdUnixStream::connect(&path).expect("it can be connected to");
        let names = fs::read_dir(directory.path()).expect("readable");
        assert_eq!(names.count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_daemon_that_lives_and_a_file_are_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("api.sock");
        let _listener = open_unix(&path, None).expect("a socket");
        assert_eq!(
            clear(&path).expect_err("it answers").kind,
            ErrorKind::Conflict
        );
        let file = directory.path().join("file");
        fs::write(&file, "precious").expect("written");
        assert_eq!(
            clear(&file).expect_err("no socket").kind,
            ErrorKind::Conflict
        );
    }

    #[test]
    fn without_tls_only_loopback() {
        let any = "0.0.0.0:0".parse().expect("an address");
        assert_eq!(
            open_tcp(any, false).expect_err("no TLS").kind,
            ErrorKind::Usage
        );
        let loopback = "127.0.0.1:0".parse().expect("an address");
        open_tcp(loopback, false).expect("it stays on this machine");
    }
}
