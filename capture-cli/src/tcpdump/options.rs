//! Options of tcpdump, dumpcap and tshark that have another name here, or no place: each with what to type instead.

/// An option of another tool.
struct Foreign {
    /// How it is written.
    spellings: &'static [&'static str],
    /// What to type; `{}` is the value that was given.
    words: &'static str,
}

/// By subject. Options that are taken, such as `-n`, are not here.
const FOREIGN: &[Foreign] = &[
    Foreign {
        spellings: &["-D", "--list-interfaces"],
        words: "`capture-agent interfaces` lists them",
    },
    Foreign {
        spellings: &["-L", "--list-data-link-types"],
        words: "`capture-agent interfaces` shows the link type of each interface",
    },
    Foreign {
        spellings: &["-r", "--read", "--read-file"],
        words: "`capture-agent print {}` reads a file",
    },
    Foreign {
        spellings: &["-V"],
        words: "`capture-agent print -v FILE` shows the fields of packets",
    },
    Foreign {
        spellings: &["-B", "--buffer-size"],
        words: "`--ring-size {}KiB` is the size of the buffer (dumpcap's MiB: `--ring-size {}MiB`)",
    },
    Foreign {
        spellings: &["-F"],
        words: "`--tasks FILE` takes filters from a file; an expression of one line stands on the command line",
    },
    Foreign {
        spellings: &["-f", "--capture-filter"],
        words: "the expression stands at the end, as in `capture-agent run -i eth0 port 443`",
    },
    Foreign {
        spellings: &["-Z", "--relinquish-privileges"],
        words: "not needed: all capabilities but three are dropped, and under sudo the file belongs to the user who typed it",
    },
    Foreign {
        spellings: &["-z"],
        words: "run the command when the capture is over, as in `capture-agent run … -w FILE && gzip FILE`",
    },
    Foreign {
        spellings: &["-a", "--autostop"],
        words: "`--duration TIME`, `-c COUNT` and `--max-file-bytes SIZE` end a capture",
    },
    Foreign {
        spellings: &["-b", "--ring-buffer"],
        words: "`-C MB` or `-G SECONDS`, with `-W COUNT`, make a ring of files",
    },
    Foreign {
        spellings: &["-y", "--linktype", "-I", "--monitor-mode"],
        words: "frames are captured with the link header that the interface gives them",
    },
    Foreign {
        spellings: &["-j", "--time-stamp-type", "-J", "--list-time-stamp-types"],
        words: "times are the kernel's, at the hook, in nanoseconds",
    },
    Foreign {
        spellings: &["--start-at"],
        words: "`capture-agent task create --start-at {}` has the daemon wait for the time",
    },
    Foreign {
        spellings: &["-P"],
        words: "`--format pcap`, or a file whose name ends in .pcap",
    },
    Foreign {
        spellings: &["-T", "-M", "-E"],
        words: "decode the file afterwards: `tshark -r FILE`",
    },
    Foreign {
        spellings: &[
            "--host",
            "--net",
            "--src-ip",
            "--dst-ip",
            "--source-ip",
            "--address",
        ],
        words: "`--ip ADDRESS` takes both ways; `-Q ingress` and `-Q egress` take one",
    },
    Foreign {
        spellings: &[
            "--src-port",
            "--dst-port",
            "--sport",
            "--dport",
            "--ports",
            "--portrange",
        ],
        words: "`--port PORTS` takes both ways, as in `--port 443,8000-8100`",
    },
    Foreign {
        spellings: &["--tcp", "--udp", "--icmp"],
        words: "`--protocol NAME`, as in `--protocol tcp`",
    },
    Foreign {
        spellings: &["--not-port", "--not-ip", "--exclude", "--no-ssh", "--not"],
        words: NOT,
    },
];

/// Nothing can be excluded by the kernel's tables yet.
pub(super) const NOT: &str = "nothing can be left out while capturing; leave it out in what is printed, as in \
     `--print -Y 'not tcp.port == 22'`, or name the ports that stay, as in `--port 0-21,23-65535`";

/// What to type instead of an option that is not known here. `next` is the word behind it.
pub(crate) fn words_to_type(option: &str, next: Option<&str>) -> Option<String> {
    let (name, joined) = match option.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (option, None),
    };
    let foreign = FOREIGN
        .iter()
        .find(|foreign| foreign.spellings.contains(&name))?;
    let value = joined.or(next.filter(|next| !next.starts_with('-')));
    let value = value.filter(|value| {
        value
            .chars()
            .all(|c| c.is_ascii_graphic() && !"'`$\\".contains(c))
    });
    let placeholder = match name {
        "-B" | "--buffer-size" => "N",
        _ => "FILE",
    };
    Some(foreign.words.replace("{}", value.unwrap_or(placeholder)))
}

/// Whether this is one of them.
pub(super) fn is_known(option: &str) -> bool {
    let name = option.split('=').next().unwrap_or(option);
    FOREIGN
        .iter()
        .any(|foreign| foreign.spellings.contains(&name))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::args::Arguments;

    #[test]
    fn values_stand_in_the_words() {
        for (option, next, words) in [
            (
                "-r",
                Some("a.pcap"),
                "`capture-agent print a.pcap` reads a file",
            ),
            (
                "--read=b.pcap",
                None,
                "`capture-agent print b.pcap` reads a file",
            ),
            (
                "-r",
                Some("`reboot`"),
                "`capture-agent print FILE` reads a file",
            ),
            ("-r", Some("-n"), "`capture-agent print FILE` reads a file"),
            ("-D", Some("x"), "`capture-agent interfaces` lists them"),
        ] {
            assert_eq!(
                words_to_type(option, next).as_deref(),
                Some(words),
                "{option}"
            );
        }
        assert!(
            words_to_type("-B", Some("4096"))
                .is_some_and(|words| words.contains("--ring-size 4096KiB"))
        );
        assert_eq!(words_to_type("--nonsense", None), None);
    }

    /// An option that is taken needs no other.
    #[test]
    fn none_is_an_option_of_run() {
        let root = Arguments::command();
        let run = root.find_subcommand("run").expect("run");
        for foreign in FOREIGN {
            for spelling in foreign.spellings {
                let is_option =
                    run.get_arguments()
                        .any(|argument| match spelling.strip_prefix("--") {
                            Some(long) => argument.get_long() == Some(long),
                            None => argument.get_short() == spelling.chars().nth(1),
                        });
                assert!(!is_option, "{spelling}");
            }
        }
    }
}
