//! Every developer action: build, run, test, lint, and the set-up they need. `cargo xtask` (an
//! alias in `.cargo/config.toml`) comes here; each action is one module, on top of `toolchain`,
//! `linker` and `packages`, which find what is on the machine and add what is lacking.

mod bench;
mod blocks;
mod browser;
mod build;
mod command;
mod deny;
mod documents;
mod fuzz;
mod install;
mod layers;
mod linker;
mod lint;
mod manifests;
mod package;
mod packages;
mod results;
mod root;
mod run;
mod setup;
mod skips;
mod test;
mod toolchain;
mod vm_test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer actions of capture-agent.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Build the kernel programs and the agent that carries them
    Build(build::Arguments),
    /// Build the agent as it is installed and capture with it, through sudo where needed
    Run(run::Arguments),
    /// Run all tests: those of the host, then whole captures as root
    Test(test::Arguments),
    /// Capture on each supported kernel and use the package on whole systems, in virtual machines
    VmTest(vm_test::Arguments),
    /// Run the tests of the web console in a browser, as root
    Browser(browser::Arguments),
    /// Make the packages of a release: .deb, .rpm, tarball, OCI image, SBOM, checksums
    Package(package::Arguments),
    /// Measure the kernel programs, as root
    Bench(bench::Arguments),
    /// Fuzz the parsers, the readers and the analyzer
    Fuzz(fuzz::Arguments),
    /// Check layers, documents, types of the console, manifests, dependencies, format, lints of both sides, and documentation
    Lint(lint::Arguments),
    /// Make what the kernel programs are built with available, once
    Setup(setup::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().action {
        Action::Build(arguments) => build::build(&arguments),
        Action::Run(arguments) => run::run(&arguments),
        Action::Browser(arguments) => browser::browser(&arguments),
        Action::Package(arguments) => package::package(&arguments),
        Action::Bench(arguments) => bench::bench(&arguments),
        Action::Test(arguments) => return test::test(&arguments),
        Action::VmTest(arguments) => return vm_test::vm_test(&arguments),
        Action::Fuzz(arguments) => fuzz::fuzz(&arguments),
        Action::Lint(arguments) => lint::lint(&arguments),
        Action::Setup(arguments) => setup::setup(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            command::report(&error);
            ExitCode::FAILURE
        }
    }
}
