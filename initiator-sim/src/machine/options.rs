//! What a login is to be like.

use std::sync::Arc;

use iscsi::chap::Algorithm;
use iscsi::{Cid, Isid, Serial, Tsih};

use crate::conn::ConnOptions;

/// SessionType (RFC 7143 §13.21).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionType {
    /// Reads and writes.
    Normal,
    /// SendTargets only.
    Discovery,
}

/// Which stages the login goes through (RFC 7143 §6.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Security, then operational, then full feature.
    SecurityThenOperational,
    /// Straight to operational, possible without authentication.
    OperationalOnly,
    /// Security, then full feature with the operational keys at their defaults.
    SecurityOnly,
}

/// How to authenticate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// AuthMethod=None.
    None,
    /// AuthMethod=CHAP.
    Chap(Chap),
}

/// CHAP as the initiator plays it (RFC 7143 §12.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chap {
    /// CHAP_N.
    pub name: String,
    /// The secret shared for proving ourselves.
    pub secret: Vec<u8>,
    /// CHAP_A in order of preference.
    pub algorithms: Vec<Algorithm>,
    /// Ask the target to prove itself as well.
    pub mutual: Option<Mutual>,
    /// Value of AuthMethod, for example `CHAP,None`.
    pub auth_method: String,
}

/// What the target must prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutual {
    /// The CHAP_N expected from the target; `None` takes any.
    pub name: Option<String>,
    /// The secret the target proves to hold.
    pub secret: Vec<u8>,
}

/// Everything a login can be told. `LoginOptions::new` gives an ordinary initiator's login to a
/// target; the methods bend it.
#[derive(Clone)]
pub struct LoginOptions {
    /// InitiatorName.
    pub initiator_name: String,
    /// InitiatorAlias, not sent when absent.
    pub initiator_alias: Option<String>,
    /// TargetName, not sent when absent.
    pub target: Option<String>,
    /// Normal or discovery.
    pub session_type: SessionType,
    /// ISID.
    pub isid: Isid,
    /// TSIH: zero opens a session, anything else joins or reinstates.
    pub tsih: Tsih,
    /// Connection id.
    pub cid: Cid,
    /// First CmdSN of the session.
    pub cmd_sn: Serial,
    /// ExpStatSN of the first request.
    pub exp_stat_sn: Serial,
    /// VersionMax and VersionMin.
    pub version: (u8, u8),
    /// Authentication.
    pub auth: Auth,
    /// Stages.
    pub route: Route,
    /// Operational keys to offer, in order.
    pub keys: Vec<(String, String)>,
    /// Further keys for the first request, sent as they are.
    pub first_keys: Vec<(String, String)>,
    /// Keys never to send, whatever else says so.
    pub omitted: Vec<String>,
    /// Text bytes per Login Request; more is continued with the C bit.
    pub chunk: usize,
    /// How the connection itself is made.
    pub conn: ConnOptions,
}

impl LoginOptions {
    /// A normal session to `target`.
    pub fn new(target: &str) -> Self {
        Self {
            target: Some(target.to_owned()),
            session_type: SessionType::Normal,
            keys: normal_keys(),
            ..Self::discovery()
        }
    }

    /// A discovery session.
    pub fn discovery() -> Self {
        Self {
            initiator_name: "iqn.2026-11.org.glint:initiator-sim".to_owned(),
            initiator_alias: None,
            target: None,
            session_type: SessionType::Discovery,
            // Type "random" (RFC 7143 §11.12.5), qualifier zero.
            isid: Isid([0x80, 0x47, 0x4c, 0x54, 0, 0]),
            tsih: Tsih(0),
            cid: Cid(0),
            cmd_sn: Serial(1),
            exp_stat_sn: Serial(0),
            version: (0, 0),
            auth: Auth::None,
            route: Route::SecurityThenOperational,
            keys: discovery_keys(),
            first_keys: Vec::new(),
            omitted: Vec::new(),
            chunk: 8192,
            conn: ConnOptions::default(),
        }
    }

    /// Offer `key=value`: in the place of an operational key of that name, else after the others.
    pub fn key(mut self, key: &str, value: &str) -> Self {
        match self.keys.iter_mut().find(|(name, _)| name == key) {
            Some(row) => row.1 = value.to_owned(),
            None => self.keys.push((key.to_owned(), value.to_owned())),
        }
        self
    }

    /// Offer exactly these operational keys.
    pub fn only_keys(mut self, keys: &[(&str, &str)]) -> Self {
        self.keys = owned(keys);
        self
    }

    /// Append `key=value` even if the key is there already.
    pub fn raw_key(mut self, key: &str, value: &str) -> Self {
        self.keys.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Add `key=value` to the first request, after the names.
    pub fn first_key(mut self, key: &str, value: &str) -> Self {
        self.first_keys.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Never send `key`.
    pub fn without(mut self, key: &str) -> Self {
        self.omitted.push(key.to_owned());
        self
    }

    /// Ask for the digests, and for nothing else.
    pub fn digests(self, header: bool, data: bool) -> Self {
        let wish = |on| if on { "CRC32C" } else { "None" };
        self.key("HeaderDigest", wish(header))
            .key("DataDigest", wish(data))
    }

    /// Choose the write mode (RFC 7143 §13.10, §13.11).
    pub fn write_mode(self, immediate_data: bool, initial_r2t: bool) -> Self {
        let word = |on| if on { "Yes" } else { "No" };
        self.key("ImmediateData", word(immediate_data))
            .key("InitialR2T", word(initial_r2t))
    }

    /// One-way CHAP with MD5.
    pub fn chap(mut self, name: &str, secret: &str) -> Self {
        self.auth = Auth::Chap(Chap::new(name, secret));
        self
    }

    /// Authenticate like this.
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// Log in under another name.
    pub fn initiator(mut self, name: &str) -> Self {
        self.initiator_name = name.to_owned();
        self
    }

    /// Another session of the same initiator: the qualifier of the ISID (RFC 7143 §11.12.5).
    pub fn qualifier(mut self, qualifier: u16) -> Self {
        self.isid.0[4..].copy_from_slice(&qualifier.to_be_bytes());
        self
    }

    /// Go through these stages.
    pub fn route(mut self, route: Route) -> Self {
        self.route = route;
        self
    }

    /// Show everything to this observer.
    pub fn observer(mut self, observer: Arc<dyn crate::Observer>) -> Self {
        self.conn.observer = Some(observer);
        self
    }
}

impl Chap {
    /// One way, MD5.
    pub fn new(name: &str, secret: &str) -> Self {
        Self {
            name: name.to_owned(),
            secret: secret.as_bytes().to_vec(),
            algorithms: vec![Algorithm::MD5],
            mutual: None,
            auth_method: "CHAP".to_owned(),
        }
    }

    /// Offer these algorithms.
    pub fn algorithms(mut self, algorithms: &[Algorithm]) -> Self {
        self.algorithms = algorithms.to_vec();
        self
    }

    /// Have the target prove it holds `secret`.
    pub fn mutual(mut self, name: Option<&str>, secret: &str) -> Self {
        self.mutual = Some(Mutual {
            name: name.map(str::to_owned),
            secret: secret.as_bytes().to_vec(),
        });
        self
    }
}

fn owned(keys: &[(&str, &str)]) -> Vec<(String, String)> {
    keys.iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn discovery_keys() -> Vec<(String, String)> {
    owned(&[
        ("HeaderDigest", "None"),
        ("DataDigest", "None"),
        ("MaxRecvDataSegmentLength", "262144"),
    ])
}

fn normal_keys() -> Vec<(String, String)> {
    let mut keys = discovery_keys();
    keys.extend(owned(&[
        ("MaxConnections", "1"),
        ("InitialR2T", "No"),
        ("ImmediateData", "Yes"),
        ("MaxBurstLength", "1048576"),
        ("FirstBurstLength", "262144"),
        ("DefaultTime2Wait", "2"),
        ("DefaultTime2Retain", "0"),
        ("MaxOutstandingR2T", "8"),
        ("DataPDUInOrder", "Yes"),
        ("DataSequenceInOrder", "Yes"),
        ("ErrorRecoveryLevel", "0"),
    ]));
    keys
}
