//! The command descriptor block: sixteen bytes and where numbers sit in them.

use crate::opcodes;

/// A CDB of up to 16 bytes, zero-padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cdb([u8; 16]);

impl From<[u8; 16]> for Cdb {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl Cdb {
    /// What the command is called in its standard, if we know it.
    pub fn name(&self) -> Option<&'static str> {
        opcodes::find(self).ok().map(|row| row.name)
    }

    /// The OPERATION CODE.
    pub fn opcode(&self) -> u8 {
        self.0[0]
    }

    /// Whether it asks for the LUNs the target has.
    pub fn is_report_luns(&self) -> bool {
        self.opcode() == 0xa0
    }

    /// The bytes as they came.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// One byte.
    pub(crate) fn byte(&self, at: usize) -> u8 {
        self.0[at]
    }

    /// Whether `bit` of byte `at` is set.
    pub(crate) fn bit(&self, at: usize, bit: u8) -> bool {
        self.0[at] & (1 << bit) != 0
    }

    /// The SERVICE ACTION of the opcodes that have one, bits 4 to 0 of byte 1.
    pub(crate) fn service_action(&self) -> u8 {
        self.0[1] & 0x1f
    }

    /// A big-endian number of two bytes.
    pub(crate) fn be16(&self, at: usize) -> u16 {
        u16::from_be_bytes(self.array(at))
    }

    /// A big-endian number of four bytes.
    pub(crate) fn be32(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.array(at))
    }

    /// A big-endian number of eight bytes.
    pub(crate) fn be64(&self, at: usize) -> u64 {
        u64::from_be_bytes(self.array(at))
    }

    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.0[at..at + N]);
        bytes
    }
}
