//! The servers of ordinary traffic at one host of the link, each with files of its own. They end with the test.

use std::{fs, net::UdpSocket, path::Path, process::Command, thread};

use capture_tests::{
    background::Background,
    count_from_env,
    lan::{LAN_IF, Lan},
    netns::Netns,
    output,
};

use super::{SERVER, files, sql};

/// A web server with and without TLS: directory, certificate, key, and the most bytes that a connection gets in a second.
const WEB: &str = "
import functools, http.server, socket, ssl, sys, threading, time
class Server(http.server.ThreadingHTTPServer):
    address_family, request_queue_size, daemon_threads = socket.AF_INET6, 128, True
class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def log_message(self, *arguments):
        pass
    def copyfile(self, source, output):
        while block := source.read(65536):
            output.write(block)
            time.sleep(len(block) / float(sys.argv[4]))
handler = functools.partial(Handler, directory=sys.argv[1])
plain, secure = Server(('::', 80), handler), Server(('::', 443), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
secure.socket = context.wrap_socket(secure.socket, server_side=True)
threading.Thread(target=plain.serve_forever, daemon=True).start()
print('ready', flush=True)
secure.serve_forever()
";

pub(super) fn start_servers(lan: &Lan, directory: &Path, is_long: bool) -> Vec<Background> {
    let host = lan.host(SERVER);
    make_files(directory);
    make_certificate(directory);
    serve_time(host);
    let mut web = host.command("/usr/bin/python3");
    web.arg(directory.join("web.py")).arg(directory);
    web.args(["server.pem", "server.key"].map(|name| directory.join(name)));
    // A long transfer is not to be faster than a disk and a busy machine have no trouble with.
    web.arg(if is_long { "1e7" } else { "1e10" });
    // The server of redis is in the package of its tools too, under another name.
    let redis = "exec -a redis-server redis-check-rdb --save '' --protected-mode no";
    let mut database = host.command("bash");
    database.args(["-c", redis]);
    let mut dnsmasq = host.command("dnsmasq");
    dnsmasq.args([
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-hosts",
        "--no-resolv",
    ]);
    dnsmasq.args([
        "--user=root",
        "--log-facility=-",
        "--pid-file=",
        "--no-ping",
    ]);
    dnsmasq.args([
        "--address=/example/192.0.2.7",
        "--address=/example/2001:db8::7",
        "--local=/test/",
    ]);
    dnsmasq.args([
        &format!("--interface={LAN_IF}"),
        "--dhcp-range=10.0.0.100,10.0.0.120",
    ]);
    dnsmasq.arg(format!(
        "--dhcp-leasefile={}",
        directory.join("leases").display()
    ));
    let mut servers: Vec<_> = [
        (web, "ready"),
        (database, "Ready to accept connections"),
        (dnsmasq, "lease time"),
    ]
    .into_iter()
    .map(|(mut command, ready)| {
        let mut server = Background::start(&mut command);
        server.wait_for(ready);
        server
    })
    .collect();
    make_keys(directory);
    let mut sshd = host.command("/usr/sbin/sshd");
    let mut sshd = Background::start(
        sshd.args(["-D", "-e", "-f"])
            .arg(directory.join("sshd.conf")),
    );
    sshd.wait_for("Server listening on ::");
    servers.push(sshd);
    servers.extend(files::serve(host, directory));
    servers.extend(sql::serve(host, directory));
    servers
}

/// Answers as an NTP server does, until the namespace goes away.
fn serve_time(host: &Netns) {
    let socket = host.within(|| UdpSocket::bind("0.0.0.0:123").expect("a socket"));
    thread::spawn(move || {
        let mut message = [0; 48];
        while let Ok((_, from)) = socket.recv_from(&mut message) {
            // Version 4, mode server; stratum 2, a second old.
            (message[0], message[1]) = (0x24, 2);
            let sent: [u8; 8] = message[40..48].try_into().expect("eight bytes");
            message[24..32].copy_from_slice(&sent);
            for at in [16, 32, 40] {
                message[at..at + 4].copy_from_slice(&0xee00_0000u32.to_be_bytes());
            }
            let _ = socket.send_to(&message, from);
        }
    });
}

fn make_files(directory: &Path) {
    let megabytes = count_from_env("CAPTURE_TEST_ORDINARY_MB", 50) as u64;
    for number in 1..=12 {
        let page = vec![b'x'; 700 * number * number];
        fs::write(directory.join(format!("page{number}")), page).expect("a page is written");
    }
    for (name, len) in [("file", 2_000_000), ("large", megabytes * 1_000_000)] {
        let file = fs::File::create(directory.join(name)).expect("a file");
        file.set_len(len).expect("the file has a length");
    }
    fs::write(directory.join("web.py"), WEB).expect("the program is written");
}

/// The keys of sshd and its client, and its configuration.
fn make_keys(directory: &Path) {
    let root = directory.display();
    // Where sshd locks its unprivileged part in.
    fs::create_dir_all("/run/sshd").expect("a directory");
    for key in ["host-key", "client-key"] {
        let mut keygen = Command::new("ssh-keygen");
        output(
            keygen
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(directory.join(key)),
        );
    }
    let sshd = format!(
        "HostKey {root}/host-key\nAuthorizedKeysFile {root}/client-key.pub\nPermitRootLogin yes\nStrictModes no\n\
         UsePAM no\nUseDNS no\nPidFile none\nMaxStartups 100\n"
    );
    fs::write(directory.join("sshd.conf"), sshd).expect("a configuration");
}

/// An authority, and a certificate of its own for the server.
fn make_certificate(directory: &Path) {
    let openssl = |arguments: &str| {
        let mut openssl = Command::new("openssl");
        output(
            openssl
                .args(arguments.split_whitespace())
                .current_dir(directory),
        );
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(&format!(
        "req -x509 {key} -days 300 -subj /CN=authority -keyout authority.key -out authority.pem"
    ));
    openssl(&format!(
        "req -new {key} -subj /CN=www.example -addext subjectAltName=DNS:www.example -keyout server.key -out server.csr"
    ));
    openssl(
        "x509 -req -in server.csr -copy_extensions copy -days 90 -CA authority.pem -CAkey authority.key -CAcreateserial -out server.pem",
    );
}
