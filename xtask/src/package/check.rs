//! Checks of the packages: lintian, the whole life of the .deb and the .rpm on a copy of this machine that is thrown away
//! (installed, used, upgraded beside a running task and a changed configuration, removed), the image in a container, and
//! whether packages made twice are equal.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    again, container,
    make::{self, Kind, Made, stripped},
    portable,
    release::Release,
    rpm,
    target::Target,
};
use crate::{
    blocks, command,
    packages::{self, Tool},
    results::{Skip, Tally},
    workspace,
};

const TOOLS: &[Tool] = &[
    Tool {
        program: "lintian",
        packages: &["lintian"],
    },
    Tool {
        program: "mandoc",
        packages: &["mandoc"],
    },
    Tool {
        program: "zsh",
        packages: &["zsh"],
    },
    Tool {
        program: "fish",
        packages: &["fish"],
    },
    Tool {
        program: "objdump",
        packages: &["binutils"],
    },
    Tool {
        program: "rpm",
        packages: &["rpm"],
    },
];

/// Makes the copy of this machine in which these run.
const OVERLAY: &str = include_str!("overlay.sh");
const LIFE_OF_DEB: &str = include_str!("life_deb.sh");
const LIFE_OF_RPM: &str = include_str!("life_rpm.sh");

/// Packs an agent that runs here, twice, and checks the packages.
pub(crate) fn agent(agent: &Path, tally: &mut Tally) -> Result<()> {
    let directory = workspace::target_dir()?.join("package-test");
    std::fs::create_dir_all(&directory)?;
    let release = Release::new(Target::host()?, &directory)?;
    let agent = stripped(agent)?;
    let kinds = [Kind::Deb, Kind::Rpm, Kind::Tar, Kind::Sbom];
    let made = make::packages(&release, &kinds, &agent, &agent)?;
    let again = directory.join("again");
    std::fs::create_dir_all(&again)?;
    let second = make::packages(
        &Release::new(Target::host()?, &again)?,
        &kinds,
        &agent,
        &agent,
    )?;
    count(tally, "packages made twice are equal", || {
        equal(&made, &second)
    });
    package(&release, &made, tally)
}

/// Builds the packages of a release twice, at two places: both are equal. Checks them, and returns the Debian package for
/// this machine.
pub(crate) fn portable(tally: &mut Tally) -> Result<PathBuf> {
    let directory = workspace::target_dir()?.join("package");
    let agents = portable::agents(None, &directory.join("build"))?;
    let (made, files) = make::all(&agents, &Kind::ALL, &directory)?;
    for Made { release, files } in &made {
        package(release, files, tally)?;
    }
    count(
        tally,
        "a release built twice, at two places, is equal",
        || again::compare(&directory, &files, &[]),
    );
    let end = format!("_{}.deb", Target::host()?.debian);
    let package = files
        .into_iter()
        .find(|path| path.to_string_lossy().ends_with(&end));
    package.context("there is no Debian package")
}

/// Checks the Debian package among `files`.
pub(super) fn package(release: &Release, files: &[PathBuf], tally: &mut Tally) -> Result<()> {
    packages::ensure_tools(TOOLS)?;
    let has_end = |end: &str| {
        files
            .iter()
            .find(|file| file.to_string_lossy().ends_with(end))
    };
    let deb = has_end(".deb").context("there is no Debian package to check")?;
    count(tally, "lintian finds no error", || lintian(deb));
    let rpm = has_end(".rpm");
    if let Some(rpm) = rpm {
        count(tally, "rpm reads its package", || {
            let mut query = Command::new("rpm");
            let list = command::output(query.args(["-qlp", "--nosignature"]).arg(rpm))?;
            ensure!(list.contains("/usr/bin/capture-agent"), "{list}");
            Ok(())
        });
    }
    if !release.target.is_host() {
        return Ok(());
    }
    count(tally, "the life of the Debian package", || {
        life_of_deb(release, deb)
    });
    if let Some(rpm) = rpm {
        count(tally, "the life of the RPM package", || {
            life_of_rpm(release, rpm)
        });
    }
    if let Some(image) = has_end(".oci.tar") {
        in_container(release, image, tally);
    }
    Ok(())
}

/// Runs the image where runc is there, or can be installed.
fn in_container(release: &Release, image: &Path, tally: &mut Tally) {
    let name = "the image as the DaemonSet runs it";
    match packages::ensure_tools(container::TOOLS) {
        Ok(()) => count(tally, name, || container::check(release, image)),
        Err(error) => {
            println!("package: {name}: skipped: {error:#}");
            tally.skipped.push(Skip {
                test: "package::image_in_a_container".to_owned(),
                reason: format!("{error:#}"),
            });
        }
    }
}

/// Runs a check and counts it.
fn count(tally: &mut Tally, name: &str, check: impl FnOnce() -> Result<()>) {
    match check() {
        Ok(()) => {
            println!("package: {name}: pass");
            tally.passed += 1;
        }
        Err(error) => {
            println!("package: {name}: FAIL: {error:#}");
            tally.failed += 1;
        }
    }
}

fn equal(first: &[PathBuf], second: &[PathBuf]) -> Result<()> {
    for (one, other) in first.iter().zip(second) {
        ensure!(
            std::fs::read(one)? == std::fs::read(other)?,
            "{} and {} differ",
            one.display(),
            other.display()
        );
    }
    Ok(())
}

fn lintian(deb: &Path) -> Result<()> {
    let mut lintian = Command::new("lintian");
    lintian.args(["--allow-root", "--fail-on=error"]).arg(deb);
    let output = lintian
        .output()
        .with_context(|| command::cannot_start(&lintian))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    eprint!("{said}");
    ensure!(output.status.success(), "{said}");
    Ok(())
}

/// Runs a script as root of a copy of this machine, with these files in its home.
fn in_copy(release: &Release, script: &str, files: &[PathBuf]) -> Result<()> {
    let path = release.work("life");
    std::fs::write(&path, script)?;
    if !packages::is_root() {
        bail!("installing a package needs root");
    }
    let overlay = release.work("overlay");
    std::fs::write(&overlay, OVERLAY)?;
    let mut unshare = Command::new("unshare");
    unshare
        .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .args(["--net", "--uts", "bash", "-eu"])
        .arg(overlay)
        .arg(path)
        .args(files);
    command::output(&mut unshare).map(drop)
}

fn life_of_deb(release: &Release, deb: &Path) -> Result<()> {
    let block = release.work("install");
    std::fs::write(
        &block,
        &blocks::of("docs/start/install.md", "Debian and Ubuntu")?[0],
    )?;
    in_copy(release, LIFE_OF_DEB, &[deb.to_owned(), block])
}

fn life_of_rpm(release: &Release, rpm: &Path) -> Result<()> {
    let newer = rpm::newer(release)?;
    let mut files = Vec::new();
    for (from, name) in [(rpm, "one"), (&newer, "two")] {
        let to = release.work(name);
        std::fs::copy(from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
        files.push(to);
    }
    in_copy(release, LIFE_OF_RPM, &files)
}
