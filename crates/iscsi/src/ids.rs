//! Identifiers of the protocol, each its own type. Serial numbers have no `<`.

use std::fmt;

macro_rules! hex_display {
    ($name:ident, $width:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("0x{:0", $width, "x}"), self.0)
            }
        }
    };
}

/// Initiator Task Tag (RFC 7143 11.2.1.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Itt(pub u32);

impl Itt {
    /// "No task": the value a tag may never have.
    pub const RESERVED: Self = Self(0xffff_ffff);
}

hex_display!(Itt, 8);

/// Target Transfer Tag (RFC 7143 11.7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttt(pub u32);

impl Ttt {
    /// "No transfer": the value a tag may never have.
    pub const RESERVED: Self = Self(0xffff_ffff);
}

hex_display!(Ttt, 8);

/// Logical unit number, the eight bytes of SAM-5 4.7 in wire order (RFC 7143 11.2.1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lun(pub u64);

impl Lun {
    /// Largest number that single-level flat space addressing can say (SAM-5 4.7.7.3).
    pub const NUMBER_MAX: u16 = 0x3fff;

    /// The single-level LUN of a small number: peripheral device addressing below 256, flat
    /// space addressing above (SAM-5 4.7.7.2, 4.7.7.3).
    ///
    /// # Panics
    /// When `number` is above [`Self::NUMBER_MAX`].
    pub const fn from_number(number: u16) -> Self {
        assert!(number <= Self::NUMBER_MAX, "a flat LUN has 14 bits");
        let method: u16 = if number < 256 { 0x0000 } else { 0x4000 };
        Self(((method | number) as u64) << 48)
    }

    /// The number of a single-level LUN on bus 0, if this is one.
    pub const fn number(self) -> Option<u16> {
        if self.0 & 0x0000_ffff_ffff_ffff != 0 {
            return None;
        }
        let first = (self.0 >> 48) as u16;
        match first >> 14 {
            0b00 if first < 256 => Some(first),
            0b01 => Some(first & Self::NUMBER_MAX),
            _ => None,
        }
    }
}

hex_display!(Lun, 16);

/// Initiator part of the session identifier (RFC 7143 11.12.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Isid(pub [u8; 6]);

impl fmt::Display for Isid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Target Session Identifying Handle; zero asks for a new session (RFC 7143 11.12.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tsih(pub u16);

hex_display!(Tsih, 4);

/// Connection identifier within a session (RFC 7143 11.12.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Cid(pub u16);

hex_display!(Cid, 4);

/// Target Portal Group Tag (RFC 7143 4.4.1, 13.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tpgt(pub u16);

impl fmt::Display for Tpgt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A 32 bit serial number that wraps: CmdSN, StatSN, DataSN (RFC 1982, RFC 7143 4.2.2.1).
///
/// There is deliberately no `Ord`: "smaller" is only meaningful between neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Serial(pub u32);

impl Serial {
    /// The number that follows.
    #[must_use]
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// The number `count` steps on.
    #[must_use]
    pub const fn plus(self, count: u32) -> Self {
        Self(self.0.wrapping_add(count))
    }

    /// The number `count` steps back.
    #[must_use]
    pub const fn minus(self, count: u32) -> Self {
        Self(self.0.wrapping_sub(count))
    }

    /// Whether `other` lies ahead. Of two numbers exactly 2^31 apart neither is before the
    /// other: RFC 1982 leaves that undefined, and no window gets so wide.
    pub const fn is_before(self, other: Self) -> bool {
        self.distance_to(other) > 0
    }

    /// Whether `other` lies behind.
    pub const fn is_after(self, other: Self) -> bool {
        other.is_before(self)
    }

    /// Steps from here to `later`, negative when it lies behind.
    pub const fn distance_to(self, later: Self) -> i32 {
        later.0.wrapping_sub(self.0).cast_signed()
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_luns_use_peripheral_addressing_and_large_ones_flat() {
        assert_eq!(Lun::from_number(0).0.to_be_bytes(), [0; 8]);
        assert_eq!(
            Lun::from_number(7).0.to_be_bytes(),
            [0, 7, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(
            Lun::from_number(255).0.to_be_bytes(),
            [0, 255, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(
            Lun::from_number(256).0.to_be_bytes(),
            [0x41, 0, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(
            Lun::from_number(0x3fff).0.to_be_bytes(),
            [0x7f, 0xff, 0, 0, 0, 0, 0, 0]
        );
    }

    #[test]
    fn every_lun_number_survives() {
        for number in 0..=Lun::NUMBER_MAX {
            assert_eq!(Lun::from_number(number).number(), Some(number));
        }
    }

    #[test]
    fn flat_addressing_may_also_say_a_small_number() {
        assert_eq!(Lun(0x4001 << 48).number(), Some(1));
    }

    #[test]
    fn other_luns_have_no_number() {
        for raw in [
            0x0101 << 48,          // peripheral addressing on bus 1
            0x8001 << 48,          // logical unit addressing
            0xc101 << 48,          // extended addressing (well-known logical units)
            0x0001_0001_0000_0000, // a second level
            1,
        ] {
            assert_eq!(Lun(raw).number(), None, "{raw:#018x}");
        }
    }

    #[test]
    fn serials_compare_around_the_wrap() {
        let last = Serial(u32::MAX);
        assert_eq!(last.next(), Serial(0));
        assert_eq!(Serial(0).minus(1), last);
        assert!(last.is_before(Serial(0)));
        assert!(Serial(0).is_after(last));
        assert!(!Serial(5).is_before(Serial(5)));
        assert!(!Serial(5).is_after(Serial(5)));
        assert_eq!(last.distance_to(Serial(9)), 10);
        assert_eq!(Serial(9).distance_to(last), -10);
        assert!(Serial(0).is_before(Serial(0x7fff_ffff)));
        assert!(Serial(0).is_after(Serial(0x8000_0001)));
    }
}
