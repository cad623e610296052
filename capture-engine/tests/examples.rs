//! The examples, as a reader of the documentation runs them, on an interface in a namespace.

/// What needs root: programs on interfaces.
mod privileged {
    use std::{
        env,
        io::{BufRead as _, BufReader, Read as _},
        path::PathBuf,
        process::{Child, ChildStderr, ExitStatus, Stdio},
    };

    use capture_tests::{
        netns::{HOST_IF, Lab, PEER_IF},
        traffic,
    };
    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };

    /// An example that captures.
    struct Example {
        child: Child,
        stderr: BufReader<ChildStderr>,
    }

    impl Example {
        fn start(lab: &Lab, name: &str, arguments: &[&str]) -> Self {
            let mut command = lab.host.command(path_of(name));
            command.args(arguments);
            let child = command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn();
            let mut child = child.expect("the example starts");
            let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
            let mut line = String::new();
            stderr.read_line(&mut line).expect("a line");
            assert_eq!(line, "capturing until Ctrl-C\n");
            Self { child, stderr }
        }

        /// Its standard output and standard error once it was interrupted.
        fn interrupted(mut self) -> (ExitStatus, String, String) {
            let pid = Pid::from_raw(self.child.id() as i32);
            kill(pid, Signal::SIGINT).expect("it runs");
            let mut texts = (String::new(), String::new());
            let mut stdout = self.child.stdout.take().expect("a pipe");
            stdout.read_to_string(&mut texts.0).expect("text");
            self.stderr.read_to_string(&mut texts.1).expect("text");
            (self.child.wait().expect("it ends"), texts.0, texts.1)
        }
    }

    /// Cargo compiles the examples with the tests of their package, and puts them beside.
    fn path_of(name: &str) -> PathBuf {
        let test = env::current_exe().expect("a path");
        let directory = test.ancestors().nth(2).expect("target/debug/deps");
        let path = directory.join("examples").join(name);
        assert!(
            path.exists(),
            "`cargo build -p capture-engine --examples` makes {}",
            path.display()
        );
        path
    }

    /// Sends this many frames to UDP port 9, and as many to another.
    fn send(lab: &Lab, count: u32) {
        let from = "10.0.0.2:4000".parse().expect("an address");
        let ports = ["10.0.0.1:9", "10.0.0.1:10"];
        for to in ports.map(|to| to.parse().expect("an address")) {
            let frames = (0..count).map(|number| traffic::udp_frame(from, to, number, 100));
            traffic::send(&lab.peer, PEER_IF, 0, frames);
        }
    }

    #[test]
    fn count_counts_the_packets_of_a_port() {
        let lab = Lab::new();
        let example = Example::start(&lab, "count", &[HOST_IF, "9"]);
        send(&lab, 50);
        let (status, stdout, stderr) = example.interrupted();
        assert!(status.success(), "{stderr}");
        assert_eq!(stdout, "50 packets, 5000 bytes, complete\n");
    }

    #[test]
    fn print_prints_a_line_for_each_packet() {
        let lab = Lab::new();
        let example = Example::start(&lab, "print", &[HOST_IF]);
        send(&lab, 20);
        let (status, stdout, stderr) = example.interrupted();
        assert!(status.success(), "{stderr}");
        assert_eq!(stdout.lines().count(), 40, "{stdout}");
        for line in stdout.lines() {
            assert!(line.ends_with(" Ingress 100 bytes"), "{line}");
        }
        assert_eq!(stderr, "complete\n");
    }

    #[test]
    fn print_ends_when_nobody_reads_its_lines() {
        let lab = Lab::new();
        let mut example = Example::start(&lab, "print", &[HOST_IF]);
        drop(example.child.stdout.take());
        // The printer sees that at its first line, and the sink at the next.
        let ended = || {
            send(&lab, 1);
            matches!(example.child.try_wait(), Ok(Some(_)))
        };
        assert!(capture_tests::eventually(
            std::time::Duration::from_secs(20),
            ended
        ));
    }
}
