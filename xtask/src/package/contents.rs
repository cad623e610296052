//! The files of every package, in memory: where each goes, its mode and its bytes. [`Layout`] says how the places of a
//! package differ from those of the tarball.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use super::{
    cockpit,
    files::{self, gzip, read, text, write},
    manual,
    release::Release,
};
use crate::{command, workspace};

/// The shells with a script of completions, its name, and its directory: in packages of Debian, and elsewhere.
const SHELLS: [(&str, &str, [&str; 2]); 3] = [
    (
        "bash",
        "capture-agent",
        ["bash-completion/completions", "bash-completion/completions"],
    ),
    (
        "zsh",
        "_capture-agent",
        ["zsh/vendor-completions", "zsh/site-functions"],
    ),
    (
        "fish",
        "capture-agent.fish",
        ["fish/vendor_completions.d", "fish/vendor_completions.d"],
    ),
];

/// Directories of `deploy` that go to the documents as they are.
const EXAMPLES: [&str; 3] = ["prometheus", "grafana", "kubernetes"];

/// Where things go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Debian,
    Rpm,
    /// Below a prefix, such as `/usr/local`.
    Tarball,
}

impl Layout {
    fn prefix(self) -> &'static str {
        match self {
            Self::Debian | Self::Rpm => "usr",
            Self::Tarball => "",
        }
    }

    /// The directory of the program, as the unit names it.
    fn programs(self) -> &'static str {
        match self {
            Self::Debian | Self::Rpm => "/usr/bin",
            Self::Tarball => "/usr/local/bin",
        }
    }
}

/// A file, or a symlink.
#[derive(Debug)]
pub(super) struct Entry {
    /// Relative to the root.
    pub(super) path: PathBuf,
    pub(super) mode: u32,
    bytes: Vec<u8>,
    /// Where it leads, if it is a symlink.
    pub(super) link: Option<PathBuf>,
}

/// All of them.
pub(super) struct Contents {
    layout: Layout,
    pub(super) entries: Vec<Entry>,
}

impl Contents {
    /// Collects them. `speaking` is an agent that runs here: it has the man pages and the completions.
    pub(super) fn collect(
        layout: Layout,
        release: &Release,
        agent: &Path,
        speaking: &Path,
    ) -> Result<Self> {
        let mut this = Self {
            layout,
            entries: Vec::new(),
        };
        this.add("bin/capture-agent", 0o755, read(agent)?);
        this.service()?;
        this.manual(speaking)?;
        for (shell, name, directories) in SHELLS {
            let directory = directories[usize::from(layout != Layout::Debian)];
            let script =
                command::output(Command::new(speaking).args(["completions", shell]))? + "\n";
            this.add(
                &format!("share/{directory}/{name}"),
                0o644,
                script.into_bytes(),
            );
        }
        this.extcaps(release);
        this.documents(release)?;
        this.entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(this)
    }

    fn service(&mut self) -> Result<()> {
        let unit = text("deploy/systemd/capture-agent.service")?;
        ensure!(
            unit.contains("=/usr/local/bin/capture-agent"),
            "the unit does not start /usr/local/bin/capture-agent any more"
        );
        let unit = unit.replace("/usr/local/bin", self.layout.programs());
        self.add(
            "lib/systemd/system/capture-agent.service",
            0o644,
            unit.into_bytes(),
        );
        for kind in ["sysusers.d", "tmpfiles.d"] {
            let name = format!("{kind}/capture-agent.conf");
            let bytes = read(&workspace::root().join("deploy/systemd").join(&name))?;
            self.add(&format!("lib/{name}"), 0o644, bytes);
        }
        let config = text("deploy/config.toml")?.into_bytes();
        if self.layout == Layout::Tarball {
            self.add("share/doc/capture-agent/config.toml", 0o644, config);
            return Ok(());
        }
        self.entries.push(Entry {
            path: "etc/capture-agent/config.toml".into(),
            mode: 0o644,
            bytes: config,
            link: None,
        });
        let script = text("deploy/restart-when-idle")?.into_bytes();
        self.add("lib/capture-agent/restart-when-idle", 0o755, script);
        for (path, bytes) in cockpit::files()? {
            self.add(&format!("share/{path}"), 0o644, bytes);
        }
        Ok(())
    }

    fn manual(&mut self, speaking: &Path) -> Result<()> {
        let directory = workspace::target_dir()?.join("package/man");
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        command::run(Command::new(speaking).arg("man").arg(&directory))
            .context("cannot make the man pages")?;
        for entry in fs::read_dir(&directory)? {
            let page = entry?;
            let name = page.file_name().to_string_lossy().into_owned();
            let bytes = gzip(&read(&page.path())?)?;
            self.add(&format!("share/man/man8/{name}.gz"), 0o644, bytes);
        }
        let page = gzip(manual::configuration()?.as_bytes())?;
        self.add("share/man/man5/capture-agent.toml.5.gz", 0o644, page);
        Ok(())
    }

    fn documents(&mut self, release: &Release) -> Result<()> {
        let to = |name: &str| format!("share/doc/capture-agent/{name}");
        let changes = text("CHANGELOG.md")?.into_bytes();
        match self.layout {
            Layout::Debian => {
                let log = text("deploy/debian/changelog")?;
                release.check_changelog(&log)?;
                self.add(&to("changelog.gz"), 0o644, gzip(&changes)?);
                self.add(&to("changelog.Debian.gz"), 0o644, gzip(log.as_bytes())?);
                let copyright = text("deploy/debian/copyright")?.into_bytes();
                self.add(&to("copyright"), 0o644, copyright);
            }
            Layout::Rpm | Layout::Tarball => {
                self.add(&to("CHANGELOG.md"), 0o644, changes);
                for name in ["LICENSE-MIT", "LICENSE-APACHE"] {
                    self.add(&to(name), 0o644, text(name)?.into_bytes());
                }
            }
        }
        self.add(&to("README.md"), 0o644, text("README.md")?.into_bytes());
        for name in EXAMPLES {
            let directory = workspace::root().join("deploy").join(name);
            if !directory.is_dir() {
                continue;
            }
            for entry in fs::read_dir(&directory)? {
                let file = entry?;
                if file.file_type()?.is_file() {
                    let path = format!("examples/{name}/{}", file.file_name().to_string_lossy());
                    self.add(&to(&path), 0o644, read(&file.path())?);
                }
            }
        }
        Ok(())
    }

    /// A file below the layout's prefix.
    fn add(&mut self, path: &str, mode: u32, bytes: Vec<u8>) {
        self.entries.push(Entry {
            path: Path::new(self.layout.prefix()).join(path),
            mode,
            bytes,
            link: None,
        });
    }

    /// Wireshark starts the program by a symlink. A prefix such as `/usr/local` is nothing that it looks at.
    fn extcaps(&mut self, release: &Release) {
        let libraries = match self.layout {
            Layout::Debian => format!("lib/{}-linux-gnu", release.target.rust),
            Layout::Rpm => "lib64".to_owned(),
            Layout::Tarball => return,
        };
        // Wireshark 4.6 looks below libexec, earlier ones where the libraries of the architecture are.
        for directory in [libraries.as_str(), "libexec"] {
            let directory = format!("{directory}/wireshark/extcap");
            let up = "../".repeat(directory.split('/').count());
            self.entries.push(Entry {
                path: Path::new(self.layout.prefix())
                    .join(directory)
                    .join("capture-agent"),
                mode: 0o777,
                bytes: Vec::new(),
                link: Some(format!("{up}bin/capture-agent").into()),
            });
        }
    }

    /// The sum of their sizes, in KiB and rounded up for each, as Debian counts it.
    pub(super) fn kibibytes(&self) -> usize {
        let sizes = self.entries.iter().map(|entry| entry.bytes.len());
        sizes.map(|size| size.div_ceil(1024)).sum()
    }

    /// Writes them below a directory, which is emptied first, all with the time of the release.
    pub(super) fn write(&self, root: &Path, release: &Release) -> Result<()> {
        if root.exists() {
            fs::remove_dir_all(root)?;
        }
        for entry in &self.entries {
            let path = root.join(&entry.path);
            match &entry.link {
                None => write(&path, &entry.bytes, entry.mode, release.time())?,
                Some(to) => link(&path, to, release)?,
            }
        }
        Ok(())
    }
}

/// Makes a symlink with the time of the release, and the directories above.
fn link(path: &Path, to: &Path, release: &Release) -> Result<()> {
    let above = path.parent().context("a symlink has no directory")?;
    files::directories(above)?;
    symlink(to, path).with_context(|| format!("cannot make {}", path.display()))?;
    let mut touch = Command::new("touch");
    touch.arg("--no-dereference");
    command::run(touch.arg(format!("--date=@{}", release.epoch)).arg(path))
}
