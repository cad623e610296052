//! Runs every test: those of the host crates as the present user, then, as root, those that need
//! it and the whole captures of `capture-tests` against a release agent, and where kernels are named, the
//! captures of `vm_test` on these. `results` adds them up to the one line that ends the output.
//!
//! A test outside `capture-tests` that needs root stands in a module named `privileged`. Without
//! root it fails; nothing is skipped in silence.

use std::{
    env,
    ffi::OsString,
    num::NonZero,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{
    browser, build, command, install, package, packages,
    results::Tally,
    run,
    skips::{self, Notes},
    vm_test::{self, Suite, Wanted},
};

/// The package of the end-to-end tests.
const END_TO_END: &str = "capture-tests";

/// The variable by which they learn with which rights it runs, and its value for those of the systemd unit.
const RIGHTS: (&str, &str) = ("CAPTURE_TEST_RIGHTS", "unit");

/// The end-to-end tests that run once more with these rights, by binary and module: every kind of hook, alone,
/// together and beside programs of others. What they need of the kernel is what any other capture needs.
const WITH_UNIT_RIGHTS: [(&str, &[&str]); 2] = [
    (
        "integration",
        &["coexistence", "foreign", "shapes", "stacked", "tasks"],
    ),
    ("serial", &["mixture"]),
];

/// The end-to-end tests that wait for packets and durations more than they compute: two at a time for each CPU take three quarters
/// of the time. The others are about what the machine can take, or ask for it alone.
const MOSTLY_WAITING: &str = "integration";

/// By which libtest learns how many tests run at a time.
const TEST_THREADS: &str = "RUST_TEST_THREADS";

/// The path part of tests outside [`END_TO_END`] that need root.
const PRIVILEGED: &str = "privileged::";

/// Packages that have such tests.
const WITH_PRIVILEGED: [&str; 6] = [
    "capture-file",
    "capture-engine",
    "capture-store",
    "capture-tasks",
    "capture-daemon",
    "capture-agent",
];

/// Arguments of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Run only the tests that need neither root nor the kernel programs
    #[arg(long)]
    no_privileged: bool,
    /// Capture on these kernels too, in virtual machines as by `vm-test`, and count that
    #[arg(
        long,
        value_name = "KERNEL,…",
        value_delimiter = ',',
        conflicts_with = "no_privileged"
    )]
    kernels: Vec<String>,
    /// Install the agent by plain cargo too, with and without its kernel programs, and count that
    #[arg(long, conflicts_with = "no_privileged")]
    install: bool,
    /// Install and use the package on whole systems too, in virtual machines as by `vm-test`, and count that
    #[arg(
        long,
        value_name = "SUITE,…",
        value_delimiter = ',',
        conflicts_with = "no_privileged"
    )]
    system: Vec<Suite>,
    /// Also what takes too long for each change: packages of a release, built at two places and compared, and used on Debian 13
    #[arg(long, conflicts_with = "no_privileged")]
    full: bool,
    /// Arguments for every test binary: names to filter by, `--nocapture`, …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    tests: Vec<String>,
}

/// A compiled test binary.
struct Binary {
    name: String,
    path: PathBuf,
    /// The directory of its package, where cargo would start it.
    directory: PathBuf,
}

/// `cargo xtask test`. The last line of the output is always the summary.
pub(crate) fn test(arguments: &Arguments) -> ExitCode {
    let mut tally = Tally::default();
    // Tests of the host crates have their files judged by the same programs.
    let mut outcomes = vec![packages::ensure_tools(packages::TEST_TOOLS)];
    match Notes::new() {
        Ok(notes) => {
            outcomes.extend(workspace(arguments, &notes, &mut tally));
            outcomes.push(notes.count(&mut tally));
        }
        error => outcomes.push(error.map(drop)),
    }
    if arguments.install {
        outcomes.push(install::check(&mut tally));
    }
    if arguments.full {
        outcomes.push(full(&mut tally));
    }
    if !arguments.kernels.is_empty() || !arguments.system.is_empty() {
        let wanted = Wanted {
            kernels: (!arguments.kernels.is_empty()).then_some(&arguments.kernels),
            systems: &arguments.system,
            ..Wanted::default()
        };
        outcomes.push(vm_test::run(&wanted, &mut tally));
    }
    outcomes.push(skips::judge(&mut tally));
    for error in outcomes.into_iter().filter_map(Result::err) {
        command::report(&error);
        tally.failed += 1;
    }
    // What failed first is far above, and of a long log only the end may be kept.
    for failure in tally.failures() {
        println!("failed: {failure}");
    }
    println!("{tally}");
    if tally.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What takes too long for each change.
fn full(tally: &mut Tally) -> Result<()> {
    let package = package::check::portable(tally)?;
    let wanted = Wanted {
        systems: &[Suite::Trixie],
        package: Some(&package),
        ..Wanted::default()
    };
    vm_test::run(&wanted, tally)
}

/// The tests of the workspace. What keeps some from running does not keep the others.
fn workspace(arguments: &Arguments, notes: &Notes, tally: &mut Tally) -> Vec<Result<()>> {
    if arguments.no_privileged {
        return vec![host(arguments, None, notes, tally)];
    }
    let object = build::object();
    vec![
        host(arguments, object.as_deref().ok(), notes, tally),
        object.and_then(|object| privileged(arguments, &object, notes, tally)),
    ]
}

/// All but the end-to-end tests, as the present user.
fn host(
    arguments: &Arguments,
    object: Option<&Path>,
    notes: &Notes,
    tally: &mut Tally,
) -> Result<()> {
    let mut cargo = command::cargo();
    cargo.args([
        "test",
        "--workspace",
        "--exclude",
        END_TO_END,
        "--no-fail-fast",
        "--",
    ]);
    if object.is_none() || !packages::is_root() {
        cargo.args(["--skip", PRIVILEGED]);
    }
    if let Some(object) = object {
        cargo.env(build::OBJECT_VARIABLE, object);
    }
    cargo.env(skips::VARIABLE, notes.path());
    tally.run(cargo.args(&arguments.tests))
}

/// The end-to-end tests, and what [`host`] left out for lack of root.
fn privileged(
    arguments: &Arguments,
    object: &Path,
    notes: &Notes,
    tally: &mut Tally,
) -> Result<()> {
    let agent = build::agent(object, build::Profile::Release)?;
    // Names of tests are those of Rust's.
    if arguments.tests.is_empty() && packages::is_root() {
        browser::test(&agent, &[], tally)?;
        package::check::agent(&agent, tally)?;
    }
    let mut variables = vec![
        (build::AGENT_VARIABLE, agent.into_os_string()),
        (skips::VARIABLE, notes.path().into()),
    ];
    if !packages::is_root() {
        for package in WITH_PRIVILEGED {
            for binary in compile(package, object)? {
                let mut names = binary.tests(&arguments.tests)?;
                names.retain(|name| name.contains(PRIVILEGED));
                binary.run(&names, &variables, arguments, tally)?;
            }
        }
    }
    let binaries = compile(END_TO_END, object)?;
    for binary in &binaries {
        let mut variables = variables.clone();
        if binary.name == MOSTLY_WAITING && env::var_os(TEST_THREADS).is_none() {
            let cpus = std::thread::available_parallelism().map_or(1, NonZero::get);
            variables.push((TEST_THREADS, (2 * cpus).to_string().into()));
        }
        tally.run(binary.as_root(&variables).args(&arguments.tests))?;
    }
    let (name, value) = RIGHTS;
    variables.push((name, value.into()));
    for (name, modules) in WITH_UNIT_RIGHTS {
        let binary = binaries.iter().find(|binary| binary.name == name);
        let binary = binary.with_context(|| format!("{END_TO_END} has no tests `{name}`"))?;
        let all = binary.tests(&[])?;
        let has = |module: &str| all.iter().any(|test| is_in(test, module));
        if let Some(missing) = modules.iter().find(|module| !has(module)) {
            bail!("{END_TO_END} has no tests `{missing}::` in `{name}`");
        }
        command::say(format_args!(
            "the same with the rights of the systemd unit:"
        ));
        let mut names = binary.tests(&arguments.tests)?;
        names.retain(|test| modules.iter().any(|module| is_in(test, module)));
        binary.run(&names, &variables, arguments, tally)?;
    }
    Ok(())
}

/// Compiles the test binaries of `package`, as the present user.
fn compile(package: &str, object: &Path) -> Result<Vec<Binary>> {
    let mut cargo = command::cargo();
    cargo
        .args(["test", "--package", package, "--no-run"])
        .arg("--message-format=json-render-diagnostics")
        .env(build::OBJECT_VARIABLE, object)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let output = cargo
        .output()
        .with_context(|| format!("cannot start `{}`", command::line(&cargo)))?;
    if !output.status.success() {
        bail!("cannot compile the tests of {package}; cargo says why above");
    }
    Ok(binaries(&String::from_utf8_lossy(&output.stdout)))
}

/// The test binaries that cargo's JSON messages tell of, a message a line.
fn binaries(messages: &str) -> Vec<Binary> {
    messages
        .lines()
        .filter_map(|message| serde_json::from_str::<Value>(message).ok())
        .filter(|message| message["profile"]["test"] == true)
        .filter_map(|message| {
            let manifest = Path::new(message["manifest_path"].as_str()?);
            Some(Binary {
                name: message["target"]["name"].as_str()?.to_owned(),
                path: message["executable"].as_str()?.into(),
                directory: manifest.parent()?.to_owned(),
            })
        })
        .collect()
}

/// The names of the tests in libtest's list.
fn listed(list: &str) -> Vec<String> {
    list.lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .map(str::to_owned)
        .collect()
}

/// Whether a test is in this module of its binary's root.
fn is_in(test: &str, module: &str) -> bool {
    test.split_once("::")
        .is_some_and(|(root, _)| root == module)
}

impl Binary {
    /// The names of its tests, of those that `filters` let through.
    fn tests(&self, filters: &[String]) -> Result<Vec<String>> {
        let mut list = Command::new(&self.path);
        list.current_dir(&self.directory)
            .args(["--list", "--format", "terse"])
            .args(filters);
        Ok(listed(&command::output(&mut list)?))
    }

    /// Runs these of its tests as root.
    fn run(
        &self,
        names: &[String],
        variables: &[(&'static str, OsString)],
        arguments: &Arguments,
        tally: &mut Tally,
    ) -> Result<()> {
        // Without a name libtest runs them all.
        if names.is_empty() {
            return Ok(());
        }
        let mut tests = self.as_root(variables);
        tally.run(tests.arg("--exact").args(names).args(&arguments.tests))
    }

    /// The command that runs all its tests as root, with these variables, and what cargo tells a test. Where there
    /// is no sudo the tests run, and fail, without.
    fn as_root(&self, variables: &[(&'static str, OsString)]) -> Command {
        command::say(format_args!("running {}", self.path.display()));
        let mut variables = variables.to_vec();
        variables.push(("CARGO_MANIFEST_DIR", self.directory.clone().into()));
        if let Some(backtrace) = env::var_os("RUST_BACKTRACE") {
            variables.push(("RUST_BACKTRACE", backtrace));
        }
        let mut tests = if packages::is_root() || command::find("sudo").is_none() {
            let mut tests = Command::new(&self.path);
            tests.envs(variables);
            tests
        } else {
            // sudo drops the environment; `env` behind it needs no right to keep it.
            let mut sudo = run::as_root(Path::new("env"));
            for (name, value) in variables {
                let mut assignment = OsString::from(name);
                assignment.push("=");
                assignment.push(value);
                sudo.arg(assignment);
            }
            sudo.arg(&self.path);
            sudo
        };
        tests.current_dir(&self.directory);
        tests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_binaries_are_found_among_the_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","manifest_path":"/w/a/Cargo.toml","#,
            r#""profile":{"test":false},"executable":"/w/target/debug/a"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","manifest_path":"/w/tests/Cargo.toml","#,
            r#""target":{"name":"t"},"profile":{"test":true},"executable":"/w/target/debug/deps/t-1"}"#,
            "\nnot JSON\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let found = binaries(messages);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name, "t");
        assert_eq!(found[0].path, Path::new("/w/target/debug/deps/t-1"));
        assert_eq!(found[0].directory, Path::new("/w/tests"));
    }

    #[test]
    fn tests_are_chosen_by_their_module() {
        let list = "tasks::a: test\ndaemon_tasks::b: test\nbench: benchmark\n";
        let mut names = listed(list);
        assert_eq!(names, ["tasks::a", "daemon_tasks::b"]);
        names.retain(|name| is_in(name, "tasks"));
        assert_eq!(names, ["tasks::a"]);
    }
}
