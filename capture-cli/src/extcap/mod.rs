//! `extcap`: this program as a source of Wireshark's (its doc/extcap.4). Wireshark starts it by a symlink in its directory of
//! extcaps: it lists interfaces and running tasks ([`list`]), describes a dialog ([`dialog`]), and captures by a task of a
//! daemon whose growing file goes into Wireshark's FIFO ([`follow`]). So nobody but the daemon needs a privilege. As root
//! and without a daemon, `run` captures.

mod dialog;
mod follow;
mod list;
mod source;

use std::{
    env,
    ffi::OsString,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use capture_task::{
    Cause,
    plan::{Plan, RequestOrigin},
    task::TaskSpec,
};
use nix::unistd::geteuid;

use self::source::{Source, What};
use super::{
    args::{ExtcapArgs, FieldArgs, TaskArgs},
    print,
    request::spec_of,
    words,
};
use crate::{
    error::{Error, ErrorKind, Result},
    exit::Exit,
};

/// How long it may take until the daemon of a capture is connected to.
const CONNECT: Duration = Duration::from_secs(10);

/// The words of a command line with `extcap`, where Wireshark calls: its first word is always one of these.
pub(super) fn with_command(mut typed: Vec<OsString>) -> Vec<OsString> {
    let first = typed.get(1).and_then(|word| word.to_str());
    if first.is_some_and(|word| word == "--capture" || word.starts_with("--extcap-")) {
        typed.insert(1, "extcap".into());
    }
    typed
}

/// Executes `extcap`. Wireshark knows one code of failure.
pub(super) fn execute(args: ExtcapArgs) -> Result<Exit> {
    answer(args).map_err(|error| Error {
        kind: ErrorKind::Runtime,
        ..error
    })
}

fn answer(args: ExtcapArgs) -> Result<Exit> {
    let ExtcapArgs {
        extcap_interfaces,
        extcap_dlts,
        extcap_config,
        capture,
        extcap_interface,
        fifo,
        extcap_capture_filter,
        extcap_version: _,
        extcap_reload_option,
        extcap_control_in: _,
        extcap_control_out: _,
        fields,
    } = args;
    if extcap_interfaces {
        print(list::interfaces().as_bytes())?;
        return Ok(Exit::Ok);
    }
    let interface = extcap_interface.ok_or_else(|| {
        Error::usage("this is for Wireshark to call; `--extcap-interface` is missing, `--extcap-interfaces` lists them")
    })?;
    let source = Source::parse(&interface)?;
    let filter = extcap_capture_filter.unwrap_or_default();
    if extcap_dlts {
        print(b"dlt {number=1}{name=EN10MB}{display=Ethernet}\n")?;
    } else if extcap_config {
        print(dialog::fields(&source, extcap_reload_option.as_deref()).as_bytes())?;
    } else if let (true, Some(fifo)) = (capture, fifo) {
        return start(&source, fields, &filter, &fifo).inspect_err(|_| follow::release(&fifo));
    } else if let Err(error) = task_of(&source, FieldArgs::default(), &filter) {
        // Anything on standard output is what is wrong with the filter.
        print(format!("{}\n", error.message).as_bytes())?;
    }
    Ok(Exit::Ok)
}

/// Captures until Wireshark has enough, or the task ends.
fn start(source: &Source, fields: FieldArgs, filter: &str, fifo: &Path) -> Result<Exit> {
    let spec = task_of(source, fields.clone(), filter)?;
    // Nobody is there to be asked for a password.
    let client = source.client()?.unattended(CONNECT);
    if geteuid().is_root() && source.is_local() && !list::answers(&client) {
        let What::Interface(name) = &source.what else {
            return Err(Error::new(
                ErrorKind::Unreachable,
                "the daemon of this task does not answer any more",
            ));
        };
        return Err(by_run(name, &fields, filter, fifo));
    }
    follow::capture(&client, source, &spec, fifo)
}

/// The task of a source, by what the dialog says and by the capture filter.
fn task_of(source: &Source, fields: FieldArgs, filter: &str) -> Result<TaskSpec> {
    let What::Interface(interface) = &source.what else {
        if !filter.trim().is_empty() {
            return Err(Error::usage(
                "a running task has its own filter; choose what is shown by a display filter",
            ));
        }
        return Ok(TaskSpec::default());
    };
    let FieldArgs {
        protocol,
        ip,
        port,
        peer_ip,
        peer_port,
        icmp_errors,
        direction,
        hook,
        max_bytes,
        duration,
        max_file_bytes,
        name,
    } = fields;
    // A field that is left as it is comes empty, or as the word that chooses nothing.
    let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let chosen = |text: Option<String>, usual: &str| given(text).filter(|text| text != usual);
    let list = |text: Option<String>| given(text).into_iter().collect();
    let task = TaskArgs {
        interface: vec![interface.clone()],
        protocol: chosen(protocol, "all"),
        ip: list(ip),
        port: list(port),
        peer_ip: list(peer_ip),
        peer_port: list(peer_port),
        icmp_errors,
        direction: chosen(direction, "both"),
        hook: chosen(hook, "auto"),
        max_bytes: chosen(max_bytes, "0"),
        duration: given(duration).or_else(|| Some(dialog::DURATION.to_owned())),
        max_file_bytes: given(max_file_bytes),
        name: given(name).or_else(|| Some(format!("wireshark {interface}"))),
        expression: filter.split_whitespace().map(str::to_owned).collect(),
        ..TaskArgs::default()
    };
    let mut problems = Vec::new();
    let spec = spec_of(task, &mut problems);
    if let Some(Err(faults)) = spec
        .as_ref()
        .map(|spec| Plan::resolve(spec, RequestOrigin::Daemon))
    {
        problems.extend(faults.iter().map(words::fault));
    }
    match spec {
        Some(spec) if problems.is_empty() => Ok(spec),
        _ => Err(Error::usage(problems.join("; "))),
    }
}

/// Becomes `run`; comes back only where that fails.
fn by_run(interface: &str, fields: &FieldArgs, filter: &str, fifo: &Path) -> Error {
    let mut command = Command::new(own_program());
    command
        .args(["run", "--quiet", "--interface", interface, "--write"])
        .arg(fifo);
    let text = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    for (option, value) in [
        (
            "--protocol",
            text(&fields.protocol).filter(|value| value != "all"),
        ),
        ("--ip", text(&fields.ip)),
        ("--port", text(&fields.port)),
        ("--peer-ip", text(&fields.peer_ip)),
        ("--peer-port", text(&fields.peer_port)),
        ("--direction", text(&fields.direction)),
        ("--hook", text(&fields.hook)),
        ("--max-bytes", text(&fields.max_bytes)),
        ("--duration", text(&fields.duration)),
        ("--max-file-bytes", text(&fields.max_file_bytes)),
        ("--name", text(&fields.name)),
    ] {
        if let Some(value) = value {
            command.arg(option).arg(value);
        }
    }
    if fields.icmp_errors {
        command.arg("--icmp-errors");
    }
    command.arg("--").args(filter.split_whitespace());
    let error = command.exec();
    Error::runtime(format!("starting `run`: {}", Cause(&error)))
}

fn own_program() -> PathBuf {
    env::current_exe().unwrap_or_else(|_| "capture-agent".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(filter: &str, fields: FieldArgs) -> Result<TaskSpec> {
        task_of(
            &Source::parse("capture-agent:eth0").expect("a source"),
            fields,
            filter,
        )
    }

    #[test]
    fn fields_and_filters_become_a_task() {
        let text = |text: &str| Some(text.to_owned());
        // As Wireshark gives them where nothing was typed.
        let untouched = FieldArgs {
            protocol: text("all"),
            ip: text(""),
            direction: text("both"),
            hook: text("auto"),
            max_bytes: text("0"),
            duration: text("1h"),
            ..FieldArgs::default()
        };
        let spec = of("tcp port 443", untouched.clone()).expect("a task");
        assert_eq!(spec.name.as_deref(), Some("wireshark eth0"));
        assert_eq!(spec.interfaces, ["eth0"]);
        assert_eq!(spec.protocol.as_deref(), Some("tcp"));
        assert_eq!(spec.ports.len(), 1);
        let typed = FieldArgs {
            ip: text("10.0.0.5"),
            ..untouched
        };
        assert_eq!(
            of("", typed.clone()).expect("a task").ip,
            Some("10.0.0.5".into())
        );
        let wrong = FieldArgs {
            ip: text("1.2.3"),
            ..FieldArgs::default()
        };
        for (filter, fields, part) in [
            ("", wrong, "--ip: "),
            ("tcp[13] & 2 != 0", FieldArgs::default(), "expression"),
            ("not port 22", FieldArgs::default(), "expression"),
            ("port 53", typed, "--ip"),
        ] {
            let error = of(filter, fields).expect_err(filter);
            assert!(
                error.message.to_lowercase().contains(part),
                "{}",
                error.message
            );
            assert_eq!(error.message.lines().count(), 1, "{}", error.message);
        }
    }

    #[test]
    fn wireshark_needs_no_command() {
        let of = |line: &str| {
            let words = with_command(line.split(' ').map(OsString::from).collect());
            words[1].to_str().expect("text").to_owned()
        };
        assert_eq!(of("x --extcap-interfaces --extcap-version=4.0"), "extcap");
        assert_eq!(of("x --capture --fifo a"), "extcap");
        assert_eq!(of("x run --capture"), "run");
    }
}
