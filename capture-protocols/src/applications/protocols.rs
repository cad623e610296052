//! The list of protocols that are followed.

use crate::{
    application::Kind,
    applications::{
        databases::{directory, mysql, postgres, redis},
        http,
        protocol::{self, At, Detector as _, Ending, Guess, Peer, Step},
        sessions::{ftp, imap, pop3, smtp, telnet},
        smb, snmp, ssh, tls,
    },
};
use crate::{facts::Facts, finding::Finding, logins::Results};

/// Defines what there is of each protocol, so that one is added in one place.
macro_rules! protocols {
    ($($name:ident: $module:ident,)*) => {
        /// What a protocol knows of a flow.
        #[derive(Clone, Debug)]
        pub(super) enum State {
            $($name(Box<<$module::Detector as protocol::Detector>::State>),)*
        }

        impl State {
            pub(super) fn held(&self) -> usize {
                match self {
                    $(Self::$name(state) => $module::Detector::held(state),)*
                }
            }

            pub(super) fn is_confirmed(&self) -> bool {
                match self {
                    $(Self::$name(state) => $module::Detector::is_confirmed(state),)*
                }
            }

            pub(super) fn kind(&self) -> &'static Kind {
                match self {
                    $(Self::$name(state) => $module::Detector::kind(state),)*
                }
            }
        }

        /// The detector of each.
        #[derive(Clone, Debug, Default)]
        pub(super) struct Protocols {
            $(pub(super) $module: $module::Detector,)*
        }

        impl Protocols {
            /// The state of the protocol whose first bytes these are, and whether more of them could tell.
            pub(super) fn guess(&self, first: [&[u8]; 2]) -> (Option<State>, bool) {
                let mut is_open = false;
                $(match $module::Detector::guess(first) {
                    Guess::Yes => return (Some(State::$name(Default::default())), false),
                    Guess::Maybe => is_open = true,
                    Guess::No => {}
                })*
                (None, is_open)
            }

            /// The state of the protocol whose first datagram this is.
            pub(super) fn guess_datagram(&self, payload: &[u8], ports: (u16, u16)) -> Option<State> {
                $(if $module::Detector::guess_datagram(payload, ports) {
                    return Some(State::$name(Default::default()));
                })*
                None
            }

            pub(super) fn bytes(&mut self, state: &mut State, at: &At, from: Peer, bytes: &[u8]) -> Step {
                match state {
                    $(State::$name(state) => self.$module.bytes(state, at, from, bytes),)*
                }
            }

            /// What servers said about logins since the last call, in flows of this state.
            #[inline]
            pub(super) fn logins(&mut self, state: &State) -> Option<Results> {
                match state {
                    $(State::$name(_) => self.$module.logins(),)*
                }
            }

            pub(super) fn datagram(&mut self, state: &mut State, at: &At, from: Peer, payload: &[u8]) -> Step {
                match state {
                    $(State::$name(state) => self.$module.datagram(state, at, from, payload),)*
                }
            }

            pub(super) fn end(&mut self, state: &mut State, at: &At, ending: Ending) {
                match state {
                    $(State::$name(state) => self.$module.end(state, at, ending),)*
                }
            }

            pub(super) fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
                $(self.$module.findings(facts, findings);)*
            }
        }
    };
}

protocols! {
    Tls: tls,
    Http: http,
    Ssh: ssh,
    Smb: smb,
    Ftp: ftp,
    Smtp: smtp,
    Pop3: pop3,
    Imap: imap,
    MySql: mysql,
    Postgres: postgres,
    Redis: redis,
    Ldap: directory,
    Snmp: snmp,
    Telnet: telnet,
}
