//! Downloads of a daemon's files: their names, of running tasks too, what is refused and why, and going on with what broke
//! off.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    thread,
};

use capture_tests::{
    daemon::{self, UNLIMITED, names, udp_task},
    netns::Lab,
    readers, traffic,
};
use serde_json::{Value, json};

use super::daemon_cli::{Done, Setup, run};

/// The one file that a command names, which is in a directory.
fn named(done: Done, setup: &Setup) -> PathBuf {
    setup.work(done.code(0).line())
}

fn count(path: &Path) -> usize {
    readers::packets(path).len()
}

#[test]
fn names_forms_and_what_is_refused() {
    let setup = Setup::new(UNLIMITED);
    let id = setup.finished("inv:4711/slow", 25);
    let record = setup.daemon.task(&id);
    let done = setup
        .cli(&format!("task download {id} -d new/dir -o json"))
        .code(0);
    let rows = done.json();
    let path = rows[0]["path"].as_str().expect("a path");
    assert!(
        path.starts_with("new/dir/inv-4711-slow_20")
            && path.ends_with(&format!("Z_{}.pcapng", &id[20..])),
        "{path}"
    );
    assert_eq!(count(&setup.work(path)), 25);
    for field in ["size", "packets", "sha256", "index"] {
        assert_eq!(rows[0][field], record["files"][0][field], "{field}");
    }
    // It is there.
    setup
        .cli(&format!("task download {id} -d new/dir"))
        .code(4)
        .says(&["--force"]);
    // And with --resume that is all that there is to do.
    setup
        .cli(&format!("task download {id} -d new/dir --resume"))
        .code(0);
    for (arguments, word) in [
        ("-o web.pcapng", "type: -w web.pcapng"),
        ("-o new/", "type: -d new/"),
        ("-o new", "type: -d new"),
        ("-o -", "type: -w -"),
        ("-w new", "type: -d new"),
        ("-w a -d b", "--directory"),
        ("--resume --anonymise", "--resume"),
    ] {
        setup
            .cli(&format!("task download {id} {arguments}"))
            .code(2)
            .says(&[word]);
    }
    fs::write(setup.work("file"), "").expect("written");
    setup
        .cli(&format!("task download {id} -d file"))
        .code(2)
        .says(&["no directory"]);
    // To a pipe, told of beside it.
    let done = setup
        .cli(&format!("task download {id} -w - -o json"))
        .code(0);
    let told: Value = serde_json::from_str(&done.stderr).expect("JSON alone");
    assert_eq!(told[0]["sha256"], record["files"][0]["sha256"]);
    // A copy says what it is, and one without addresses not whose.
    let headers = named(
        setup.cli(&format!("task download {id} --strip-payload")),
        &setup,
    );
    assert!(
        headers.to_string_lossy().ends_with("_headers.pcapng"),
        "{headers:?}"
    );
    let anonymous = named(
        setup.cli(&format!("task download {id} --anonymise")),
        &setup,
    );
    assert_eq!(anonymous, setup.work("capture_anonymous.pcapng"));
    setup.daemon.stop();
}

#[test]
fn a_running_task_gives_a_partial_file_that_is_gone_on_with() {
    let setup = Setup::new(UNLIMITED);
    let ended = setup.finished("web", 3);
    let id = setup.create("--name web --duration 10m");
    setup.send(60);
    setup.daemon.captured(&id, 60);
    let partial = named(setup.cli("task download web"), &setup);
    let name = partial
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    assert!(
        name.ends_with(&format!("_{}.partial.pcapng", &id[20..])),
        "{name}"
    );
    assert_eq!(count(&partial), 60);
    // It is replaced, as what comes later has it all.
    setup.send(20);
    setup.daemon.captured(&id, 80);
    named(setup.cli("task download web --part"), &setup);
    assert_eq!(count(&partial), 80);
    // Only what is missing comes: a byte that was changed here, far from the end, stays so.
    let change = |at: usize| {
        let mut bytes = fs::read(&partial).expect("the file");
        bytes[at] ^= 0xff;
        fs::write(&partial, bytes).expect("written");
    };
    let length = fs::metadata(&partial).expect("the file").len() as usize;
    assert!(length > 12_000, "{length}");
    setup.send(20);
    setup.daemon.captured(&id, 100);
    let before = fs::read(&partial).expect("the file");
    change(4000);
    named(setup.cli("task download web --resume"), &setup);
    let after = fs::read(&partial).expect("the file");
    assert!(after.len() > length && after[4000] == before[4000] ^ 0xff);
    // Near the end it shows that it is another file, which comes anew.
    change(after.len() - 100);
    named(setup.cli("task download web --resume"), &setup);
    assert_eq!(count(&partial), 100);
    assert_eq!(fs::read(&partial).expect("the file")[4000], before[4000]);
    change(4000);
    setup.daemon.stop_task(&id);
    // The end of the task: the digest tells, and the partial file goes.
    let whole = named(setup.cli(&format!("task download {id} --resume")), &setup);
    assert_eq!(count(&whole), 100);
    assert_eq!(
        names(setup.work.path()),
        [whole.file_name().expect("a name").to_string_lossy()]
    );
    assert!(count(&named(setup.cli(&format!("task download {ended}")), &setup)) == 3);
    setup.daemon.stop();
}

/// Hands requests on to a daemon, and back of each answer no more than so many bytes.
fn breaking(from: &Path, to: PathBuf, most: usize) {
    let listener = UnixListener::bind(from).expect("a socket");
    thread::spawn(move || {
        while let Ok((mut client, _)) = listener.accept() {
            let mut request = vec![0; 1 << 16];
            let length = client.read(&mut request).expect("a request");
            let mut daemon = UnixStream::connect(&to).expect("the daemon");
            daemon.write_all(&request[..length]).expect("handed on");
            let mut left = most;
            let mut answer = vec![0; 1024];
            while left > 0 {
                let room = left.min(answer.len());
                match daemon.read(&mut answer[..room]) {
                    Ok(0) | Err(_) => break,
                    Ok(read) => {
                        left -= read;
                        if client.write_all(&answer[..read]).is_err() {
                            break;
                        }
                    }
                }
            }
        }
    });
}

#[test]
fn what_broke_off_is_gone_on_with() {
    let setup = Setup::new(UNLIMITED);
    let id = setup.finished("web", 100);
    let own = setup.work("broken.sock");
    breaking(&own, setup.daemon.socket(), 12_000);
    let broken = format!("task download {id} -w a.pcapng --socket {}", own.display());
    let done = run(setup.command(&broken));
    assert_ne!(done.code, Some(0), "{done:?}");
    done.says(&["a.pcapng.part has ", "--resume"]);
    let part = setup.work("a.pcapng.part");
    let came = fs::metadata(&part).expect("it stays").len();
    assert!(came > 8000, "{came}");
    // Nothing is taken for granted.
    setup
        .cli(&format!("task download {id} -w a.pcapng"))
        .code(4)
        .says(&["a.pcapng.part", "--resume", "--force"]);
    // As the connection goes on breaking, each comes further.
    let done = run(setup.command(&format!("{broken} --resume")));
    assert_ne!(done.code, Some(0), "{done:?}");
    assert!(fs::metadata(&part).expect("it stays").len() > came);
    setup
        .cli(&format!("task download {id} -w a.pcapng --resume"))
        .code(0);
    assert_eq!(count(&setup.work("a.pcapng")), 100);
    // The beginning of another file is not.
    fs::write(setup.work("b.pcapng.part"), vec![7; 5000]).expect("written");
    setup
        .cli(&format!("task download {id} -w b.pcapng --resume"))
        .code(0);
    assert_eq!(count(&setup.work("b.pcapng")), 100);
    // More than there is.
    fs::write(setup.work("c.pcapng.part"), vec![7; 500_000]).expect("written");
    setup
        .cli(&format!("task download {id} -w c.pcapng --resume"))
        .code(0);
    assert_eq!(count(&setup.work("c.pcapng")), 100);
    assert_eq!(
        names(setup.work.path()),
        ["a.pcapng", "b.pcapng", "broken.sock", "c.pcapng"]
    );
    setup.daemon.stop();
}

/// As where `paths.captures` was changed, or somebody tidied up.
#[test]
fn files_that_should_be_there_are_said_to_be_missing() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let id = daemon.run(udp_task(json!({})));
    traffic::send_to_host(&lab, 0..10, 100);
    daemon.captured(&id, 10);
    daemon.stop_task(&id);
    let directory = daemon.captures(&id);
    let home = daemon.stop().home;
    fs::rename(&directory, home.path().join("elsewhere")).expect("renamed");
    let daemon = daemon::start_in(&lab.host, &home);
    let said = daemon.stderr();
    let warning = said
        .lines()
        .filter(|line| line.contains("1 of 1 tasks with files have none"));
    assert_eq!(warning.count(), 1, "{said}");
    let answer = daemon.ask("GET", &format!("/tasks/{id}/files/0"), None);
    let detail = answer.json()["detail"].clone();
    assert_eq!(
        answer.problem(404),
        [(String::new(), "files_missing".to_owned())]
    );
    let detail = detail.as_str().unwrap_or_default();
    let expected = format!("its files are not in {}; ", directory.display());
    assert!(detail.starts_with(&expected), "{detail}");
    fs::rename(home.path().join("elsewhere"), &directory).expect("renamed");
    assert_eq!(daemon.packets(&id).len(), 10);
    daemon.stop();
}
