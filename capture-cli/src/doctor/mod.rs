//! `doctor`: whether a capture is possible, by each of the two ways in: as whoever asks, and by the daemon. What it says
//! comes from [`capture_report`]; `bundle` is a report for a bug.

mod bundle;

use std::{io::IsTerminal as _, time::Duration};

use capture_report::{DaemonReport, Diagnosis, Style};
use tokio::time::timeout;

use super::{
    args::{DoctorArgs, OutputForm},
    client::{Client, block_on},
    listing::json_line,
    print,
    table::use_color,
};
use crate::{
    error::{Error, ErrorKind, Result},
    exit::Exit,
};

/// How long a daemon may take: it captures for a try, too.
const PATIENCE: Duration = Duration::from_secs(15);

/// Executes it.
pub(super) fn doctor(args: DoctorArgs, verbose: bool, commit: &'static str) -> Result<Exit> {
    let DoctorArgs {
        bundle,
        config,
        form,
        socket,
    } = args;
    // Without one, as where the file of contexts cannot be read, the other way in is judged all the same.
    let client = socket.client();
    let (who, asked) = match &client {
        Ok(client) => (client.address().to_string(), ask(client)),
        Err(error) => (String::new(), Err(error.message.clone())),
    };
    let diagnosis = Diagnosis::new(who, asked);
    if let Some(path) = bundle {
        let (config, client) = (config.as_deref(), client.as_ref());
        return bundle::write(&path, config, client, &diagnosis, commit);
    }
    match form.output {
        OutputForm::Json => print(&json_line(&diagnosis)?)?,
        OutputForm::Table => {
            let columns = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
            let style = Style {
                color: use_color(),
                width: columns.filter(|_| std::io::stdout().is_terminal()),
                verbose,
            };
            print(style.text(&diagnosis).as_bytes())?;
        }
    }
    Ok(match diagnosis.can_capture {
        true => Exit::Ok,
        false => Exit::Missing,
    })
}

/// What the daemon says, or why it says nothing.
fn ask(client: &Client) -> Result<DaemonReport, String> {
    let asked = block_on(async {
        let asked = timeout(PATIENCE, client.get("/doctor")).await;
        let late = |_| Error::runtime("the daemon does not answer; its log may say why");
        Ok(asked.map_err(late)??)
    });
    asked.map_err(|Error { kind, message }| match kind {
        ErrorKind::NotFound => {
            "the daemon is older than this program, and does not say; `capture-agent task create --dry-run` tries it".to_owned()
        }
        _ => message,
    })
}
