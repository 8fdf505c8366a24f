//! What is written into a sector, and what a sector turns out to hold. Knows nothing of when.
//!
//! The sector of 512 bytes is what everything here reckons with: the least that is ever written,
//! and the most that stays whole when the power fails. Disks promise no more, and the fake tears
//! its pages of 4096 bytes at just these borders (`gluster-mock/src/brick.rs`); a logical block of
//! 4096 bytes is eight sectors, and any of them may be old or new after a cut.
//! Invariant: no two sectors of no two writes of no two rounds have the same stamp.

/// Bytes in a sector.
pub(super) const SECTOR: usize = 512;

/// Bytes of one piece; a stamp is as many as fill a sector, so that a torn one shows.
const PIECE: usize = 32;

/// Who wrote a sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The round, by its seed.
    pub(super) round: u64,
    /// The session that sent it.
    pub(super) session: u16,
    /// The write, counted over all sessions of the round.
    pub(super) write: u32,
    /// Where it belongs.
    pub(super) sector: u64,
}

/// What is in a sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Held {
    /// Zeros, as in a new image.
    Nothing,
    /// What that write wrote there.
    Write(u32),
    /// What nobody ever wrote there: torn, misplaced or foreign.
    Garbage,
}

impl Stamp {
    /// Fills a sector.
    pub(super) fn fill(self, sector: &mut [u8]) {
        for (index, piece) in sector.chunks_exact_mut(PIECE).enumerate() {
            piece[..8].copy_from_slice(&self.round.to_be_bytes());
            piece[8..12].copy_from_slice(&self.write.to_be_bytes());
            piece[12..14].copy_from_slice(&self.session.to_be_bytes());
            piece[14..16].copy_from_slice(&(index as u16).to_be_bytes());
            piece[16..24].copy_from_slice(&self.sector.to_be_bytes());
            let sum = checksum(&piece[..24]);
            piece[24..].copy_from_slice(&sum.to_be_bytes());
        }
    }

    /// What a sector of that round holds at that place.
    pub(super) fn read(bytes: &[u8], round: u64, sector: u64) -> Held {
        if bytes.iter().all(|byte| *byte == 0) {
            return Held::Nothing;
        }
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four"));
        let stamp = Self {
            round,
            session: (number(12) >> 16) as u16,
            write: number(8),
            sector,
        };
        let mut whole = [0; SECTOR];
        stamp.fill(&mut whole);
        match whole == *bytes {
            true => Held::Write(stamp.write),
            false => Held::Garbage,
        }
    }
}

/// FNV-1a.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_back_whole_and_in_its_place_or_is_garbage() {
        let stamp = Stamp {
            round: 7,
            session: 2,
            write: 41,
            sector: 9,
        };
        let mut bytes = [0; SECTOR];
        assert_eq!(Stamp::read(&bytes, 7, 9), Held::Nothing);
        stamp.fill(&mut bytes);
        assert_eq!(Stamp::read(&bytes, 7, 9), Held::Write(41));
        assert_eq!(Stamp::read(&bytes, 7, 8), Held::Garbage, "misplaced");
        assert_eq!(Stamp::read(&bytes, 8, 9), Held::Garbage, "of another round");
        bytes[256..].fill(0);
        assert_eq!(Stamp::read(&bytes, 7, 9), Held::Garbage, "torn");
    }
}
