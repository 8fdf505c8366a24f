//! What each PDU means (RFC 7143 11.3 to 11.19). The layouts are private to their files and as
//! long as the BHS by construction; reserved fields are ignored on receipt and sent as zero.
//!
//! `encode` leaves TotalAHSLength and DataSegmentLength at zero: `Outbox` knows what follows.

mod async_message;
mod data;
mod login;
mod logout;
mod nop;
mod r2t;
mod reject;
mod scsi;
mod snack;
mod task_management;
mod text;

pub use async_message::AsyncMessage;
pub use data::{DataIn, DataOut};
pub use login::{LoginRequest, LoginResponse};
pub use logout::{LogoutRequest, LogoutResponse};
pub use nop::{NopIn, NopOut};
pub use r2t::R2t;
pub use reject::Reject;
pub use scsi::{ScsiCommand, ScsiResponse};
pub use snack::Snack;
pub use task_management::{TaskManagementRequest, TaskManagementResponse};
pub use text::{TextRequest, TextResponse};

use crate::{Bhs, Malformed, Opcode};

/// The F bit of byte 1, which Login PDUs call T; constant one where a PDU has no use for it.
const FINAL: u8 = 0x80;
/// The C bit of Text and Login PDUs.
const CONTINUE: u8 = 0x40;
/// The I bit of byte 0.
const IMMEDIATE: u8 = 0x40;

fn expect(bhs: &Bhs, opcode: Opcode) -> Result<(), Malformed> {
    if bhs.opcode() == opcode {
        Ok(())
    } else {
        Err(Malformed::UnknownOpcode(bhs.opcode()))
    }
}

fn request_byte(opcode: Opcode, immediate: bool) -> u8 {
    opcode.0 | flag(immediate, IMMEDIATE)
}

fn flag(set: bool, bit: u8) -> u8 {
    if set { bit } else { 0 }
}

/// One enum over all PDUs of a direction, with the opcode deciding.
macro_rules! direction {
    (
        $(#[$meta:meta])*
        $name:ident { $( $(#[$doc:meta])* $variant:ident($pdu:ident) = $opcode:ident; )* }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $( $(#[$doc])* $variant($pdu), )* }

        impl $name {
            /// Reads the header; an opcode of the other direction is as unknown as any.
            pub fn decode(bhs: &Bhs) -> Result<Self, Malformed> {
                match bhs.opcode() {
                    $( Opcode::$opcode => $pdu::decode(bhs).map(Self::$variant), )*
                    other => Err(Malformed::UnknownOpcode(other)),
                }
            }

            /// The header, its lengths zero.
            pub fn encode(&self) -> Bhs {
                match self { $( Self::$variant(pdu) => pdu.encode(), )* }
            }

            /// Which PDU this is.
            pub fn opcode(&self) -> Opcode {
                match self { $( Self::$variant(_) => Opcode::$opcode, )* }
            }
        }

        $( impl From<$pdu> for $name {
            fn from(pdu: $pdu) -> Self { Self::$variant(pdu) }
        } )*
    };
}

direction! {
    /// A PDU from initiator to target.
    Request {
        /// 11.18
        NopOut(NopOut) = NOP_OUT;
        /// 11.3
        ScsiCommand(ScsiCommand) = SCSI_COMMAND;
        /// 11.5
        TaskManagement(TaskManagementRequest) = TASK_MANAGEMENT_REQUEST;
        /// 11.12
        Login(LoginRequest) = LOGIN_REQUEST;
        /// 11.10
        Text(TextRequest) = TEXT_REQUEST;
        /// 11.7
        DataOut(DataOut) = DATA_OUT;
        /// 11.14
        Logout(LogoutRequest) = LOGOUT_REQUEST;
        /// 11.16
        Snack(Snack) = SNACK;
    }
}

direction! {
    /// A PDU from target to initiator.
    Response {
        /// 11.19
        NopIn(NopIn) = NOP_IN;
        /// 11.4
        ScsiResponse(ScsiResponse) = SCSI_RESPONSE;
        /// 11.6
        TaskManagement(TaskManagementResponse) = TASK_MANAGEMENT_RESPONSE;
        /// 11.13
        Login(LoginResponse) = LOGIN_RESPONSE;
        /// 11.11
        Text(TextResponse) = TEXT_RESPONSE;
        /// 11.7
        DataIn(DataIn) = DATA_IN;
        /// 11.15
        Logout(LogoutResponse) = LOGOUT_RESPONSE;
        /// 11.8
        R2t(R2t) = R2T;
        /// 11.9
        Async(AsyncMessage) = ASYNC_MESSAGE;
        /// 11.17
        Reject(Reject) = REJECT;
    }
}

#[cfg(test)]
mod tests;
