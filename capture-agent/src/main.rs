//! The one binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    capture_agent::cli::main()
}
