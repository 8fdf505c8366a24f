//! What a session works with, and what the responder would agree to.

use crate::Digests;

/// One choice of HeaderDigest and DataDigest (RFC 7143 13.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestChoice {
    /// No digest.
    None,
    /// CRC32C.
    Crc32c,
}

impl DigestChoice {
    /// As it stands in a list of values.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Crc32c => "CRC32C",
        }
    }

    pub(super) fn all() -> [Self; 2] {
        [Self::None, Self::Crc32c]
    }
}

/// How the end of aborted tasks is reported (RFC 7143 13.23).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TaskReporting {
    /// As RFC 3720 had it.
    #[default]
    Rfc3720,
    /// Responses are fenced.
    ResponseFence,
    /// And third parties hear of aborts by an Asynchronous Message.
    FastAbort,
}

impl TaskReporting {
    /// As it stands in a list of values.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rfc3720 => "RFC3720",
            Self::ResponseFence => "ResponseFence",
            Self::FastAbort => "FastAbort",
        }
    }

    pub(super) fn all() -> [Self; 3] {
        [Self::Rfc3720, Self::ResponseFence, Self::FastAbort]
    }
}

/// What the responder would agree to; a result is never outside of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Header digests we can do (13.1).
    pub header_digest: Vec<DigestChoice>,
    /// Data digests we can do (13.1).
    pub data_digest: Vec<DigestChoice>,
    /// Most connections per session (13.2).
    pub max_connections: u16,
    /// Whether we insist on an R2T before data (13.10).
    pub initial_r2t: bool,
    /// Whether we take data with the command (13.11).
    pub immediate_data: bool,
    /// What we declare as MaxRecvDataSegmentLength, in bytes (13.12).
    pub max_recv_data_segment: u32,
    /// Most bytes of a sequence (13.13).
    pub max_burst: u32,
    /// Most bytes of unsolicited data (13.14).
    pub first_burst: u32,
    /// Least seconds before a reconnect (13.15).
    pub time2wait: u16,
    /// Most seconds for which tasks are kept (13.16).
    pub time2retain: u16,
    /// Most R2Ts outstanding per task (13.17).
    pub max_outstanding_r2t: u16,
    /// Whether we insist on PDUs in order within a sequence (13.18).
    pub data_pdu_in_order: bool,
    /// Whether we insist on sequences in order (13.19).
    pub data_sequence_in_order: bool,
    /// Highest error recovery level (13.20).
    pub erl: u8,
    /// Task reporting we can do (13.23).
    pub task_reporting: Vec<TaskReporting>,
    /// Highest protocol level (13.24).
    pub protocol_level: u8,
}

impl Default for Offer {
    /// What suits a target on a modern network: unsolicited data, large segments, no recovery
    /// within a session.
    fn default() -> Self {
        Self {
            header_digest: DigestChoice::all().to_vec(),
            data_digest: DigestChoice::all().to_vec(),
            max_connections: 1,
            initial_r2t: false,
            immediate_data: true,
            max_recv_data_segment: 256 * 1024,
            max_burst: 1024 * 1024,
            first_burst: 256 * 1024,
            time2wait: 2,
            time2retain: 0,
            max_outstanding_r2t: 8,
            data_pdu_in_order: true,
            data_sequence_in_order: true,
            erl: 0,
            task_reporting: vec![TaskReporting::Rfc3720],
            protocol_level: 1,
        }
    }
}

/// What both sides work with. The default is what holds when nothing is said (RFC 7143 13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params {
    /// Digests of this connection (13.1).
    pub digests: Digests,
    /// Most connections of the session (13.2).
    pub max_connections: u16,
    /// Whether all data but immediate data waits for an R2T (13.10).
    pub initial_r2t: bool,
    /// Whether data may come with the command (13.11).
    pub immediate_data: bool,
    /// What the peer declared it receives per PDU, in bytes (13.12).
    pub peer_max_recv_data_segment: u32,
    /// What we declared we receive per PDU, in bytes (13.12).
    pub own_max_recv_data_segment: u32,
    /// Most bytes of a sequence (13.13).
    pub max_burst: u32,
    /// Most bytes of unsolicited data per command, immediate data included (13.14).
    pub first_burst: u32,
    /// Seconds before a reconnect (13.15).
    pub time2wait: u16,
    /// Seconds for which tasks are kept after that (13.16).
    pub time2retain: u16,
    /// Most R2Ts outstanding per task (13.17).
    pub max_outstanding_r2t: u16,
    /// Whether PDUs of a sequence are in order (13.18).
    pub data_pdu_in_order: bool,
    /// Whether sequences are in order (13.19).
    pub data_sequence_in_order: bool,
    /// Error recovery level (13.20).
    pub erl: u8,
    /// Task reporting (13.23).
    pub task_reporting: TaskReporting,
    /// Protocol level (13.24).
    pub protocol_level: u8,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            digests: Digests::default(),
            max_connections: 1,
            initial_r2t: true,
            immediate_data: true,
            peer_max_recv_data_segment: 8192,
            own_max_recv_data_segment: 8192,
            max_burst: 262_144,
            first_burst: 65_536,
            time2wait: 2,
            time2retain: 20,
            max_outstanding_r2t: 1,
            data_pdu_in_order: true,
            data_sequence_in_order: true,
            erl: 0,
            task_reporting: TaskReporting::Rfc3720,
            protocol_level: 1,
        }
    }
}
