//! A database, by PostgreSQL, where it is installed. Its package starts a server for everybody, so it is not one
//! that the tests install.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
};

use capture_tests::{background::Background, lan::Lan, netns::Netns, output};

use super::{SERVER, client};

const PASSWORD: &str = "correct-horse";
/// The user `nobody`: the server refuses to run as root.
const NOBODY: u32 = 65534;
const AS_NOBODY: [&str; 4] = [
    "--reuid=nobody",
    "--regid=nogroup",
    "--clear-groups",
    "--reset-env",
];

/// Where the package of any version has its programs.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    versions
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .find(|programs| programs.join("initdb").exists() && programs.join("pgbench").exists())
}

/// A server all of whose files are below `directory`, filled for `pgbench`.
pub(super) fn serve(host: &Netns, directory: &Path) -> Option<Background> {
    let programs = programs()?;
    // Its way to its own files leads through this directory.
    fs::set_permissions(directory, fs::Permissions::from_mode(0o711)).expect("the mode is set");
    let data = directory.join("sql");
    fs::create_dir(&data).expect("a directory");
    chown(&data, Some(NOBODY), Some(NOBODY)).expect("the owner is set");
    let mut initdb = Command::new("setpriv");
    initdb
        .args(AS_NOBODY)
        .arg(programs.join("initdb"))
        .args(["--auth=trust", "--username=nobody", "--no-sync", "-D"])
        .arg(&data)
        .current_dir(&data);
    output(&mut initdb);
    let rules = "host all all 10.0.0.0/24 scram-sha-256\nlocal all all trust\n";
    fs::write(data.join("pg_hba.conf"), rules).expect("the rules are written");
    let mut postgres = host.command("setpriv");
    postgres
        .args(AS_NOBODY)
        .arg(programs.join("postgres"))
        .arg("-D")
        .arg(&data);
    postgres.args(["-c", "listen_addresses=*", "-c"]);
    postgres.arg(format!("unix_socket_directories={}", data.display()));
    let mut server = Background::start(&mut postgres);
    server.wait_for("ready to accept connections");
    let fill = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(programs.join(program));
        output(
            command
                .arg("-h")
                .arg(&data)
                .args(["-U", "nobody"])
                .args(arguments),
        );
    };
    let secret = format!("alter role nobody password '{PASSWORD}'");
    fill("psql", &["-q", "-c", &secret, "postgres"]);
    fill("pgbench", &["-q", "-i", "postgres"]);
    Some(server)
}

/// A connection that is kept open for some transactions, with a login like any other.
pub(super) fn work(lan: &Lan, index: usize, _: &Path) {
    let Some(programs) = programs() else {
        return;
    };
    let pgbench = programs.join("pgbench");
    let pgbench = pgbench.to_str().expect("a name");
    let password = format!("PGPASSWORD={PASSWORD}");
    let server = Lan::ipv4(SERVER);
    let load = ["-U", "nobody", "-n", "-c", "4", "-t", "25", "postgres"];
    client(
        lan,
        index,
        "env",
        &[&[&password, pgbench, "-h", &server], &load[..]].concat(),
    );
}
