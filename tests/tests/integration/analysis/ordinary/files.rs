//! Files over SMB, by Samba, where it is installed. Its package starts servers for everybody, so it is not one that
//! the tests install.

use std::{fs, io::Write as _, path::Path, process::Stdio};

use capture_tests::{
    TIMEOUT,
    background::Background,
    eventually,
    lan::{LAN_IF, Lan},
    netns::Netns,
    output,
};

use super::{SERVER, client};

const SMBD: &str = "/usr/sbin/smbd";
const PASSWORD: &str = "correct-horse";

fn is_there() -> bool {
    [SMBD, "/usr/bin/smbclient", "/usr/bin/smbpasswd"]
        .iter()
        .all(|program| Path::new(program).exists())
}

/// A server with one share and one user, all of whose files are below `directory`.
pub(super) fn serve(host: &Netns, directory: &Path) -> Option<Background> {
    if !is_there() {
        return None;
    }
    let root = directory.join("smb");
    fs::create_dir_all(root.join("share")).expect("a directory");
    let mut configuration = format!(
        "[global]\nserver role = standalone server\ninterfaces = {LAN_IF}\nbind interfaces only = yes\nsmb ports = 445\n\
         disable netbios = yes\nload printers = no\ndisable spoolss = yes\nsmbd profiling level = off\n\
         passdb backend = tdbsam:{0}/passdb.tdb\n",
        root.display()
    );
    for key in [
        "private dir",
        "lock directory",
        "state directory",
        "cache directory",
        "pid directory",
        "ncalrpc dir",
    ] {
        configuration += &format!("{key} = {}\n", root.display());
    }
    configuration += &format!("[share]\npath = {}/share\nread only = no\n", root.display());
    let file = root.join("smb.conf");
    fs::write(&file, configuration).expect("a configuration");
    add_user(host, &file);
    let mut smbd = host.command(SMBD);
    smbd.args(["--foreground", "--debug-stdout", "-s"])
        .arg(&file);
    let server = Background::start(&mut smbd);
    let listens = || !output(host.command("ss").args(["-Hltn", "sport = :445"])).is_empty();
    assert!(
        eventually(TIMEOUT, listens),
        "smbd does not listen: {}",
        server.output()
    );
    Some(server)
}

fn add_user(host: &Netns, configuration: &Path) {
    let mut smbpasswd = host.command("smbpasswd");
    smbpasswd
        .arg("-c")
        .arg(configuration)
        .args(["-a", "-s", "root"]);
    smbpasswd
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = smbpasswd.spawn().expect("smbpasswd starts");
    let mut stdin = child.stdin.take().expect("it is a pipe");
    write!(stdin, "{PASSWORD}\n{PASSWORD}\n").expect("the password is taken");
    drop(stdin);
    let done = child.wait_with_output().expect("smbpasswd ends");
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// A file that is put, listed, read and removed.
pub(super) fn work(lan: &Lan, index: usize, directory: &Path) {
    if !is_there() {
        return;
    }
    let (page, name) = (directory.join("page9"), format!("of-{index}"));
    let commands = format!(
        "put {} {name}; ls; get {name} /dev/null; del {name}",
        page.display()
    );
    let share = format!("//{}/share", Lan::ipv4(SERVER));
    let user = format!("root%{PASSWORD}");
    client(
        lan,
        index,
        "smbclient",
        &[&share, "-s", "/dev/null", "-U", &user, "-c", &commands],
    );
}
