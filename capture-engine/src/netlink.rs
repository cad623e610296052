//! Route netlink: questions to the kernel about interfaces, addresses and traffic control, and changes of these.
//! Formats: netlink(7), rtnetlink(7), include/uapi/linux/{netlink,rtnetlink}.h.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

/// Length of `struct nlmsghdr`.
const HEADER_LEN: usize = 16;
/// Length of `struct nlattr`; it and its values are aligned to as much.
const ATTRIBUTE_LEN: usize = 4;
/// More than the kernel puts into one message of a dump.
const BUFFER_LEN: usize = 64 << 10;

/// A request to the kernel, under construction.
pub(crate) struct Request(Vec<u8>);

/// One message of an answer.
pub(crate) struct Answer<'a> {
    /// The structure that messages of this family begin with, whole.
    pub(crate) header: &'a [u8],
    /// What follows it.
    pub(crate) attributes: &'a [u8],
}

/// A route netlink socket.
pub(crate) struct Netlink(OwnedFd);

impl Netlink {
    /// Opens one in the network namespace of the calling thread.
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self(socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )?))
    }

    /// Sends a request and gives each message of the answer, with its header of `header_len` bytes, to
    /// `each`; returns at its end. Says whether the answer is consistent: where objects come and go during a
    /// dump, the kernel may leave others out or give them twice.
    pub(crate) fn ask(
        &self,
        request: Request,
        header_len: usize,
        mut each: impl FnMut(Answer<'_>),
    ) -> io::Result<bool> {
        send(self.0.as_raw_fd(), &request.finish(), MsgFlags::empty())?;
        let mut buffer = vec![0; BUFFER_LEN];
        let mut is_consistent = true;
        loop {
            let len = recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            let read = read_answer(&buffer[..len], header_len, &mut each)?;
            is_consistent &= read.is_consistent;
            if read.is_end {
                return Ok(is_consistent);
            }
        }
    }
}

impl Request {
    /// A message of a kind (`RTM_…`) with flags (`NLM_F_…`), and the header of its family.
    pub(crate) fn new(kind: u16, flags: i32, header: &[u8]) -> Self {
        let flags = libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags;
        let mut message = Vec::with_capacity(256);
        // The length comes last.
        message.extend(0_u32.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend((flags as u16).to_ne_bytes());
        // Sequence number and sender: one question at a time, and the kernel knows us.
        message.extend([0; 8]);
        message.extend(header);
        Self(message)
    }

    /// Adds an attribute.
    pub(crate) fn attribute(&mut self, kind: u32, value: &[u8]) {
        self.nested(kind, |request| request.0.extend(value));
    }

    /// Adds an attribute that holds others.
    pub(crate) fn nested(&mut self, kind: u32, content: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend((kind as u16).to_ne_bytes());
        content(self);
        let len = self.0.len() - start;
        self.0[start..start + 2].copy_from_slice(&(len as u16).to_ne_bytes());
        self.0
            .resize(start + len.next_multiple_of(ATTRIBUTE_LEN), 0);
    }

    /// The whole message.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let len = self.0.len() as u32;
        self.0[..4].copy_from_slice(&len.to_ne_bytes());
        self.0
    }
}

/// What a datagram of an answer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Datagram {
    /// The last one.
    pub(crate) is_end: bool,
    /// Nothing has changed since the datagram before.
    pub(crate) is_consistent: bool,
}

/// Reads one datagram of an answer.
pub(crate) fn read_answer(
    mut messages: &[u8],
    header_len: usize,
    each: &mut impl FnMut(Answer<'_>),
) -> io::Result<Datagram> {
    let cut = || io::Error::new(io::ErrorKind::InvalidData, "a netlink message is cut short");
    let mut is_consistent = true;
    while !messages.is_empty() {
        let len = u32_at(messages, 0).ok_or_else(cut)? as usize;
        let kind = u16_at(messages, 4).ok_or_else(cut)?;
        let flags = u16_at(messages, 6).ok_or_else(cut)?;
        is_consistent &= i32::from(flags) & libc::NLM_F_DUMP_INTR == 0;
        let message = messages.get(HEADER_LEN..len).ok_or_else(cut)?;
        match i32::from(kind) {
            // The end of a list, and of a change: both say how it went.
            libc::NLMSG_DONE | libc::NLMSG_ERROR => {
                return match u32_at(message, 0).ok_or_else(cut)? as i32 {
                    error @ ..0 => Err(io::Error::from_raw_os_error(error.wrapping_neg())),
                    _ => Ok(Datagram {
                        is_end: true,
                        is_consistent,
                    }),
                };
            }
            _ => {
                let (header, attributes) = message.split_at_checked(header_len).ok_or_else(cut)?;
                each(Answer { header, attributes });
            }
        }
        messages = messages
            .get(len.next_multiple_of(ATTRIBUTE_LEN)..)
            .unwrap_or_default();
    }
    Ok(Datagram {
        is_end: false,
        is_consistent,
    })
}

/// The value of the first attribute of a kind.
pub(crate) fn attribute(mut attributes: &[u8], kind: u32) -> Option<&[u8]> {
    loop {
        let len = usize::from(u16_at(attributes, 0)?);
        // The upper bits are flags, NLA_TYPE_MASK.
        let there = u16_at(attributes, 2)? & 0x3fff;
        let value = attributes.get(ATTRIBUTE_LEN..len)?;
        if u32::from(there) == kind {
            return Some(value);
        }
        attributes = attributes.get(len.next_multiple_of(ATTRIBUTE_LEN)..)?;
    }
}

/// A string that ends at its first NUL, in bytes.
pub(crate) fn c_string(value: &[u8]) -> &[u8] {
    let end = value.iter().position(|byte| *byte == 0);
    &value[..end.unwrap_or(value.len())]
}

/// The same as text.
pub(crate) fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(c_string(value)).into_owned()
}

/// A number in host byte order.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..offset + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

/// A number in host byte order.
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    let bytes = bytes.get(offset..offset + 8)?;
    Some(u64::from_ne_bytes(bytes.try_into().ok()?))
}

/// A number in host byte order.
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    let bytes = bytes.get(offset..offset + 2)?;
    Some(u16::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests;
