//! Messages between the two processes: a length in four bytes, little-endian, and so many bytes of JSON. The descriptor
//! of a file comes with the length of the request that is about it.

use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut, Read as _, Write as _},
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::net::UnixStream,
    },
};

use nix::{
    cmsg_space,
    errno::Errno,
    sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recv, recvmsg, sendmsg},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    findings::WasRead,
    redaction::Redaction,
    view::{ViewFault, ViewNote, ViewRequest},
};

/// Longest request.
pub(super) const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// Longest report. A child that has more to say leaves the least important out.
pub const MAX_REPORT_BYTES: usize = 2 << 20;

/// Longest answer. A child that writes more is not believed.
pub(super) const MAX_ANSWER_BYTES: usize = 8 << 20;

/// What the parent asks for.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Request {
    /// A file, which comes with the request and is read later. Answered by [`Answer::Taken`].
    File {
        /// As the report names it.
        name: String,
    },
    /// Reads the files as one capture, and says what is in it.
    Analyze,
    /// The same as a page of HTML.
    Html,
    /// A file of the capture that the others are compared with, which comes with the request. Answered by
    /// [`Answer::Taken`].
    Baseline {
        /// As the report names it.
        name: String,
    },
    /// Reads the files as one capture and those of the baseline as another, and says what is in the first and what
    /// differs.
    Compare,
    /// Follows a file that grows from now on. Answered by [`Answer::Taken`].
    Follow {
        /// As the report names it.
        name: String,
        /// Its place among several files of a rotation.
        index: Option<u16>,
    },
    /// The file that is followed is complete: reads what is left of it. Answered by [`Answer::Read`].
    Complete,
    /// Reads what the file that is followed has got, and says what there is to say so far.
    Report,
    /// What there is to say at the end of what was followed.
    Finish,
    /// Begins a copy of the files without what this says, which are then given away. Answered by [`Answer::Taken`].
    Redact(Redaction),
    /// The next piece of the copy. Answered by [`Answer::Piece`] or [`Answer::Unreadable`].
    Piece,
    /// Shows the packets of a file from now on, which comes with the request, behind those of the files before it.
    /// Answered by [`Answer::Taken`].
    Show {
        /// Its number among the files of the task.
        index: u64,
        /// Whether it may grow.
        is_growing: bool,
    },
    /// The last file that is shown does not grow any more. Answered by [`Answer::Taken`].
    ShownIsComplete,
    /// What people noted about packets that are shown, in the place of what they noted before. Answered by [`Answer::Taken`].
    Notes(Vec<ViewNote>),
    /// A question about the packets that are shown. Answered by [`Answer::Shown`] or [`Answer::NotShown`].
    View(ViewRequest),
    /// Does what a child must not be able to do.
    #[cfg(test)]
    Misbehave(super::tests::Misdeed),
}

/// What the child answers.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// It is confined, unasked. `missing` are the layers that this machine does not have.
    Ready { missing: Vec<String> },
    /// It could not confine itself, and ends.
    Unconfined(String),
    /// It has the file.
    Taken,
    /// It has read a file.
    Read(WasRead),
    /// The report as JSON.
    Report(Box<RawValue>),
    /// The page.
    Html(String),
    /// So many bytes follow. None are the end.
    Piece(u32),
    /// An answer about packets, as JSON.
    Shown(Box<RawValue>),
    /// There is no answer to a question about packets.
    NotShown(ViewFault),
    /// Nothing of the files can be read; why.
    Unreadable(String),
}

/// Sends a message, with a descriptor where there is one.
pub(super) fn send(
    mut socket: &UnixStream,
    message: &impl Serialize,
    file: Option<&File>,
) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let len = u32::try_from(text.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a message too long"))?
        .to_le_bytes();
    match file {
        None => socket.write_all(&len)?,
        // Four bytes are never sent in part.
        Some(file) => {
            let descriptors = [file.as_raw_fd()];
            let rights = [ControlMessage::ScmRights(&descriptors)];
            let parts = [IoSlice::new(&len)];
            sendmsg::<()>(
                socket.as_raw_fd(),
                &parts,
                &rights,
                MsgFlags::MSG_NOSIGNAL,
                None,
            )?;
        }
    }
    socket.write_all(&text)
}

/// The next request with its descriptor; none when the parent is gone.
pub(super) fn receive_request(socket: &UnixStream) -> io::Result<Option<(Request, Option<File>)>> {
    let mut len = [0; 4];
    let mut file = None;
    let mut there = 0;
    while there < len.len() {
        let mut space = cmsg_space!([i32; 1]);
        let mut parts = [IoSliceMut::new(&mut len[there..])];
        let message = recvmsg::<()>(
            socket.as_raw_fd(),
            &mut parts,
            Some(&mut space),
            MsgFlags::MSG_CMSG_CLOEXEC,
        )?;
        for control in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(descriptors) = control {
                for descriptor in descriptors {
                    // SAFETY: the kernel has just made this descriptor for us, and nothing else knows of it.
                    let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
                    file = Some(File::from(owned));
                }
            }
        }
        match message.bytes {
            0 if there == 0 => return Ok(None),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => there += count,
        }
    }
    let text = receive_rest(socket, u32::from_le_bytes(len), MAX_REQUEST_BYTES)?;
    Ok(Some((serde_json::from_slice(&text)?, file)))
}

/// Whether a request is there, or the parent gone, so that [`receive_request`] does not wait.
pub(super) fn is_asked(socket: &UnixStream) -> bool {
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    // What is wrong with the socket shows when it is read.
    recv(socket.as_raw_fd(), &mut [0], flags) != Err(Errno::EAGAIN)
}

/// What follows a length.
pub(super) fn receive_rest(mut socket: &UnixStream, len: u32, most: usize) -> io::Result<Vec<u8>> {
    let len = len as usize;
    if len > most {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a message of {len} bytes; at most {most} are read"),
        ));
    }
    let mut text = vec![0; len];
    socket.read_exact(&mut text)?;
    Ok(text)
}
