//! The SSH sessions of this host: whoever captures through one of them captures it too.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// The port of SSH. Where a server listens on another one its sessions are not known.
const SSH: u16 = 22;

/// Bytes that are read of the kernel's list at most; a server has many connections.
const MOST_BYTES: u64 = 4 << 20;

/// Most sessions.
const MOST: usize = 64;

/// The established connections to this host's port 22, both ends of each, ours first.
pub(super) fn sessions() -> Vec<[SocketAddr; 2]> {
    let mut found = Vec::new();
    for path in ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"] {
        if let Err(error) = read(path, &mut found) {
            log::debug!("{path}: {error}");
        }
    }
    found
}

fn read(path: &str, found: &mut Vec<[SocketAddr; 2]>) -> io::Result<()> {
    for line in BufReader::new(File::open(path)?.take(MOST_BYTES)).lines() {
        found.extend(session(&line?));
        if found.len() >= MOST {
            break;
        }
    }
    Ok(())
}

/// A line of `/proc/net/tcp`: `sl local_address rem_address st …` (Documentation/networking/proc_net_tcp.rst).
fn session(line: &str) -> Option<[SocketAddr; 2]> {
    const ESTABLISHED: &str = "01";
    let mut words = line.split_ascii_whitespace().skip(1);
    let [local, remote, state] = [words.next()?, words.next()?, words.next()?];
    if state != ESTABLISHED {
        return None;
    }
    let local = end(local)?;
    (local.port() == SSH).then_some([local, end(remote)?])
}

/// `0100007F:0016`: the address in words of host byte order, as it lies in memory, and the port as a number.
fn end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |index: usize| {
        let digits = address.get(8 * index..8 * index + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            let bytes = <[u8; 16]>::try_from(words).ok()?;
            IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_kernel() {
        // As a little-endian machine has them.
        let word = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
        let line = |local: &str, remote: &str, state: &str| {
            session(&format!(
                "   1: {local} {remote} {state} 00000000:00000000 00:00000000"
            ))
        };
        let here = format!("{}:0016", word([10, 0, 0, 5]));
        let there = format!("{}:C001", word([10, 0, 0, 9]));
        let ends = ["10.0.0.5:22", "10.0.0.9:49153"].map(|end| end.parse().expect("an end"));
        assert_eq!(line(&here, &there, "01"), Some(ends));
        assert_eq!(line(&here, &there, "0A"), None);
        assert_eq!(line(&there, &here, "01"), None);
        let mapped = |last: [u8; 4], port: &str| {
            let words = [[0; 4], [0; 4], [0, 0, 0xff, 0xff], last].map(word);
            format!("{}:{port}", words.concat())
        };
        let v6 = line(
            &mapped([10, 0, 0, 5], "0016"),
            &mapped([10, 0, 0, 9], "C001"),
            "01",
        );
        assert_eq!(v6, Some(ends));
        for odd in [
            "",
            "sl local_address rem_address st",
            "1: 0:0 0:0 01",
            "1: é:16 é:16 01",
        ] {
            assert_eq!(session(odd), None, "{odd}");
        }
    }
}
