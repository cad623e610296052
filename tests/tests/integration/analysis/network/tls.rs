//! TLS: certificates, versions and ciphers of real servers, and handshakes that fail.

use std::{fs, net::TcpListener, path::PathBuf, process::Command, time::Duration};

use capture_tests::{background::Background, lan::Lan, output};
use tempfile::TempDir;

use super::{
    case::{Captured, Case, Made, any_end, rule, silence, watch},
    cases,
};

cases! {
    an_expired_certificate: Case {
        code: "tls.certificate",
        beside: &[],
        make: expired,
    };
    a_certificate_that_signs_itself: Case {
        code: "tls.certificate",
        beside: &[],
        make: self_signed,
    };
    a_certificate_for_others: Case {
        code: "tls.certificate",
        beside: &[],
        make: of_others,
    };
    an_old_version: Case {
        code: "crypto.weak",
        beside: &[],
        make: old_version,
    };
    a_cipher_that_encrypts_nothing: Case {
        code: "crypto.weak",
        beside: &[],
        make: null_cipher,
    };
    no_common_cipher: Case {
        code: "tls.failed",
        beside: &[],
        make: offer_cipher,
    };
    no_common_version: Case {
        code: "tls.failed",
        beside: &[],
        make: offer_version,
    };
    a_client_that_does_not_trust: Case {
        code: "tls.failed",
        beside: &[],
        make: |made| distrust(made, "-tls1_2"),
    };
    a_client_that_does_not_trust_what_is_encrypted: Case {
        code: "tls.failed",
        beside: &[],
        make: |made| distrust(made, "-tls1_3"),
    };
    a_firewall_that_resets_handshakes: Case {
        code: "tls.failed",
        beside: &[],
        make: reset,
    };
    a_server_that_says_nothing: Case {
        code: "tls.failed",
        beside: &[],
        make: mute,
    };
    a_server_on_another_port: Case {
        code: "service.odd_port",
        beside: &[],
        make: odd_port,
    };
}

/// Name of the server.
const NAME: &str = "www.example.org";

/// Handshakes with each server.
const HANDSHAKES: usize = 3;

/// A directory with keys, certificates and who signs them.
struct Keys {
    directory: TempDir,
}

/// Times as `openssl ca` has them, from now on.
fn from_now(hours: i64) -> String {
    let mut date = Command::new("date");
    date.args(["-u", "-d", &format!("{hours} hours"), "+%Y%m%d%H%M%SZ"]);
    output(&mut date).trim().to_owned()
}

impl Keys {
    /// A certificate for these names (`subjectAltName`), good for so many hours from and until now, signed by an authority
    /// or by itself.
    fn new(names: &str, hours: [i64; 2], is_self_signed: bool) -> Self {
        let keys = Self {
            directory: tempfile::tempdir().expect("a directory"),
        };
        let configuration = format!(
            "[ca]\ndefault_ca=own\n[own]\ndatabase={0}/index\nserial={0}/serial\nnew_certs_dir={0}\n\
             default_md=sha256\npolicy=any\nx509_extensions=names\nunique_subject=no\n\
             [any]\ncommonName=supplied\n[names]\nsubjectAltName={names}\n",
            keys.directory.path().display()
        );
        for (file, content) in [
            ("index", ""),
            ("serial", "01\n"),
            ("ca.cnf", &configuration),
        ] {
            fs::write(keys.file(file), content).expect("a file");
        }
        let [ca, ca_key, own, key] =
            ["ca.pem", "ca.key", "own.pem", "own.key"].map(|name| keys.path(name));
        let new_key = [
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ];
        let request = |arguments: &[&str]| {
            let mut openssl = Command::new("openssl");
            output(openssl.arg("req").args(new_key).args(arguments));
        };
        request(&[
            "-x509",
            "-days",
            "9",
            "-subj",
            "/CN=Test CA",
            "-keyout",
            &ca_key,
            "-out",
            &ca,
        ]);
        let csr = keys.path("own.csr");
        request(&[
            "-subj",
            &format!("/CN={NAME}"),
            "-keyout",
            &key,
            "-out",
            &csr,
        ]);
        let mut sign = Command::new("openssl");
        sign.args(["ca", "-batch", "-notext", "-config", &keys.path("ca.cnf")]);
        sign.args([
            "-startdate",
            &from_now(hours[0]),
            "-enddate",
            &from_now(hours[1]),
        ]);
        sign.args(["-in", &csr, "-out", &own]);
        match is_self_signed {
            true => sign.args(["-selfsign", "-keyfile", &key]),
            false => sign.args(["-cert", &ca, "-keyfile", &ca_key]),
        };
        output(&mut sign);
        keys
    }

    /// One that nobody has anything to say against.
    fn good() -> Self {
        Self::new(&format!("DNS:{NAME}"), [-1000, 1000], false)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn path(&self, name: &str) -> String {
        self.file(name).display().to_string()
    }
}

/// A server on host 1.
fn serve(lan: &Lan, keys: &Keys, port: u16, arguments: &[&str]) -> Background {
    let mut server = lan.host(1).command("openssl");
    server.args(["s_server", "-accept", &port.to_string(), "-www"]);
    server.args([
        "-cert",
        &keys.path("own.pem"),
        "-key",
        &keys.path("own.key"),
    ]);
    let mut server = Background::start(server.args(arguments));
    server.wait_for("ACCEPT");
    server
}

/// Clients on host 0, which end when they are connected.
fn connect(lan: &Lan, keys: &Keys, port: u16, arguments: &[&str]) {
    for _ in 0..HANDSHAKES {
        let mut client = lan.host(0).command("timeout");
        client.args(["3", "openssl", "s_client", "-servername", NAME]);
        client.args(["-connect", &format!("{}:{port}", Lan::ipv4(1))]);
        client.args(["-CAfile", &keys.path("ca.pem")]);
        any_end(client.args(arguments));
    }
}

/// What host 0 sees of connections with a server.
fn talk(keys: &Keys, port: u16, server: &[&str], client: &[&str]) -> Captured {
    let lan = Lan::new(2);
    let _server = serve(&lan, keys, port, server);
    watch(lan.host(0), || connect(&lan, keys, port, client))
}

fn expired(made: Made) -> Captured {
    let until = if made == Made::Wrong { -30 } else { 12 };
    let keys = Keys::new(&format!("DNS:{NAME}"), [-1000, until], false);
    talk(&keys, 443, &["-tls1_2"], &[])
}

fn self_signed(made: Made) -> Captured {
    let keys = Keys::new(&format!("DNS:{NAME}"), [-1, 1000], made == Made::Wrong);
    talk(&keys, 443, &["-tls1_2"], &[])
}

fn of_others(made: Made) -> Captured {
    let names = match made {
        Made::Wrong => "DNS:example.org,DNS:*.www.example.org",
        Made::Innocent => "DNS:other.example,DNS:*.example.org",
    };
    let keys = Keys::new(names, [-1, 1000], false);
    talk(&keys, 443, &["-tls1_2"], &[])
}

/// What this OpenSSL only does when it is told that nothing is too weak.
const ALL: &str = "ALL:@SECLEVEL=0";

fn old_version(made: Made) -> Captured {
    let version = if made == Made::Wrong {
        "-tls1"
    } else {
        "-tls1_3"
    };
    talk(
        &Keys::good(),
        443,
        &["-cipher", ALL],
        &["-cipher", ALL, version],
    )
}

fn null_cipher(made: Made) -> Captured {
    let cipher = match made {
        Made::Wrong => "ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0",
        Made::Innocent => "ECDHE-ECDSA-AES128-GCM-SHA256",
    };
    let arguments = ["-tls1_2", "-cipher", cipher];
    talk(&Keys::good(), 443, &arguments, &arguments)
}

fn offer_cipher(made: Made) -> Captured {
    let cipher = match made {
        Made::Wrong => "ECDHE-ECDSA-AES256-GCM-SHA384",
        Made::Innocent => "ECDHE-ECDSA-AES128-GCM-SHA256",
    };
    talk(
        &Keys::good(),
        443,
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"],
        &["-tls1_2", "-cipher", cipher],
    )
}

fn offer_version(made: Made) -> Captured {
    let version = if made == Made::Wrong {
        "-tls1_2"
    } else {
        "-tls1_3"
    };
    talk(&Keys::good(), 443, &["-tls1_3"], &[version])
}

fn distrust(made: Made, version: &str) -> Captured {
    let keys = Keys::good();
    let others = Keys::good();
    let trusted = if made == Made::Wrong { &others } else { &keys };
    let lan = Lan::new(2);
    let _server = serve(&lan, &keys, 443, &[version]);
    watch(lan.host(0), || {
        connect(&lan, trusted, 443, &["-verify_return_error"]);
    })
}

fn reset(made: Made) -> Captured {
    let keys = Keys::good();
    let lan = Lan::new(2);
    let _server = serve(&lan, &keys, 443, &[]);
    if made == Made::Wrong {
        let hello = "tcp dport 443 @ih,0,8 22 reject with tcp reset";
        rule(lan.host(1), "inet", "input", hello);
    }
    watch(lan.host(0), || connect(&lan, &keys, 443, &[]))
}

fn mute(made: Made) -> Captured {
    let keys = Keys::good();
    let lan = Lan::new(2);
    if made == Made::Innocent {
        let _server = serve(&lan, &keys, 443, &[]);
        return watch(lan.host(0), || {
            connect(&lan, &keys, 443, &[]);
            silence(&lan);
        });
    }
    let listener = lan.host(1).within(|| TcpListener::bind("0.0.0.0:443"));
    let _listener = listener.expect("the port is free");
    watch(lan.host(0), || {
        let mut client = lan.host(0).command("timeout");
        client.args(["5", "openssl", "s_client", "-connect"]);
        any_end(client.arg(format!("{}:443", Lan::ipv4(1))));
        std::thread::sleep(Duration::from_millis(100));
        silence(&lan);
    })
}

fn odd_port(made: Made) -> Captured {
    let port = if made == Made::Wrong { 4433 } else { 443 };
    talk(&Keys::good(), port, &[], &[])
}
