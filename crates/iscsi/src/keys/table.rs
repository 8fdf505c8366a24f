//! Every key of RFC 7143 13 and 12, one row each.

use std::ops::RangeInclusive;

use super::params::{DigestChoice, Offer, Params, TaskReporting};

/// When a key may be sent (RFC 7143 13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// IO: during login.
    InitializeOnly,
    /// LO: during the login of the session's first connection.
    LeadingOnly,
    /// FFPO: in the full feature phase.
    FullFeatureOnly,
    /// ALL: at any time.
    Always,
}

/// Who may send a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Senders {
    /// The initiator.
    Initiator,
    /// The target.
    Target,
    /// Either.
    Both,
}

/// How far a result reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// CO: this connection.
    Connection,
    /// SW: the session.
    Session,
}

/// Which of two numbers is the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// The smaller.
    Minimum,
    /// The larger.
    Maximum,
}

/// How two booleans make a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combine {
    /// Yes when both say Yes.
    And,
    /// Yes when one says Yes.
    Or,
}

/// A negotiated number.
#[derive(Debug, Clone)]
pub struct Number {
    /// Values it may have.
    pub range: RangeInclusive<u64>,
    /// Its result function.
    pub pick: Pick,
    pub(super) offer: fn(&Offer) -> u64,
    pub(super) get: fn(&Params) -> u64,
    pub(super) set: fn(&mut Params, u64),
}

/// A negotiated boolean.
#[derive(Debug, Clone)]
pub struct Boolean {
    /// Its result function.
    pub combine: Combine,
    pub(super) offer: fn(&Offer) -> bool,
    pub(super) get: fn(&Params) -> bool,
    pub(super) set: fn(&mut Params, bool),
}

/// A list of which the responder takes the first it can do.
#[derive(Debug, Clone)]
pub struct List {
    /// Whether the responder can do the value.
    pub(super) offers: fn(&Offer, &str) -> bool,
    pub(super) get: fn(&Params) -> &'static str,
    /// Whether the value is one there is.
    pub(super) set: fn(&mut Params, &str) -> bool,
}

/// What becomes of a value.
#[derive(Debug, Clone)]
pub enum Rule {
    /// A number with a result function.
    Number(Number),
    /// A boolean with a result function.
    Boolean(Boolean),
    /// A list, from which one is chosen.
    List(List),
    /// MaxRecvDataSegmentLength: each side says its own, and nothing is answered.
    Declaration(RangeInclusive<u64>),
    /// Said and taken note of, nothing is answered.
    Remark,
    /// Obsolete, and refused (13.25).
    Obsolete,
    /// Who and what for: the login's and the discovery's business.
    Identity,
    /// Likewise, with a value that may be a large binary one.
    LargeBinary,
}

/// One key.
#[derive(Debug, Clone)]
pub struct Row {
    /// The key.
    pub name: &'static str,
    /// The section that defines it.
    pub section: &'static str,
    /// When it may be sent.
    pub usage: Use,
    /// Who may send it.
    pub senders: Senders,
    /// How far it reaches.
    pub scope: Scope,
    /// Whether it says nothing in a discovery session.
    pub irrelevant_in_discovery: bool,
    /// What becomes of its value.
    pub rule: Rule,
}

/// The row of a key. Names are case sensitive (RFC 7143 6.1).
pub fn find(name: &str) -> Option<&'static Row> {
    KEYS.iter().find(|row| row.name == name)
}

const SEGMENT_RANGE: RangeInclusive<u64> = 512..=0x00ff_ffff;

macro_rules! number {
    ($field:ident: $type:ty, $range:expr, $pick:ident) => {
        Rule::Number(Number {
            range: $range,
            pick: Pick::$pick,
            offer: |offer| u64::from(offer.$field),
            get: |params| u64::from(params.$field),
            set: |params, value| {
                params.$field = <$type>::try_from(value).expect("the range fits the field");
            },
        })
    };
}

macro_rules! boolean {
    ($field:ident, $combine:ident) => {
        Rule::Boolean(Boolean {
            combine: Combine::$combine,
            offer: |offer| offer.$field,
            get: |params| params.$field,
            set: |params, value| params.$field = value,
        })
    };
}

macro_rules! digest {
    ($offer:ident, $field:ident) => {
        Rule::List(List {
            offers: |offer, value| offer.$offer.iter().any(|choice| choice.as_str() == value),
            get: |params| {
                let crc32c = params.digests.$field;
                if crc32c {
                    DigestChoice::Crc32c
                } else {
                    DigestChoice::None
                }
                .as_str()
            },
            set: |params, value| {
                let choice = DigestChoice::all()
                    .into_iter()
                    .find(|one| one.as_str() == value);
                params.digests.$field = choice == Some(DigestChoice::Crc32c);
                choice.is_some()
            },
        })
    };
}

const TASK_REPORTING: Rule = Rule::List(List {
    offers: |offer, value| offer.task_reporting.iter().any(|one| one.as_str() == value),
    get: |params| params.task_reporting.as_str(),
    set: |params, value| {
        let choice = TaskReporting::all()
            .into_iter()
            .find(|one| one.as_str() == value);
        params.task_reporting = choice.unwrap_or_default();
        choice.is_some()
    },
});

const fn row(
    name: &'static str,
    section: &'static str,
    (usage, senders, scope): (Use, Senders, Scope),
    rule: Rule,
) -> Row {
    Row {
        name,
        section,
        usage,
        senders,
        scope,
        irrelevant_in_discovery: false,
        rule,
    }
}

/// A key that has no meaning in a discovery session; all of them are LO, of both, session-wide.
const fn normal(name: &'static str, section: &'static str, rule: Rule) -> Row {
    let (usage, senders, scope) = (LO, I_AND_T, SW);
    Row {
        name,
        section,
        usage,
        senders,
        scope,
        irrelevant_in_discovery: true,
        rule,
    }
}

// The words of the RFC's own table.
const IO: Use = Use::InitializeOnly;
const LO: Use = Use::LeadingOnly;
const FFPO: Use = Use::FullFeatureOnly;
const ALL: Use = Use::Always;
const I: Senders = Senders::Initiator;
const T: Senders = Senders::Target;
const I_AND_T: Senders = Senders::Both;
const CO: Scope = Scope::Connection;
const SW: Scope = Scope::Session;

/// All keys there are.
pub static KEYS: [Row; 35] = [
    row(
        "HeaderDigest",
        "13.1",
        (IO, I_AND_T, CO),
        digest!(header_digest, header),
    ),
    row(
        "DataDigest",
        "13.1",
        (IO, I_AND_T, CO),
        digest!(data_digest, data),
    ),
    normal(
        "MaxConnections",
        "13.2",
        number!(max_connections: u16, 1..=65535, Minimum),
    ),
    row("SendTargets", "13.3", (FFPO, I, SW), Rule::Identity),
    row("TargetName", "13.4", (IO, I_AND_T, SW), Rule::Identity),
    row("InitiatorName", "13.5", (IO, I, SW), Rule::Identity),
    row("TargetAlias", "13.6", (ALL, T, SW), Rule::Identity),
    row("InitiatorAlias", "13.7", (ALL, I, SW), Rule::Identity),
    row("TargetAddress", "13.8", (ALL, T, SW), Rule::Identity),
    row("TargetPortalGroupTag", "13.9", (IO, T, SW), Rule::Identity),
    normal("InitialR2T", "13.10", boolean!(initial_r2t, Or)),
    normal("ImmediateData", "13.11", boolean!(immediate_data, And)),
    row(
        "MaxRecvDataSegmentLength",
        "13.12",
        (ALL, I_AND_T, CO),
        Rule::Declaration(SEGMENT_RANGE),
    ),
    normal(
        "MaxBurstLength",
        "13.13",
        number!(max_burst: u32, SEGMENT_RANGE, Minimum),
    ),
    normal(
        "FirstBurstLength",
        "13.14",
        number!(first_burst: u32, SEGMENT_RANGE, Minimum),
    ),
    row(
        "DefaultTime2Wait",
        "13.15",
        (LO, I_AND_T, SW),
        number!(time2wait: u16, 0..=3600, Maximum),
    ),
    row(
        "DefaultTime2Retain",
        "13.16",
        (LO, I_AND_T, SW),
        number!(time2retain: u16, 0..=3600, Minimum),
    ),
    normal(
        "MaxOutstandingR2T",
        "13.17",
        number!(max_outstanding_r2t: u16, 1..=65535, Minimum),
    ),
    normal("DataPDUInOrder", "13.18", boolean!(data_pdu_in_order, Or)),
    normal(
        "DataSequenceInOrder",
        "13.19",
        boolean!(data_sequence_in_order, Or),
    ),
    row(
        "ErrorRecoveryLevel",
        "13.20",
        (LO, I_AND_T, SW),
        number!(erl: u8, 0..=2, Minimum),
    ),
    row("SessionType", "13.21", (LO, I, SW), Rule::Identity),
    normal("TaskReporting", "13.23", TASK_REPORTING),
    normal(
        "iSCSIProtocolLevel",
        "13.24",
        number!(protocol_level: u8, 0..=31, Minimum),
    ),
    row("IFMarker", "13.25", (IO, I_AND_T, CO), Rule::Obsolete),
    row("OFMarker", "13.25", (IO, I_AND_T, CO), Rule::Obsolete),
    row("IFMarkInt", "13.25", (IO, I_AND_T, CO), Rule::Obsolete),
    row("OFMarkInt", "13.25", (IO, I_AND_T, CO), Rule::Obsolete),
    row(
        "X#NodeArchitecture",
        "13.26",
        (LO, I_AND_T, SW),
        Rule::Remark,
    ),
    row("AuthMethod", "12.1", (IO, I_AND_T, CO), Rule::Identity),
    row("CHAP_A", "12.1.3", (IO, I_AND_T, CO), Rule::Identity),
    row("CHAP_I", "12.1.3", (IO, I_AND_T, CO), Rule::Identity),
    row("CHAP_C", "12.1.3", (IO, I_AND_T, CO), Rule::LargeBinary),
    row("CHAP_N", "12.1.3", (IO, I_AND_T, CO), Rule::Identity),
    row("CHAP_R", "12.1.3", (IO, I_AND_T, CO), Rule::LargeBinary),
];
