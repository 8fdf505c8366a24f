//! Every rule is shown to fire on a PDU that breaks it, and to keep silent on one that does not.

mod answers;
mod data_in;
mod live;
mod numbering;
mod r2t;
mod recorded;

use iscsi::pdu::{
    DataIn, DataOut, LoginRequest, LoginResponse, LogoutRequest, LogoutResponse, NopIn, NopOut,
    R2t, Reject, ScsiCommand, ScsiResponse, TaskManagementRequest, TaskManagementResponse,
};
use iscsi::{
    Bhs, Cid, Isid, Itt, LoginStatus, LogoutReason, LogoutResult, Lun, RejectReason, Request,
    Response, Serial, Stage, TaskAttribute, TmfFunction, TmfResponse, Tsih, Ttt,
};

use super::{Breach, Conversation};

const LUN: Lun = Lun(3 << 48);

/// A conversation after a login that agreed on segments of 1024 bytes, bursts of 2048 and two
/// R2Ts; the next StatSN is 101, the next CmdSN 1.
struct Scene(Conversation);

impl Scene {
    fn new() -> Self {
        let mut scene = Self(Conversation::default());
        let keys = b"InitiatorName=iqn.a\0TargetName=iqn.b\0MaxRecvDataSegmentLength=1024\0\
            MaxBurstLength=2048\0MaxOutstandingR2T=2\0ErrorRecoveryLevel=0\0InitialR2T=No\0";
        scene.send(login_request(), keys);
        let keys = b"MaxRecvDataSegmentLength=4096\0MaxBurstLength=2048\0MaxOutstandingR2T=2\0\
            ErrorRecoveryLevel=0\0InitialR2T=No\0";
        assert_eq!(scene.hear(login_response(), keys), []);
        scene
    }

    fn send(&mut self, request: impl Into<Request>, data: &[u8]) {
        self.0.sent(&sized(request.into().encode(), data), data);
    }

    fn hear(&mut self, response: impl Into<Response>, data: &[u8]) -> Vec<Breach> {
        self.0
            .received(&sized(response.into().encode(), data), data)
    }

    /// The clauses broken.
    fn clauses(&mut self, response: impl Into<Response>, data: &[u8]) -> Vec<&'static str> {
        self.hear(response, data)
            .iter()
            .map(|breach| breach.clause)
            .collect()
    }

    /// A read of `edtl` bytes as ITT 1.
    fn reading(edtl: u32) -> Self {
        let mut scene = Self::new();
        scene.send(
            ScsiCommand {
                read: true,
                edtl,
                ..command(1)
            },
            b"",
        );
        scene
    }

    /// A write of `edtl` bytes as ITT 1, no data sent yet.
    fn writing(edtl: u32) -> Self {
        let mut scene = Self::new();
        scene.send(
            ScsiCommand {
                write: true,
                edtl,
                ..command(1)
            },
            b"",
        );
        scene
    }
}

fn sized(mut bhs: Bhs, data: &[u8]) -> Bhs {
    bhs.set_data_segment_len(u32::try_from(data.len()).unwrap());
    bhs
}

fn login_request() -> LoginRequest {
    LoginRequest {
        immediate: true,
        transit: true,
        cont: false,
        csg: Stage::OPERATIONAL,
        nsg: Stage::FULL_FEATURE,
        version_max: 0,
        version_min: 0,
        isid: Isid([0; 6]),
        tsih: Tsih(0),
        itt: Itt(0),
        cid: Cid(0),
        cmd_sn: Serial(1),
        exp_stat_sn: Serial(0),
    }
}

fn login_response() -> LoginResponse {
    LoginResponse {
        transit: true,
        cont: false,
        csg: Stage::OPERATIONAL,
        nsg: Stage::FULL_FEATURE,
        version_max: 0,
        version_active: 0,
        isid: Isid([0; 6]),
        tsih: Tsih(1),
        itt: Itt(0),
        stat_sn: Serial(100),
        exp_cmd_sn: Serial(1),
        max_cmd_sn: Serial(9),
        status: LoginStatus::SUCCESS,
    }
}

fn command(itt: u32) -> ScsiCommand {
    ScsiCommand {
        immediate: false,
        is_final: true,
        read: false,
        write: false,
        attribute: TaskAttribute::SIMPLE,
        lun: LUN,
        itt: Itt(itt),
        edtl: 0,
        cmd_sn: Serial(itt),
        exp_stat_sn: Serial(101),
        cdb: [0; 16],
    }
}

fn data_in() -> DataIn {
    DataIn {
        is_final: true,
        acknowledge: false,
        overflow: false,
        underflow: false,
        has_status: false,
        status: 0,
        lun: Lun(0),
        itt: Itt(1),
        ttt: Ttt::RESERVED,
        stat_sn: Serial(0),
        exp_cmd_sn: Serial(2),
        max_cmd_sn: Serial(9),
        data_sn: 0,
        buffer_offset: 0,
        residual: 0,
    }
}

/// Data-In with GOOD.
fn last_data_in() -> DataIn {
    DataIn {
        has_status: true,
        stat_sn: Serial(101),
        ..data_in()
    }
}

fn r2t() -> R2t {
    R2t {
        lun: LUN,
        itt: Itt(1),
        ttt: Ttt(7),
        stat_sn: Serial(101),
        exp_cmd_sn: Serial(2),
        max_cmd_sn: Serial(9),
        r2t_sn: 0,
        buffer_offset: 0,
        desired_len: 2048,
    }
}

fn response() -> ScsiResponse {
    ScsiResponse {
        bidi_overflow: false,
        bidi_underflow: false,
        overflow: false,
        underflow: false,
        response: 0,
        status: 0,
        itt: Itt(1),
        snack_tag: 0,
        stat_sn: Serial(101),
        exp_cmd_sn: Serial(2),
        max_cmd_sn: Serial(9),
        exp_data_sn: 0,
        bidi_residual: 0,
        residual: 0,
    }
}

fn nop_in(itt: Itt) -> NopIn {
    NopIn {
        lun: Lun(0),
        itt,
        ttt: Ttt::RESERVED,
        stat_sn: Serial(101),
        exp_cmd_sn: Serial(1),
        max_cmd_sn: Serial(9),
    }
}

fn nop_out(itt: u32) -> NopOut {
    NopOut {
        immediate: true,
        lun: Lun(0),
        itt: Itt(itt),
        ttt: Ttt::RESERVED,
        cmd_sn: Serial(1),
        exp_stat_sn: Serial(101),
    }
}

fn reject() -> Reject {
    Reject {
        reason: RejectReason::PROTOCOL_ERROR,
        stat_sn: Serial(101),
        exp_cmd_sn: Serial(1),
        max_cmd_sn: Serial(9),
        data_sn: 0,
    }
}
