//! What stands below the options in the help of commands: examples by purpose, environment, files, exit status. The
//! short help (`-h`) has the options that are used most.

/// Below the long help of `run`.
pub(super) const RUN: &str = "\
Examples:
  Right now, on the interface of the default route, until Ctrl-C:
    capture-agent run port 443
  The conversation of one service, for a minute:
    capture-agent run -i eth0 --ip 10.0.0.5 --port 443 --protocol tcp --duration 1m -w tls.pcapng
  DNS on every interface, only what arrives:
    capture-agent run -i any --protocol udp --port 53 -Q ingress
  Two hosts, the first 128 bytes of each frame, in ten files of 100 MB:
    capture-agent run -i eth0 --ip 10.0.0.5 --peer-ip 10.0.0.9 -s 128 -C 100 -W 10 -w ring.pcapng
  Straight into another program:
    capture-agent run -i eth0 --ip 10.0.0.5 -w - | tshark -r -
  On the screen, as tcpdump prints them:
    capture-agent run -i eth0 --port 53 --print
  Many tasks at once:
    capture-agent run --tasks night.toml

Files:
  NAME.part  grows, and is NAME once the capture is complete and on the disk; `recover` mends what a
             killed capture left. Under sudo the file belongs to the user who typed it.

Exit status:
  0  ended by a limit, a signal or the last interface; also where packets were lost, which is said
  1  a failure at run time
  2  wrong usage, or an invalid task
  3  a network namespace or a file is not there
  4  the file is being written by another capture, or another program has the interface
  6  a privilege or a kernel feature is missing
  7  a finding as bad as --fail-on says";

/// Below the short help of `run`.
pub(super) const RUN_SHORT: &str = "\
Example: capture-agent run -i eth0 --port 443 --duration 1m -w tls.pcapng
All options, and more examples: capture-agent run --help";

/// Below the long help of the program.
pub(super) const ROOT: &str = "\
Examples:
  capture-agent doctor                              whether this machine can capture
  capture-agent run -i eth0 port 443                a file, until Ctrl-C
  capture-agent run --print port 53                 packets on the screen
  capture-agent print -v web.pcapng                 a file, with all fields
  capture-agent analyze web.pcapng                  what is wrong in it
  capture-agent task create --name web -i eth0      a task of the daemon
Without a command, options of `run` and expressions mean `run`, as in `capture-agent -i eth0 port 443`.

Environment:
  CAPTURE_AGENT_SOCKET, CAPTURE_AGENT_URL, CAPTURE_AGENT_CONTEXT
                        daemon, unless --socket, --url or --context names one
  CAPTURE_AGENT_TOKEN_FILE, CAPTURE_AGENT_CA
                        as --token-file and --ca
  CAPTURE_AGENT_LOG     filter of log lines, as in debug or warn,capture_tasks=info
  NO_COLOR              no colours
  TERM                  dumb: no progress line

Files:
  /etc/capture-agent/config.toml  configuration of the daemon
  /run/capture-agent/api.sock     its socket
  ~/.config/capture-agent/contexts.toml  daemons by name, see `context`
  /var/lib/capture-agent          its database and captures

Exit status:
  0 done, 1 failure, 2 wrong usage, 3 not found, 4 conflict or quota, 5 no daemon, 6 privilege or
  kernel feature missing, 7 findings";

/// Below the help of `print`.
pub(super) const PRINT_EXAMPLES: &str = "\
Examples:
  The first packets of each connection to a port:
    capture-agent print -Y 'tcp.flags.syn == 1 and tcp.port == 443' web.pcapng
  Names that were asked for, from the capture of another tool:
    tcpdump -i eth0 -w - udp port 53 | capture-agent print -Y 'dns.flags.response == 0' -
  One packet, with all its fields and bytes:
    capture-agent print -Y 'frame.number == 12' -v -X web.pcapng";

/// Below the help of `completions`.
pub(super) const COMPLETIONS_PLACES: &str = "\
Where to put it, for all users:
  bash (with the package bash-completion):
    capture-agent completions bash > /usr/share/bash-completion/completions/capture-agent
  zsh:
    capture-agent completions zsh > /usr/local/share/zsh/site-functions/_capture-agent
  fish:
    capture-agent completions fish > /etc/fish/completions/capture-agent.fish
For yourself:
  bash, in ~/.bashrc:
    source <(capture-agent completions bash)
  zsh, in ~/.zshrc, below compinit:
    source <(capture-agent completions zsh)
  fish:
    capture-agent completions fish > ~/.config/fish/completions/capture-agent.fish";
