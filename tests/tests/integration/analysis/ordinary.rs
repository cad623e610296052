//! Ordinary traffic: web servers with many clients, names, times, logins, a database, files, a long transfer, and what hosts
//! say on a link. Nothing is wrong with it, so nothing of `warn` or above may be found.

use std::{
    net::{SocketAddr, UdpSocket},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use capture_tests::{
    agent, count_from_env,
    lan::{LAN_IF, Lan},
    output,
    room::{QUEUE, ring_size},
};
use tempfile::TempDir;

use super::{
    judge::{analyze, assert_nothing_bad, code},
    run::keep,
};
use servers::start_servers;

mod files;
mod servers;
mod sql;

const SERVER: usize = 1;
/// Clients, of which the first captures.
const CLIENTS: [usize; 2] = [0, 2];

#[test]
fn nothing_is_wrong_with_ordinary_traffic() {
    let time = Duration::from_secs(count_from_env("CAPTURE_TEST_ORDINARY", 20) as u64);
    let lan = Lan::new(3);
    let directory = TempDir::new().expect("a directory");
    // Other work on the machine is not to lose anything of a transfer at full speed.
    let room = ring_size(QUEUE);
    let arguments = [
        "-i",
        LAN_IF,
        "--hook",
        "tc",
        "--ring-size",
        &room,
        "-w",
        "o.pcapng",
    ];
    let watching = [CLIENTS[0], SERVER].map(|index| agent::capture(lan.host(index), &arguments));
    let servers = start_servers(&lan, directory.path(), is_long(time));
    let end = Instant::now() + time;
    // The files of a long run are to fit on a disk.
    let pause = Duration::from_millis(300).mul_f64(1.0 + time.as_secs_f64() / 60.0);
    let works: [fn(&Lan, usize, &Path); 10] = [
        web,
        tls,
        names,
        times,
        login,
        database,
        echo,
        lease,
        files::work,
        sql::work,
    ];
    thread::scope(|scope| {
        for client in CLIENTS {
            for (number, work) in works.into_iter().enumerate() {
                let (lan, directory) = (&lan, directory.path());
                scope.spawn(move || {
                    while Instant::now() < end {
                        work(lan, client, directory);
                        // Not all at the same moments.
                        thread::sleep(pause + Duration::from_millis(170 * number as u64));
                    }
                });
            }
        }
        scope.spawn(|| long_transfer(&lan));
    });
    // An end in order, so that connections that are kept open are closed.
    drop(servers);
    let ended = watching.map(|watching| watching.stop().expect_code(0));
    for (place, ended) in ["client", "server"].into_iter().zip(&ended) {
        keep(&format!("ordinary-{place}"), &ended.file());
    }
    for ended in &ended {
        let mut findings = analyze(&ended.file());
        // A busy machine may lose some of a long run, which is then said.
        if ended.figures().lost() > 0 {
            findings.retain(|finding| code(finding) != "capture.lost");
        }
        assert_nothing_bad(&findings);
    }
}

/// Runs a client, which must get what it asks for.
fn client(lan: &Lan, index: usize, program: &str, arguments: &[&str]) -> String {
    output(lan.host(index).command(program).args(arguments))
}

/// Small and large pages over a few connections at once.
fn web(lan: &Lan, index: usize, _: &Path) {
    let server = Lan::ipv4(SERVER);
    let pages = format!("http://{server}/page[1-12]");
    client(
        lan,
        index,
        "curl",
        &["-sfZ", "--parallel-max", "6", "-o", "/dev/null", &pages],
    );
    let file = format!("http://[{}]/file", Lan::ipv6(SERVER));
    client(lan, index, "curl", &["-sf", "-o", "/dev/null", &file]);
}

fn tls(lan: &Lan, index: usize, directory: &Path) {
    let address = format!("www.example:443:{}", Lan::ipv4(SERVER));
    let authority = directory.join("authority.pem");
    let authority = authority.to_str().expect("a name");
    let pages = "https://www.example/page[1-6]";
    for version in ["1.2", "1.3"] {
        let of_version = [
            "--tls-max",
            version,
            "--resolve",
            &address,
            "--cacert",
            authority,
        ];
        client(
            lan,
            index,
            "curl",
            &[&of_version[..], &["-sf", "-o", "/dev/null", pages]].concat(),
        );
    }
}

/// Names that are there, with both kinds of addresses, and one that is not.
fn names(lan: &Lan, index: usize, _: &Path) {
    let server = format!("@{}", Lan::ipv4(SERVER));
    let asked = [
        "www.example",
        "mail.example",
        "files.example",
        "www.example.test",
    ];
    for name in asked {
        client(
            lan,
            index,
            "dig",
            &[&server, "+short", name, "A", name, "AAAA"],
        );
    }
}

/// What an NTP client sends, and takes back (RFC 5905 section 7.3).
fn times(lan: &Lan, index: usize, _: &Path) {
    let server: SocketAddr = format!("{}:123", Lan::ipv4(SERVER))
        .parse()
        .expect("an address");
    lan.host(index).within(|| {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .expect("a timeout");
        let mut request = [0; 48];
        request[0] = 0x23;
        socket
            .send_to(&request, server)
            .expect("the request is sent");
        let len = socket.recv(&mut request).expect("the answer arrives");
        assert_eq!(len, 48);
    });
}

/// A command with a long output.
fn login(lan: &Lan, index: usize, directory: &Path) {
    let key = directory.join("client-key");
    let to = format!("root@{}", Lan::ipv4(SERVER));
    let options = [
        "-q",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
    ];
    let identity = ["-i", key.to_str().expect("a name"), "-F", "/dev/null"];
    let ssh = [&options[..], &identity].concat();
    client(
        lan,
        index,
        "ssh",
        &[&ssh[..], &[&to, "head -c 300000 /dev/zero"]].concat(),
    );
}

fn database(lan: &Lan, index: usize, _: &Path) {
    let server = Lan::ipv4(SERVER);
    client(
        lan,
        index,
        "redis-cli",
        &["-h", &server, "set", "key", "value"],
    );
    let load = ["-c", "20", "-n", "400", "-q", "-t", "set,get"];
    client(
        lan,
        index,
        "redis-benchmark",
        &[&["-h", &server], &load[..]].concat(),
    );
}

fn echo(lan: &Lan, index: usize, _: &Path) {
    client(
        lan,
        index,
        "ping",
        &["-q", "-c", "5", "-i", "0.2", &Lan::ipv4(SERVER)],
    );
    client(
        lan,
        index,
        "ping",
        &[
            "-q",
            "-c",
            "5",
            "-i",
            "0.2",
            "-s",
            "3000",
            &Lan::ipv6(SERVER),
        ],
    );
}

/// An address that is asked for and not used. Whether there is one in time is for the analyzer to say.
fn lease(lan: &Lan, index: usize, _: &Path) {
    let mut udhcpc = lan.host(index).command("udhcpc");
    udhcpc.args(["-q", "-n", "-f", "-i", LAN_IF, "-s", "/bin/true"]);
    udhcpc.output().expect("udhcpc starts");
}

fn long_transfer(lan: &Lan) {
    let url = format!("http://{}/large", Lan::ipv4(SERVER));
    client(lan, CLIENTS[0], "curl", &["-sf", "-o", "/dev/null", &url]);
}

fn is_long(time: Duration) -> bool {
    time > Duration::from_secs(300)
}
