//! Sense data: why a command ended in CHECK CONDITION, and what a unit attention tells.
//!
//! One table names every additional sense code we send; encoders and logs read from it.

use std::fmt;

/// A sense key (SPC-4 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u8);

impl Key {
    /// Nothing to report.
    pub const NO_SENSE: Self = Self(0x0);
    /// The unit cannot be used now.
    pub const NOT_READY: Self = Self(0x2);
    /// The medium could not deliver or take data.
    pub const MEDIUM_ERROR: Self = Self(0x3);
    /// A failure that is not the medium's.
    pub const HARDWARE_ERROR: Self = Self(0x4);
    /// The command asks for something it may not.
    pub const ILLEGAL_REQUEST: Self = Self(0x5);
    /// Something happened that the initiator must know before it goes on.
    pub const UNIT_ATTENTION: Self = Self(0x6);
    /// The blocks may not be written.
    pub const DATA_PROTECT: Self = Self(0x7);
    /// The device server gave the command up.
    pub const ABORTED_COMMAND: Self = Self(0xb);
    /// The data compared differs.
    pub const MISCOMPARE: Self = Self(0xe);
}

/// Which field of the CDB an ILLEGAL REQUEST is about (the sense key specific field).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldPointer {
    /// First byte of the field.
    pub byte: u8,
    /// Its most significant bit, where the field is not the whole byte.
    pub bit: Option<u8>,
}

/// What a CHECK CONDITION says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sense {
    /// Sense key.
    pub key: Key,
    /// Additional sense code.
    pub asc: u8,
    /// Additional sense code qualifier.
    pub ascq: u8,
    /// The INFORMATION field, valid when present: here always an LBA.
    pub information: Option<u64>,
    /// The field in error, for ILLEGAL REQUEST.
    pub field: Option<FieldPointer>,
}

/// One row per condition we ever report: name, sense key, ASC, ASCQ, T10's text.
macro_rules! senses {
    ($($name:ident $key:ident $asc:literal $ascq:literal $text:literal;)*) => {
        impl Sense {
            $(
                #[doc = $text]
                pub const $name: Self = Self::new(Key::$key, $asc, $ascq);
            )*

            /// Every condition we report, with T10's text for its additional sense code.
            pub const TABLE: &'static [(&'static str, Self)] = &[$(($text, Self::$name)),*];
        }
    };
}

senses! {
    NO_SENSE NO_SENSE 0x00 0x00 "NO ADDITIONAL SENSE INFORMATION";
    BECOMING_READY NOT_READY 0x04 0x01 "LOGICAL UNIT IS IN PROCESS OF BECOMING READY";
    ACCESS_STATE_TRANSITION NOT_READY 0x04 0x0a
        "LOGICAL UNIT NOT ACCESSIBLE, ASYMMETRIC ACCESS STATE TRANSITION";
    STANDBY NOT_READY 0x04 0x0b
        "LOGICAL UNIT NOT ACCESSIBLE, TARGET PORT IN STANDBY STATE";
    WRITE_ERROR MEDIUM_ERROR 0x0c 0x00 "WRITE ERROR";
    UNRECOVERED_READ_ERROR MEDIUM_ERROR 0x11 0x00 "UNRECOVERED READ ERROR";
    INTERNAL_TARGET_FAILURE HARDWARE_ERROR 0x44 0x00 "INTERNAL TARGET FAILURE";
    INVALID_COMMAND_OPERATION_CODE ILLEGAL_REQUEST 0x20 0x00 "INVALID COMMAND OPERATION CODE";
    LBA_OUT_OF_RANGE ILLEGAL_REQUEST 0x21 0x00 "LOGICAL BLOCK ADDRESS OUT OF RANGE";
    INVALID_FIELD_IN_CDB ILLEGAL_REQUEST 0x24 0x00 "INVALID FIELD IN CDB";
    LOGICAL_UNIT_NOT_SUPPORTED ILLEGAL_REQUEST 0x25 0x00 "LOGICAL UNIT NOT SUPPORTED";
    SAVING_PARAMETERS_NOT_SUPPORTED ILLEGAL_REQUEST 0x39 0x00 "SAVING PARAMETERS NOT SUPPORTED";
    POWER_ON_OR_RESET UNIT_ATTENTION 0x29 0x00
        "POWER ON, RESET, OR BUS DEVICE RESET OCCURRED";
    BUS_DEVICE_RESET UNIT_ATTENTION 0x29 0x03 "BUS DEVICE RESET FUNCTION OCCURRED";
    I_T_NEXUS_LOSS UNIT_ATTENTION 0x29 0x07 "I_T NEXUS LOSS OCCURRED";
    CAPACITY_DATA_HAS_CHANGED UNIT_ATTENTION 0x2a 0x09 "CAPACITY DATA HAS CHANGED";
    COMMANDS_CLEARED_BY_ANOTHER_INITIATOR UNIT_ATTENTION 0x2f 0x00
        "COMMANDS CLEARED BY ANOTHER INITIATOR";
    REPORTED_LUNS_DATA_HAS_CHANGED UNIT_ATTENTION 0x3f 0x0e "REPORTED LUNS DATA HAS CHANGED";
    WRITE_PROTECTED DATA_PROTECT 0x27 0x00 "WRITE PROTECTED";
    SPACE_ALLOCATION_FAILED DATA_PROTECT 0x27 0x07 "SPACE ALLOCATION FAILED WRITE PROTECT";
    NOT_ENOUGH_UNSOLICITED_DATA ABORTED_COMMAND 0x0c 0x0d
        "WRITE ERROR - NOT ENOUGH UNSOLICITED DATA";
    UNEXPECTED_UNSOLICITED_DATA ABORTED_COMMAND 0x0c 0x0c
        "WRITE ERROR - UNEXPECTED UNSOLICITED DATA";
    PROTOCOL_SERVICE_CRC_ERROR ABORTED_COMMAND 0x47 0x05 "PROTOCOL SERVICE CRC ERROR";
    DATA_PHASE_ERROR ABORTED_COMMAND 0x4b 0x00 "DATA PHASE ERROR";
}

impl Sense {
    /// A condition without details.
    pub const fn new(key: Key, asc: u8, ascq: u8) -> Self {
        Self {
            key,
            asc,
            ascq,
            information: None,
            field: None,
        }
    }

    /// INVALID FIELD IN CDB, pointing at a field that starts at `bit` of `byte`.
    pub const fn invalid_bits(byte: u8, bit: u8) -> Self {
        let field = Some(FieldPointer {
            byte,
            bit: Some(bit),
        });
        Self {
            field,
            ..Self::INVALID_FIELD_IN_CDB
        }
    }

    /// INVALID FIELD IN CDB, pointing at a field of whole bytes that starts at `byte`.
    pub const fn invalid_byte(byte: u8) -> Self {
        let field = Some(FieldPointer { byte, bit: None });
        Self {
            field,
            ..Self::INVALID_FIELD_IN_CDB
        }
    }

    /// The same condition, about this LBA.
    pub const fn at(self, lba: u64) -> Self {
        Self {
            information: Some(lba),
            ..self
        }
    }

    /// Whether the two tell the same condition, whatever the details.
    pub fn is(self, other: Self) -> bool {
        (self.key, self.asc, self.ascq) == (other.key, other.asc, other.ascq)
    }

    /// T10's text for its additional sense code, if we ever send it.
    pub fn text(self) -> Option<&'static str> {
        Self::TABLE
            .iter()
            .find(|(_, row)| row.is(self))
            .map(|(text, _)| *text)
    }

    /// Fixed format sense data, current error (SPC-4 4.5.3).
    pub fn to_fixed(self) -> [u8; 18] {
        let mut data = [0; 18];
        data[0] = 0x70;
        // The fixed format has four bytes for it; a larger LBA goes unsaid (SPC-4 4.5.3).
        if let Some(information) = self.information.and_then(|lba| u32::try_from(lba).ok()) {
            data[0] |= 0x80;
            data[3..7].copy_from_slice(&information.to_be_bytes());
        }
        data[2] = self.key.0;
        data[7] = 10; // additional sense length: bytes 8 to 17
        data[12] = self.asc;
        data[13] = self.ascq;
        data[15..18].copy_from_slice(&self.key_specific());
        data
    }

    /// Descriptor format sense data, current error (SPC-4 4.5.2).
    pub fn to_descriptor(self) -> Vec<u8> {
        let mut data = vec![0x72, self.key.0, self.asc, self.ascq, 0, 0, 0, 0];
        if let Some(information) = self.information {
            data.extend([0x00, 0x0a, 0x80, 0x00]); // information descriptor, VALID
            data.extend(information.to_be_bytes());
        }
        if self.field.is_some() {
            data.extend([0x02, 0x06, 0x00, 0x00]); // sense key specific descriptor
            data.extend(self.key_specific());
            data.push(0);
        }
        data[7] = (data.len() - 8) as u8;
        data
    }

    /// The three sense key specific bytes: the field pointer, with C/D=1 because only CDBs are
    /// pointed at.
    fn key_specific(self) -> [u8; 3] {
        match self.field {
            None => [0; 3],
            Some(FieldPointer { byte, bit: None }) => [0xc0, 0, byte],
            Some(FieldPointer {
                byte,
                bit: Some(bit),
            }) => [0xc8 | (bit & 7), 0, byte],
        }
    }
}

impl fmt::Display for Sense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}/{:02x}/{:02x}", self.key.0, self.asc, self.ascq)?;
        self.text().map_or(Ok(()), |text| write!(f, " {text}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key, ASC and ASCQ of each text we send, from T10's list of additional sense codes.
    const PUBLISHED: [(&str, u8, u8, u8); 24] = [
        ("NO ADDITIONAL SENSE INFORMATION", 0x0, 0x00, 0x00),
        (
            "LOGICAL UNIT IS IN PROCESS OF BECOMING READY",
            0x2,
            0x04,
            0x01,
        ),
        (
            "LOGICAL UNIT NOT ACCESSIBLE, ASYMMETRIC ACCESS STATE TRANSITION",
            0x2,
            0x04,
            0x0a,
        ),
        (
            "LOGICAL UNIT NOT ACCESSIBLE, TARGET PORT IN STANDBY STATE",
            0x2,
            0x04,
            0x0b,
        ),
        ("WRITE ERROR", 0x3, 0x0c, 0x00),
        ("UNRECOVERED READ ERROR", 0x3, 0x11, 0x00),
        ("INTERNAL TARGET FAILURE", 0x4, 0x44, 0x00),
        ("INVALID COMMAND OPERATION CODE", 0x5, 0x20, 0x00),
        ("LOGICAL BLOCK ADDRESS OUT OF RANGE", 0x5, 0x21, 0x00),
        ("INVALID FIELD IN CDB", 0x5, 0x24, 0x00),
        ("LOGICAL UNIT NOT SUPPORTED", 0x5, 0x25, 0x00),
        ("SAVING PARAMETERS NOT SUPPORTED", 0x5, 0x39, 0x00),
        (
            "POWER ON, RESET, OR BUS DEVICE RESET OCCURRED",
            0x6,
            0x29,
            0x00,
        ),
        ("BUS DEVICE RESET FUNCTION OCCURRED", 0x6, 0x29, 0x03),
        ("I_T NEXUS LOSS OCCURRED", 0x6, 0x29, 0x07),
        ("CAPACITY DATA HAS CHANGED", 0x6, 0x2a, 0x09),
        ("COMMANDS CLEARED BY ANOTHER INITIATOR", 0x6, 0x2f, 0x00),
        ("REPORTED LUNS DATA HAS CHANGED", 0x6, 0x3f, 0x0e),
        ("WRITE PROTECTED", 0x7, 0x27, 0x00),
        ("SPACE ALLOCATION FAILED WRITE PROTECT", 0x7, 0x27, 0x07),
        ("WRITE ERROR - UNEXPECTED UNSOLICITED DATA", 0xb, 0x0c, 0x0c),
        ("WRITE ERROR - NOT ENOUGH UNSOLICITED DATA", 0xb, 0x0c, 0x0d),
        ("PROTOCOL SERVICE CRC ERROR", 0xb, 0x47, 0x05),
        ("DATA PHASE ERROR", 0xb, 0x4b, 0x00),
    ];

    #[test]
    fn the_table_is_the_published_list() {
        assert_eq!(Sense::TABLE.len(), PUBLISHED.len());
        for (text, key, asc, ascq) in PUBLISHED {
            let sense = Sense::new(Key(key), asc, ascq);
            assert_eq!(sense.text(), Some(text));
        }
    }

    #[test]
    fn fixed_format() {
        let plain = Sense::INVALID_COMMAND_OPERATION_CODE.to_fixed();
        assert_eq!(
            plain,
            [0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0]
        );
        let at = Sense::LBA_OUT_OF_RANGE.at(0x0102_0304).to_fixed();
        assert_eq!(
            at,
            [0xf0, 0, 5, 1, 2, 3, 4, 10, 0, 0, 0, 0, 0x21, 0, 0, 0, 0, 0]
        );
        // Bit 7 of byte 1 of the CDB: SKSV, C/D, BPV, bit pointer; field pointer.
        let bits = Sense::invalid_bits(1, 7).to_fixed();
        assert_eq!(
            bits,
            [
                0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x24, 0, 0, 0xcf, 0, 1
            ]
        );
        let byte = Sense::invalid_byte(6).to_fixed();
        assert_eq!(byte[12..], [0x24, 0, 0, 0xc0, 0, 6]);
    }

    #[test]
    fn an_lba_of_more_than_four_bytes_is_left_out_of_the_fixed_format() {
        let sense = Sense::LBA_OUT_OF_RANGE.at(1 << 32);
        assert_eq!(sense.to_fixed()[..7], [0x70, 0, 5, 0, 0, 0, 0]);
        let descriptor = sense.to_descriptor();
        assert_eq!(descriptor[..8], [0x72, 5, 0x21, 0, 0, 0, 0, 12]);
        assert_eq!(
            descriptor[8..],
            [0x00, 0x0a, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0]
        );
    }

    #[test]
    fn descriptor_format() {
        let plain = Sense::WRITE_PROTECTED.to_descriptor();
        assert_eq!(plain, [0x72, 7, 0x27, 0, 0, 0, 0, 0]);
        let field = Sense::invalid_bits(4, 1).to_descriptor();
        assert_eq!(field[..8], [0x72, 5, 0x24, 0, 0, 0, 0, 8]);
        assert_eq!(field[8..], [0x02, 0x06, 0, 0, 0xc9, 0, 4, 0]);
    }

    #[test]
    fn it_reads_well_in_a_log() {
        assert_eq!(Sense::WRITE_ERROR.to_string(), "03/0c/00 WRITE ERROR");
        assert_eq!(Sense::new(Key(9), 0x80, 0x01).to_string(), "09/80/01");
    }
}
