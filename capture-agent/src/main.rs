//! The one binary: the command line with the daemon behind it, or, asked for by another, an inspector.

use std::process::ExitCode;

use capture_cli::Daemon;
use capture_daemon::{Deadlines, Options};
use capture_inspector::process::serve_if_asked;

/// What this was built from, or nothing.
const COMMIT: &str = env!("BUILD_COMMIT");

fn main() -> ExitCode {
    // Before there is anything that a process which reads capture files could do harm with.
    if let Some(is_well) = serve_if_asked() {
        return ExitCode::from(u8::from(!is_well));
    }
    capture_cli::main(Daemon {
        run: |config, user, set_log_format| {
            capture_daemon::run(Options {
                config,
                user,
                commit: COMMIT,
                set_log_format,
                deadlines: Deadlines::default(),
            })
        },
        check: capture_daemon::check,
        commit: COMMIT,
    })
}
