//! Frames and how they get on the wire: builders for the headers that the agent looks through,
//! a paced sender on a raw packet socket, and ordinary sockets where the stack must take part.
//!
//! Raw frames go to a MAC address that nobody has, so the receiving stack drops them unanswered
//! and a capture holds what the test sent and nothing else.

use std::{
    ffi::CString,
    io::{Error, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    ops::Range,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    thread,
    time::{Duration, Instant},
};

use crate::netns::{Lab, Netns, PEER_IF};

/// EtherTypes (IEEE 802 Numbers).
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;
/// 802.1Q.
pub const ETHERTYPE_VLAN: u16 = 0x8100;
/// 802.1ad.
pub const ETHERTYPE_QINQ: u16 = 0x88a8;
/// IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
/// LLDP.
pub const ETHERTYPE_LLDP: u16 = 0x88cc;

/// Protocol numbers (IANA).
pub const ICMP: u8 = 1;
/// TCP.
pub const TCP: u8 = 6;
/// UDP.
pub const UDP: u8 = 17;
/// IPv6 fragment header.
pub const FRAGMENT: u8 = 44;
/// Authentication header.
pub const AUTHENTICATION: u8 = 51;
/// ICMPv6.
pub const ICMPV6: u8 = 58;
/// IPv6 destination options.
pub const DESTINATION_OPTIONS: u8 = 60;
/// IPv6 hop-by-hop options.
pub const HOP_BY_HOP: u8 = 0;
/// IPv6 routing header.
pub const ROUTING: u8 = 43;
/// SCTP.
pub const SCTP: u8 = 132;

/// Begins every numbered payload.
const MARK: &[u8; 4] = b"CAPT";

/// A payload of `len` bytes (at least 8) that carries its number.
pub fn numbered(number: u32, len: usize) -> Vec<u8> {
    let mut payload = Vec::with_capacity(len);
    payload.extend_from_slice(MARK);
    payload.extend_from_slice(&number.to_be_bytes());
    payload.extend((8..len).map(|at| (at as u8).wrapping_add(number as u8)));
    payload.truncate(len.max(8));
    payload
}

/// The number in a frame, wherever its payload begins.
pub fn number_in(frame: &[u8]) -> Option<u32> {
    let at = frame
        .windows(MARK.len())
        .position(|window| window == MARK)?;
    let digits = frame.get(at + 4..at + 8)?;
    Some(u32::from_be_bytes(digits.try_into().expect("four bytes")))
}

/// An Ethernet frame from and to addresses that no stack takes for its own.
pub fn ethernet(ethertype: u16, body: &[u8]) -> Vec<u8> {
    tagged(&[], ethertype, body)
}

/// An Ethernet frame with tags, outermost first, each a tag protocol and its control information.
pub fn tagged(tags: &[(u16, u16)], ethertype: u16, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 0x99, 2, 0, 0, 0, 0, 0x98];
    for (protocol, control) in tags {
        frame.extend_from_slice(&protocol.to_be_bytes());
        frame.extend_from_slice(&control.to_be_bytes());
    }
    frame.extend_from_slice(&ethertype.to_be_bytes());
    frame.extend_from_slice(body);
    frame
}

/// An IPv4 packet in the making (RFC 791).
#[derive(Clone, Debug)]
pub struct Ipv4 {
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
    /// Protocol number.
    pub protocol: u8,
    /// Identification.
    pub identification: u16,
    /// Offset in units of eight bytes.
    pub offset: u16,
    /// More fragments follow.
    pub more: bool,
    /// Options, a multiple of four bytes and at most 40.
    pub options: Vec<u8>,
}

impl Ipv4 {
    /// An unfragmented packet without options.
    pub fn new(source: &str, destination: &str, protocol: u8) -> Self {
        Self {
            source: source.parse().expect("an IPv4 address"),
            destination: destination.parse().expect("an IPv4 address"),
            protocol,
            identification: 0,
            offset: 0,
            more: false,
            options: Vec::new(),
        }
    }

    /// As a fragment.
    pub fn fragment(mut self, identification: u16, offset: u16, more: bool) -> Self {
        (self.identification, self.offset, self.more) = (identification, offset, more);
        self
    }

    /// With options.
    pub fn options(mut self, options: &[u8]) -> Self {
        self.options = options.to_vec();
        self
    }

    /// The packet with what comes after the header.
    pub fn packet(&self, body: &[u8]) -> Vec<u8> {
        let header_len = 20 + self.options.len();
        let mut packet = vec![0x40 | (header_len / 4) as u8, 0];
        packet.extend_from_slice(&((header_len + body.len()) as u16).to_be_bytes());
        packet.extend_from_slice(&self.identification.to_be_bytes());
        let flags = if self.more { 0x2000 } else { 0 };
        packet.extend_from_slice(&(flags | self.offset).to_be_bytes());
        packet.extend_from_slice(&[64, self.protocol, 0, 0]);
        packet.extend_from_slice(&self.source.octets());
        packet.extend_from_slice(&self.destination.octets());
        packet.extend_from_slice(&self.options);
        let sum = checksum(&packet, 0);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend_from_slice(body);
        packet
    }

    /// The packet in an untagged frame.
    pub fn frame(&self, body: &[u8]) -> Vec<u8> {
        ethernet(ETHERTYPE_IPV4, &self.packet(body))
    }
}

/// An IPv6 packet (RFC 8200); `next` is the type of what `body` begins with.
pub fn ipv6(source: &str, destination: &str, next: u8, body: &[u8]) -> Vec<u8> {
    let source: Ipv6Addr = source.parse().expect("an IPv6 address");
    let destination: Ipv6Addr = destination.parse().expect("an IPv6 address");
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend_from_slice(&(body.len() as u16).to_be_bytes());
    packet.extend_from_slice(&[next, 64]);
    packet.extend_from_slice(&source.octets());
    packet.extend_from_slice(&destination.octets());
    packet.extend_from_slice(body);
    packet
}

/// An IPv6 packet in an untagged frame.
pub fn ipv6_frame(source: &str, destination: &str, next: u8, body: &[u8]) -> Vec<u8> {
    ethernet(ETHERTYPE_IPV6, &ipv6(source, destination, next, body))
}

/// A hop-by-hop, routing or destination options header of `units` times eight bytes, and the body
/// behind it.
pub fn extension(next: u8, units: usize, body: &[u8]) -> Vec<u8> {
    let mut header = vec![0; units * 8];
    header[0] = next;
    header[1] = (units - 1) as u8;
    // PadN over the rest (RFC 8200, section 4.2), and no segments left for a routing header.
    header[2] = 1;
    header[3] = (units * 8 - 4) as u8;
    header.extend_from_slice(body);
    header
}

/// An IPv6 fragment header (RFC 8200, section 4.5), offset in units of eight bytes, and the body
/// behind it.
pub fn fragment(next: u8, identification: u32, offset: u16, more: bool, body: &[u8]) -> Vec<u8> {
    let mut header = vec![next, 0];
    header.extend_from_slice(&((offset << 3) | u16::from(more)).to_be_bytes());
    header.extend_from_slice(&identification.to_be_bytes());
    header.extend_from_slice(body);
    header
}

/// An authentication header with a 12-byte check value (RFC 4302), and the body behind it.
pub fn authentication(next: u8, body: &[u8]) -> Vec<u8> {
    let mut header = vec![next, 4];
    header.extend_from_slice(&[0; 22]);
    header.extend_from_slice(body);
    header
}

/// A UDP datagram (RFC 768) without a checksum: nobody receives it.
pub fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(8 + payload.len());
    datagram.extend_from_slice(&source.to_be_bytes());
    datagram.extend_from_slice(&destination.to_be_bytes());
    datagram.extend_from_slice(&((8 + payload.len()) as u16).to_be_bytes());
    datagram.extend_from_slice(&[0, 0]);
    datagram.extend_from_slice(payload);
    datagram
}

/// A TCP segment (RFC 9293), PSH and ACK set, without a checksum.
pub fn tcp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let mut segment = Vec::with_capacity(20 + payload.len());
    segment.extend_from_slice(&source.to_be_bytes());
    segment.extend_from_slice(&destination.to_be_bytes());
    segment.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1, 5 << 4, 0x18, 1, 0, 0, 0, 0, 0]);
    segment.extend_from_slice(payload);
    segment
}

/// An SCTP packet (RFC 9260): the common header, and no valid chunk.
pub fn sctp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(12 + payload.len());
    packet.extend_from_slice(&source.to_be_bytes());
    packet.extend_from_slice(&destination.to_be_bytes());
    packet.extend_from_slice(&[0; 8]);
    packet.extend_from_slice(payload);
    packet
}

/// A message of ICMP or ICMPv6 with eight bytes of header, of this type: an echo request (8, 128), or an
/// error when the payload is the packet that it quotes.
pub fn echo(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0, 0, 7, 0, 1];
    message.extend_from_slice(payload);
    let sum = checksum(&message, 0);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// An ARP request for IPv4 over Ethernet (RFC 826), with padding as a real one has.
pub fn arp(sender: &str, target: &str) -> Vec<u8> {
    let sender: Ipv4Addr = sender.parse().expect("an IPv4 address");
    let target: Ipv4Addr = target.parse().expect("an IPv4 address");
    let mut body = vec![0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 0x98];
    body.extend_from_slice(&sender.octets());
    body.extend_from_slice(&[0; 6]);
    body.extend_from_slice(&target.octets());
    body.resize(46, 0);
    ethernet(ETHERTYPE_ARP, &body)
}

/// A UDP frame with a numbered payload, so long in all (at least 50 bytes, or 70 for IPv6).
pub fn udp_frame(from: SocketAddr, to: SocketAddr, number: u32, len: usize) -> Vec<u8> {
    match (from.ip(), to.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let body = udp(from.port(), to.port(), &numbered(number, len - 42));
            Ipv4::new(&source.to_string(), &destination.to_string(), UDP).frame(&body)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let body = udp(from.port(), to.port(), &numbered(number, len - 62));
            ipv6_frame(&source.to_string(), &destination.to_string(), UDP, &body)
        }
        _ => panic!("{from} and {to} are of two families"),
    }
}

/// A numbered UDP frame of strangers, from 192.0.2.1 port 1000 to 192.0.2.2 port 53, to which no stack answers.
pub fn frame(number: u32, len: usize) -> Vec<u8> {
    udp_frame(
        SocketAddr::from(([192, 0, 2, 1], 1000)),
        SocketAddr::from(([192, 0, 2, 2], 53)),
        number,
        len,
    )
}

/// Frames as of [`frame`], with these numbers.
pub fn frames(numbers: Range<u32>, len: usize) -> impl Iterator<Item = Vec<u8>> + Send {
    numbers.map(move |number| frame(number, len))
}

/// A direction of traffic, seen from an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// What comes in.
    Ingress,
    /// What goes out.
    Egress,
}

/// Gives what was sent the time to come to the programs. Frames are in the ring when the sender returns, except
/// those of a veth's own queue, of which nobody tells how long it is.
pub fn settle() {
    thread::sleep(Duration::from_millis(100));
}

/// Numbered UDP frames from the peer of a [`Lab`], port 4000, to its host, port 9.
pub fn frames_to_host(numbers: Range<u32>, len: usize) -> impl Iterator<Item = Vec<u8>> + Send {
    let from = SocketAddr::from(([10, 0, 0, 2], 4000));
    let to = SocketAddr::from(([10, 0, 0, 1], 9));
    numbers.map(move |number| udp_frame(from, to, number, len))
}

/// Sends [`frames_to_host`] at a rate that no default ring overflows at.
pub fn send_to_host(lab: &Lab, numbers: Range<u32>, len: usize) {
    send(&lab.peer, PEER_IF, 20_000, frames_to_host(numbers, len));
}

/// Traffic that a capture of UDP port 9 must leave out: each differs from it in something else.
pub fn other_traffic(number: u32) -> Vec<u8> {
    let payload = numbered(number, 26);
    match number % 8 {
        0 => Ipv4::new("10.0.0.2", "10.0.0.1", TCP).frame(&tcp(9, 9, &payload)),
        1 => Ipv4::new("10.0.0.2", "10.0.0.1", UDP).frame(&udp(5353, 5353, &payload)),
        2 => Ipv4::new("10.0.0.3", "10.0.0.4", UDP).frame(&udp(9, 9, &payload)),
        3 => ipv6_frame("fd00::3", "fd00::4", UDP, &udp(9, 9, &payload)),
        4 => arp("10.0.0.2", "10.0.0.1"),
        5 => ipv6_frame("fd00::2", "fd00::1", TCP, &tcp(9, 9, &payload)),
        6 => Ipv4::new("10.0.0.2", "10.0.0.1", ICMP).frame(&echo(8, &payload)),
        _ => ethernet(ETHERTYPE_LLDP, &payload),
    }
}

/// The Internet checksum (RFC 1071).
pub fn checksum(bytes: &[u8], start: u32) -> u16 {
    let mut sum = start;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Sends frames by an interface of a namespace, so many a second (0: as fast as it goes), and
/// gives how many were sent.
pub fn send<I>(namespace: &Netns, interface: &str, rate: u32, frames: I) -> usize
where
    I: IntoIterator<Item = Vec<u8>> + Send,
{
    namespace.within(|| send_here(interface, rate, frames))
}

/// The same in the namespace of this thread.
pub fn send_here(interface: &str, rate: u32, frames: impl IntoIterator<Item = Vec<u8>>) -> usize {
    let (sent, error) = send_until_error(interface, rate, frames);
    if let Some(error) = error {
        panic!("sending by {interface}: {error}");
    }
    sent
}

/// The same until the interface goes, or is no longer up.
pub fn send_while_up<I>(namespace: &Netns, interface: &str, rate: u32, frames: I) -> usize
where
    I: IntoIterator<Item = Vec<u8>> + Send,
{
    let (sent, error) = namespace.within(|| send_until_error(interface, rate, frames));
    let gone = [libc::ENXIO, libc::ENODEV, libc::ENETDOWN].map(Some);
    if let Some(error) = error.filter(|error| !gone.contains(&error.raw_os_error())) {
        panic!("sending by {interface}: {error}");
    }
    sent
}

fn send_until_error(
    interface: &str,
    rate: u32,
    frames: impl IntoIterator<Item = Vec<u8>>,
) -> (usize, Option<Error>) {
    let socket = packet_socket(interface, 0);
    let start = Instant::now();
    let (mut sent, mut frames) = (0_usize, frames.into_iter());
    loop {
        // A batch every millisecond or so, small enough not to overrun a queue on the way.
        let due = match rate {
            0 => 32,
            _ => {
                let due = start.elapsed().as_secs_f64() * f64::from(rate);
                (due as usize + 1).saturating_sub(sent).min(64)
            }
        };
        if due == 0 {
            thread::sleep(Duration::from_micros(500));
            continue;
        }
        let mut batch: Vec<_> = frames.by_ref().take(due).collect();
        if batch.is_empty() {
            return (sent, None);
        }
        if let Err(error) = send_batch(&socket, &mut batch) {
            return (sent, Some(error));
        }
        sent += batch.len();
    }
}

/// Sends one frame by a packet socket.
pub fn send_one(socket: &OwnedFd, frame: &[u8]) {
    send_batch(socket, &mut [frame.to_vec()]).expect("it is sent");
}

fn send_batch(socket: &OwnedFd, batch: &mut [Vec<u8>]) -> Result<(), Error> {
    let mut parts: Vec<_> = batch
        .iter_mut()
        .map(|frame| libc::iovec {
            iov_base: frame.as_mut_ptr().cast(),
            iov_len: frame.len(),
        })
        .collect();
    let mut messages: Vec<_> = parts
        .iter_mut()
        .map(|part| {
            // SAFETY: all zeroes is a valid mmsghdr, one without name, control data or flags.
            let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
            message.msg_hdr.msg_iov = part;
            message.msg_hdr.msg_iovlen = 1;
            message
        })
        .collect();
    let mut done = 0;
    while done < messages.len() {
        let rest = &mut messages[done..];
        // SAFETY: every message points at one part, and every part at a frame of `batch`.
        let sent =
            unsafe { libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as u32, 0) };
        if sent > 0 {
            done += sent as usize;
            continue;
        }
        // veth says ENOBUFS where the other end's queue was full: the frame did not arrive.
        let error = Error::last_os_error();
        if error.raw_os_error() != Some(libc::ENOBUFS) {
            return Err(error);
        }
        // As long as it takes to make room for some; nothing can be waited for.
        thread::sleep(Duration::from_micros(100));
    }
    Ok(())
}

/// A raw packet socket on an interface of this thread's namespace, for a protocol in host byte
/// order; 0 receives nothing, and `ETH_P_ALL` everything.
pub fn packet_socket(interface: &str, protocol: u16) -> OwnedFd {
    let name = CString::new(interface).expect("interface names hold no NUL");
    let index = nix::net::if_::if_nametoindex(name.as_c_str())
        .unwrap_or_else(|error| panic!("{interface}: {error}"));
    let protocol = protocol.to_be();
    // SAFETY: plain system call; the result is checked.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    assert!(fd >= 0, "packet socket: {}", Error::last_os_error());
    // SAFETY: the descriptor is new and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: all zeroes is a valid address, filled in below.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol;
    address.sll_ifindex = index as i32;
    // SAFETY: `address` is a whole sockaddr_ll, and its size is given.
    let bound = unsafe {
        let size = size_of_val(&address) as u32;
        libc::bind(fd, (&raw const address).cast(), size)
    };
    assert_eq!(bound, 0, "bind to {interface}: {}", Error::last_os_error());
    socket
}

/// Sends datagrams from one side to an echoing socket on the other, and checks that each comes
/// back as it was: `count` of them, `len` bytes each.
pub fn udp_echo(client: &Netns, server: &Netns, address: SocketAddr, count: u32, len: usize) {
    let listener = server.within(|| UdpSocket::bind(address).expect("the echo socket binds"));
    listener
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("a timeout");
    let any = if address.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let socket = client.within(|| UdpSocket::bind(any).expect("the client socket binds"));
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("a timeout");
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = vec![0; 65_536];
            for _ in 0..count {
                let (len, from) = listener
                    .recv_from(&mut buffer)
                    .expect("the request arrives");
                listener
                    .send_to(&buffer[..len], from)
                    .expect("the echo is sent");
            }
        });
        let mut buffer = vec![0; 65_536];
        for number in 0..count {
            let payload = numbered(number, len);
            socket
                .send_to(&payload, address)
                .expect("the request is sent");
            let len = socket.recv(&mut buffer).expect("the echo arrives");
            assert!(
                buffer[..len] == payload,
                "datagram {number} came back changed"
            );
        }
    });
}

/// Sends bytes over a TCP connection from the client's side to the server's, and gives what
/// arrived there.
pub fn tcp_transfer(client: &Netns, server: &Netns, address: SocketAddr, data: &[u8]) -> Vec<u8> {
    let listener = server.within(|| TcpListener::bind(address).expect("the server binds"));
    thread::scope(|scope| {
        let received = scope.spawn(|| {
            let (mut stream, _) = listener.accept().expect("a connection comes in");
            let mut received = Vec::new();
            stream.read_to_end(&mut received).expect("the data arrives");
            received
        });
        client.within(|| {
            let mut stream = TcpStream::connect(address).expect("the client connects");
            stream.write_all(data).expect("the data is sent");
        });
        received.join().expect("the server thread ends")
    })
}

/// The user's end of a tun device: what is written comes in at the device, as IP packets.
#[derive(Debug)]
pub struct Tun(std::fs::File);

impl Tun {
    /// Makes the device in a namespace, up, with an address whose network it leads to.
    pub fn new(namespace: &Netns, name: &str, address: &str) -> Self {
        let file = tun_device(namespace, name, libc::IFF_TUN);
        namespace.ip(&format!(
            "addr add {address}/24 dev {name}\nlink set {name} up"
        ));
        Self(file)
    }

    /// Lets a packet come in at the device.
    pub fn receive(&self, packet: &[u8]) {
        (&self.0)
            .write_all(packet)
            .expect("the device takes a packet");
    }
}

/// The user's end of a tap device: what is written comes in at the device, as Ethernet frames.
#[derive(Debug)]
pub struct Tap(std::fs::File);

impl Tap {
    /// Makes the device in a namespace, up.
    pub fn new(namespace: &Netns, name: &str) -> Self {
        let file = tun_device(namespace, name, libc::IFF_TAP);
        namespace.ip(&format!("link set {name} arp off up"));
        Self(file)
    }

    /// Lets a frame come in at the device.
    pub fn receive(&self, frame: &[u8]) {
        (&self.0)
            .write_all(frame)
            .expect("the device takes a frame");
    }
}

fn tun_device(namespace: &Netns, name: &str, kind: libc::c_int) -> std::fs::File {
    /// `TUNSETIFF` in include/uapi/linux/if_tun.h.
    const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
    namespace.within(|| {
        let file = std::fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/net/tun")
            .expect("the kernel has tun");
        // SAFETY: all zeroes is a valid request, filled in below.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = (kind | libc::IFF_NO_PI) as i16;
        // SAFETY: TUNSETIFF reads one ifreq, which is whole and alive.
        let done = unsafe { libc::ioctl(file.as_raw_fd(), TUNSETIFF, &raw mut request) };
        assert_eq!(done, 0, "TUNSETIFF {name}: {}", Error::last_os_error());
        file
    })
}
