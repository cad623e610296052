//! Shells as a person uses them, with the agent in PATH and its completion in place: keys are typed at a terminal, and
//! what stands on the line then is read.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read as _, Write as _},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::terminal::PseudoTerminal;

/// Longest time for a shell to do something.
const PATIENCE: Duration = Duration::from_secs(30);

/// Of bash: Control-G keeps what stands on the line, in a file, and clears it.
const BASH: &str = r#"
    PS1='ready> '; . "$SCRIPTS/bash"
    bind 'set enable-bracketed-paste off'
    keep() { [[ $READLINE_LINE ]] || return; printf '%s' "$READLINE_LINE" > "$SCRIPTS/line.new"; mv "$SCRIPTS/line.new" "$SCRIPTS/line"; READLINE_LINE=; }
    bind -x '"\C-g": keep'
"#;

const ZSH: &str = r#"
    PS1='ready> '; unsetopt beep
    autoload -U compinit && compinit -u -d "$SCRIPTS/dump"
    source "$SCRIPTS/zsh"
"#;

/// As packages install it: found by its name in a directory, and loaded at the first tab key.
const ZSH_INSTALLED: &str = r#"
    PS1='ready> '; unsetopt beep
    mkdir "$SCRIPTS/site"; cp "$SCRIPTS/zsh" "$SCRIPTS/site/_capture-agent"
    fpath=("$SCRIPTS/site" $fpath)
    autoload -U compinit && compinit -u -d "$SCRIPTS/dump"
"#;

const ZSH_KEEP: &str = r#"
    keep() { [[ -n $BUFFER ]] || return; print -rn -- "$BUFFER" > "$SCRIPTS/line.new"; mv "$SCRIPTS/line.new" "$SCRIPTS/line"; BUFFER=; }
    zle -N keep; bindkey '^G' keep
"#;

const FISH: &str = r#"
    source $SCRIPTS/fish
    function fish_prompt; echo -n 'ready> '; end
    function keep
        set -l line (commandline)
        test -n "$line"; or return
        printf %s "$line" > $SCRIPTS/line.new; mv $SCRIPTS/line.new $SCRIPTS/line; commandline ''
    end
    bind \cg keep
"#;

/// A shell at a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminal {
    /// bash.
    Bash,
    /// zsh that has read the script.
    Zsh,
    /// zsh that finds the script at the first tab key.
    ZshInstalled,
    /// fish.
    Fish,
}

impl Terminal {
    fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh | Self::ZshInstalled => "zsh",
            Self::Fish => "fish",
        }
    }

    /// What the shell reads when it starts, and the arguments by which it does.
    fn start(self) -> (&'static str, String, &'static [&'static str]) {
        match self {
            Self::Bash => (
                "start",
                BASH.to_owned(),
                &["--noprofile", "--rcfile", "../start", "-i"],
            ),
            Self::Zsh => (".zshrc", format!("{ZSH}{ZSH_KEEP}"), &["-d", "-i"]),
            Self::ZshInstalled => (
                ".zshrc",
                format!("{ZSH_INSTALLED}{ZSH_KEEP}"),
                &["-d", "-i"],
            ),
            Self::Fish => (
                "start.fish",
                FISH.to_owned(),
                &["--no-config", "-i", "-C", "source ../start.fish"],
            ),
        }
    }
}

/// A home with the agent, the scripts for each shell, and files to be offered.
#[derive(Debug)]
pub struct Shells {
    directory: TempDir,
    socket: PathBuf,
}

impl Shells {
    /// With this agent. The socket of its daemon does not exist.
    pub fn new(agent: &Path) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path();
        fs::create_dir(path.join("bin")).expect("a directory");
        symlink(agent, path.join("bin/capture-agent")).expect("a link");
        fs::create_dir(path.join("work")).expect("a directory");
        for name in ["a.pcapng", "with space.pcapng", "directory/inner.pcapng"] {
            let file = path.join("work").join(name);
            fs::create_dir_all(file.parent().expect("a parent")).expect("a directory");
            fs::write(file, "").expect("a file");
        }
        for shell in ["bash", "zsh", "fish"] {
            let mut command = Command::new(agent);
            let output = command.args(["completions", shell]).output();
            let output = output.expect("the agent runs");
            assert!(output.status.success(), "{shell}");
            fs::write(path.join(shell), output.stdout).expect("a script");
        }
        let socket = path.join("no.sock");
        Self { directory, socket }
    }

    /// The same with a daemon.
    pub fn with_daemon(agent: &Path, socket: PathBuf) -> Self {
        Self {
            socket,
            ..Self::new(agent)
        }
    }

    /// The home directory of its shells.
    pub fn home(&self) -> &Path {
        self.directory.path()
    }

    /// A shell, or another program.
    pub fn command(&self, name: &str) -> Command {
        let path = std::env::var("PATH").expect("a PATH");
        let home = self.home();
        let mut command = Command::new(name);
        command
            .env("PATH", format!("{}/bin:{path}", home.display()))
            .env("HOME", home)
            .env_remove("XDG_CONFIG_HOME")
            .env("SCRIPTS", home)
            .env("CAPTURE_AGENT_SOCKET", &self.socket)
            .env("TERM", "dumb")
            .current_dir(home.join("work"));
        command
    }

    /// Types the first of each pair with a tab key behind it, and compares what stands on the line then with the second.
    ///
    /// # Errors
    /// There is no such shell.
    pub fn type_keys(&self, terminal: Terminal, pairs: &[(&str, &str)]) -> Result<(), String> {
        let name = terminal.name();
        installed(name, Command::new(name).arg("--version").output())?;
        let (start, script, arguments) = terminal.start();
        fs::write(self.home().join(start), script).expect("a file");
        let pty = PseudoTerminal::open();
        let slave = || Stdio::from(pty.slave.try_clone().expect("a descriptor"));
        let mut child = self
            .command("setsid")
            .env("ZDOTDIR", self.home())
            .args(["--ctty", "--wait", name])
            .args(arguments)
            .stdin(slave())
            .stdout(slave())
            .stderr(slave())
            .spawn()
            .expect("setsid is there");
        let mut master = File::from(pty.master);
        let mut screen = master.try_clone().expect("a descriptor");
        // What is shown is read, so that the shell is not held up.
        let reader = thread::spawn(move || {
            let (mut shown, mut part) = (Vec::new(), [0; 4096]);
            while let Ok(count @ 1..) = screen.read(&mut part) {
                shown.extend_from_slice(&part[..count]);
            }
            String::from_utf8_lossy(&shown).into_owned()
        });
        let line = self.home().join("line");
        let mut found = Vec::new();
        for (keys, _) in pairs {
            let _ = fs::remove_file(&line);
            // The first keys may come before the shell has read its settings: they are kept by the terminal.
            master.write_all(keys.as_bytes()).expect("keys are typed");
            master.write_all(b"\t").expect("keys are typed");
            let since = Instant::now();
            while !line.exists() && since.elapsed() < PATIENCE {
                master.write_all(b"\x07").expect("keys are typed");
                thread::sleep(Duration::from_millis(300));
            }
            found.push(fs::read_to_string(&line).unwrap_or_default());
        }
        // Ends the shell, wherever it is.
        master.write_all(b"\x15 exit\n").expect("keys are typed");
        let since = Instant::now();
        while matches!(child.try_wait(), Ok(None)) && since.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
        drop((master, pty.slave));
        let shown = reader.join().expect("the screen");
        for ((keys, expected), found) in pairs.iter().zip(found) {
            assert_eq!(found.trim_end(), *expected, "{name}: {keys}: {shown}");
        }
        Ok(())
    }
}

/// The output of a shell, or that it is not there.
///
/// # Errors
/// It is not installed.
pub fn installed(name: &str, output: std::io::Result<Output>) -> Result<Output, String> {
    match output {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(format!("{name} is not installed"))
        }
        output => Ok(output.expect("it runs")),
    }
}
