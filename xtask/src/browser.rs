//! Tests of the web console in Debian's Chromium, by Node's test runner, and the types of its modules by TypeScript. The
//! packages they need come from npm by the lock file of `tests/browser`, into the target directory.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    build, command,
    package::cockpit,
    packages::{self, Tool},
    results::Tally,
    workspace,
};

const NODE: &[Tool] = &[
    Tool {
        program: "node",
        packages: &["nodejs"],
    },
    Tool {
        program: "npm",
        packages: &["npm"],
    },
];

const BROWSER: &[Tool] = &[
    Tool {
        program: "chromium",
        packages: &["chromium"],
    },
    Tool {
        program: "unshare",
        packages: &["util-linux"],
    },
    Tool {
        program: "ip",
        packages: &["iproute2"],
    },
    Tool {
        program: "ping",
        packages: &["iputils-ping"],
    },
    Tool {
        program: "openssl",
        packages: &["openssl"],
    },
    Tool {
        program: "curl",
        packages: &["curl"],
    },
    Tool {
        program: "cockpit-bridge",
        packages: &["cockpit-bridge"],
    },
    // These are in no PATH.
    Tool {
        program: "/usr/lib/cockpit/cockpit-ws",
        packages: &["cockpit-ws"],
    },
    Tool {
        program: "/usr/share/cockpit/shell/manifest.json",
        packages: &["cockpit-system"],
    },
];

/// What pictures in Chinese are written with; it is in no PATH.
const FONTS: &[Tool] = &[Tool {
    program: "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    packages: &["fonts-noto-cjk"],
}];

/// What sends many packets.
const SENDER: &[Tool] = &[Tool {
    program: "tcpreplay",
    packages: &["tcpreplay"],
}];

/// Where the tests are.
const DIRECTORY: &str = "tests/browser";

/// Where the page of Cockpit is written, below the directory of the tests.
const COCKPIT_DATA: &str = "cockpit-data";

/// Where the pictures of the documents are.
const PICTURES: &str = "docs/console";

/// Says that the namespaces are for these tests.
const LAB: &str = "CAPTURE_BROWSER_LAB";

/// By which the tests find the page of Cockpit, below `cockpit`.
const COCKPIT: &str = "CAPTURE_COCKPIT_DATA";

/// Written beside installed packages: the lock file that they were installed by.
const STAMP: &str = "installed.json";

/// Arguments of `cargo xtask browser`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Files of tests, such as `pages`; all of them where none is named
    files: Vec<String>,
    /// Take the pictures of docs/console anew, and test nothing
    #[arg(long, conflicts_with = "files")]
    pictures: bool,
    /// Capture so many packets, measure how soon the page shows them and what memory it takes, and test nothing
    #[arg(long, value_name = "PACKETS", conflicts_with_all = ["files", "pictures"])]
    large: Option<u64>,
}

/// `cargo xtask browser`.
pub(crate) fn browser(arguments: &Arguments) -> Result<()> {
    let agent = build::agent(&build::object()?, build::Profile::Release)?;
    if arguments.pictures {
        packages::ensure_tools(BROWSER)?;
        packages::ensure_tools(FONTS)?;
        let directory = workspace::root().join(PICTURES);
        fs::create_dir_all(&directory)?;
        let mut script = in_namespaces(&prepare()?, &agent);
        return command::run(script.arg("pictures.mjs").arg(directory));
    }
    if let Some(packets) = arguments.large {
        packages::ensure_tools(BROWSER)?;
        packages::ensure_tools(SENDER)?;
        let mut script = in_namespaces(&prepare()?, &agent);
        return command::run(script.arg("large.mjs").arg(packets.to_string()));
    }
    let mut tally = Tally::default();
    test(&agent, &arguments.files, &mut tally)?;
    println!("{tally}");
    ensure!(tally.is_good(), "tests in the browser failed, see above");
    Ok(())
}

/// Runs the tests with this agent, in namespaces of their own. `files` are names of files without `.test.mjs`; none is all.
pub(crate) fn test(agent: &Path, files: &[String], tally: &mut Tally) -> Result<()> {
    packages::ensure_tools(BROWSER)?;
    let directory = prepare()?;
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some(short) = name.strip_suffix(".test.mjs") else {
            continue;
        };
        if files.is_empty() || files.iter().any(|file| file == short) {
            names.push(name);
        }
    }
    names.sort();
    ensure!(!names.is_empty(), "{DIRECTORY} has no such tests");
    let mut command = in_namespaces(&directory, agent);
    command
        .args([
            "--test",
            "--test-concurrency=1",
            "--test-reporter=./reporter.mjs",
        ])
        .args(names);
    tally.run(&mut command)
}

/// Node in network, mount and process namespaces of its own.
fn in_namespaces(directory: &Path, agent: &Path) -> Command {
    let mut command = Command::new("unshare");
    command
        .args([
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "node",
        ])
        .current_dir(directory)
        .env(build::AGENT_VARIABLE, agent)
        .env(COCKPIT, directory.join(COCKPIT_DATA))
        .env(LAB, "1");
    command
}

/// Checks the types that the console's modules say in comments.
pub(crate) fn types() -> Result<()> {
    let compiler = prepare()?.join("node_modules/typescript/bin/tsc");
    command::run(
        Command::new("node")
            .arg(compiler)
            .args(["--project", "capture-console/tsconfig.json"])
            .current_dir(workspace::root()),
    )
}

/// The directory with a copy of the tests, and the packages that they need.
fn prepare() -> Result<PathBuf> {
    packages::ensure_tools(NODE)?;
    let directory = workspace::target_dir()?.join("browser");
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let source = workspace::root().join(DIRECTORY);
    // A test that was renamed must not be run by its old name.
    for entry in fs::read_dir(&directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(".mjs") {
            fs::remove_file(entry.path())?;
        }
    }
    for entry in fs::read_dir(&source).with_context(|| format!("no {}", source.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), directory.join(entry.file_name()))?;
        }
    }
    cockpit::write(&directory.join(COCKPIT_DATA))?;
    let lock = fs::read(source.join("package-lock.json"))?;
    let stamp = directory.join(STAMP);
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(directory);
    }
    command::say("installing what the tests of the console need, by npm");
    let options = [
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ];
    command::run(Command::new("npm").args(options).current_dir(&directory))?;
    fs::write(stamp, lock)?;
    Ok(directory)
}
