//! The arguments of `extcap`, as Wireshark gives them (its doc/extcap.4), and those of the dialog that it shows for us.

use std::path::PathBuf;

use clap::{Args, ValueHint};

#[derive(Debug, Args)]
pub(crate) struct ExtcapArgs {
    /// List what can be captured on.
    #[arg(long, help_heading = "Asked by Wireshark")]
    pub(crate) extcap_interfaces: bool,
    /// List the link types of an interface.
    #[arg(long, help_heading = "Asked by Wireshark")]
    pub(crate) extcap_dlts: bool,
    /// List the fields of the dialog of an interface.
    #[arg(long, help_heading = "Asked by Wireshark")]
    pub(crate) extcap_config: bool,
    /// Capture into --fifo, until SIGTERM.
    #[arg(long, help_heading = "Asked by Wireshark", requires = "fifo")]
    pub(crate) capture: bool,
    /// The interface, as it is listed.
    #[arg(long, value_name = "INTERFACE", help_heading = "Asked by Wireshark")]
    pub(crate) extcap_interface: Option<String>,
    /// Where the packets go.
    #[arg(long, value_name = "FIFO", value_hint = ValueHint::FilePath, help_heading = "Asked by Wireshark")]
    pub(crate) fifo: Option<PathBuf>,
    /// Filter expression of tcpdump; without --capture it is only checked.
    #[arg(
        long, value_name = "EXPRESSION", help_heading = "Asked by Wireshark", num_args = 0..=1,
        default_missing_value = ""
    )]
    pub(crate) extcap_capture_filter: Option<String>,
    /// Version of Wireshark.
    #[arg(
        long, value_name = "VERSION", help_heading = "Asked by Wireshark", num_args = 0..=1,
        default_missing_value = ""
    )]
    pub(crate) extcap_version: Option<String>,
    /// List the values of a field of the dialog again.
    #[arg(long, value_name = "FIELD", help_heading = "Asked by Wireshark")]
    pub(crate) extcap_reload_option: Option<String>,
    // Of the toolbar, which we have not.
    #[arg(long, hide = true)]
    pub(crate) extcap_control_in: Option<PathBuf>,
    #[arg(long, hide = true)]
    pub(crate) extcap_control_out: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) fields: FieldArgs,
}

/// The fields of the dialog, each an option of a task.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Fields of the dialog")]
pub(crate) struct FieldArgs {
    /// Protocol.
    #[arg(long, value_name = "NAME")]
    pub(crate) protocol: Option<String>,
    /// Addresses or prefixes of one side.
    #[arg(long, value_name = "ADDRS")]
    pub(crate) ip: Option<String>,
    /// Ports of that side.
    #[arg(long, value_name = "PORTS")]
    pub(crate) port: Option<String>,
    /// Addresses or prefixes of the other side.
    #[arg(long, value_name = "ADDRS")]
    pub(crate) peer_ip: Option<String>,
    /// Ports of the other side.
    #[arg(long, value_name = "PORTS")]
    pub(crate) peer_port: Option<String>,
    /// Also take ICMP errors about packets that match.
    #[arg(long)]
    pub(crate) icmp_errors: bool,
    /// Which way the frames go.
    #[arg(long, value_name = "WAY")]
    pub(crate) direction: Option<String>,
    /// Where in the kernel frames are taken.
    #[arg(long, value_name = "HOOK")]
    pub(crate) hook: Option<String>,
    /// Most bytes kept of a frame.
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_bytes: Option<String>,
    /// End after this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) duration: Option<String>,
    /// End before the file exceeds this size.
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_file_bytes: Option<String>,
    /// Name of the task.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}
