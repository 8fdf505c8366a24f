//! Who asks, who is asked, and through which port.

/// An I_T nexus: one initiator port talking to one target port. The number is the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nexus(pub u64);

/// What a unit is called, the same on every port and after every restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// T10 VENDOR IDENTIFICATION, padded with spaces.
    pub vendor: [u8; 8],
    /// PRODUCT IDENTIFICATION, padded with spaces.
    pub product: [u8; 16],
    /// PRODUCT REVISION LEVEL, padded with spaces.
    pub revision: [u8; 4],
    /// UNIT SERIAL NUMBER: printable ASCII, at most [`crate::SERIAL_CHARS_MAX`].
    pub serial: String,
    /// NAA IEEE Registered Extended identifier, type 6: unique in the world.
    pub naa: [u8; 16],
}

/// The target port a command came through, for REPORT LUNS and VPD page 83h.
#[derive(Clone, Copy, Debug)]
pub struct TargetPort<'a> {
    /// RELATIVE TARGET PORT IDENTIFIER, from 1.
    pub relative_port: u16,
    /// Target port group the port is in.
    pub port_group: u16,
    /// The LUNs the target has, ascending, each below 16384.
    pub luns: &'a [u16],
    /// SCSI name string of the port, at most 251 bytes; for example
    /// `iqn.2026-01.org.example:disk,t,0x0001`.
    pub port_name: &'a str,
    /// SCSI name string of the target device, at most 251 bytes.
    pub device_name: &'a str,
}
