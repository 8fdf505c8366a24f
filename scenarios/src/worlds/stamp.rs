//! What is written into a sector: which write it is, and where it belongs. A sector of one write and
//! part of another, or in the wrong place, is neither's.

use super::history::{Held, Image, WriteId};
use super::plan::SECTOR;

const WORD: usize = 8;

/// The data of a write: so many sectors, from that one on.
pub(super) fn data(image: Image, at: u32, sectors: u32, write: WriteId) -> Vec<u8> {
    let mut data = Vec::with_capacity(sectors as usize * SECTOR);
    for sector in at..at + sectors {
        let word = word(image, sector, write).to_le_bytes();
        let whole: [[u8; WORD]; SECTOR / WORD] = [word; SECTOR / WORD];
        data.extend_from_slice(whole.as_flattened());
    }
    data
}

/// What sectors hold that were read from that one on.
pub(super) fn read(bytes: &[u8], image: Image, at: u32) -> Vec<Held> {
    let sectors = bytes.chunks_exact(SECTOR);
    (at..)
        .zip(sectors)
        .map(|(sector, bytes)| held(bytes, image, sector))
        .collect()
}

/// The write a buffer that goes to storage is of.
pub(super) fn write_of(bytes: &[u8]) -> Option<WriteId> {
    let word = u64::from_le_bytes(*bytes.first_chunk()?);
    let write = (word & 0xffff_ffff) as WriteId;
    (word >> 60 == TAG).then(|| write.checked_sub(1)).flatten()
}

/// Marks a stamp as one of ours.
const TAG: u64 = 0xb;

fn word(image: Image, sector: u32, write: WriteId) -> u64 {
    let place = u64::from(image & 0xf) << 24 | u64::from(sector & 0x00ff_ffff);
    TAG << 60 | place << 32 | u64::from(write + 1)
}

fn held(bytes: &[u8], image: Image, sector: u32) -> Held {
    let Some(first) = bytes.first_chunk::<WORD>() else {
        return Held::Garbage;
    };
    // Every word is as the one before.
    if bytes[WORD..] != bytes[..bytes.len() - WORD] {
        return Held::Garbage;
    }
    let value = u64::from_le_bytes(*first);
    if value == 0 {
        return Held::Nothing;
    }
    match write_of(bytes) {
        Some(write) if value == word(image, sector, write) => Held::Write(write),
        _ => Held::Garbage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_known_in_its_place_and_nowhere_else() {
        let mut bytes = vec![0; 3 * SECTOR];
        assert_eq!(read(&bytes, 1, 5), [Held::Nothing; 3]);
        bytes[SECTOR..].copy_from_slice(&data(1, 6, 2, 0));
        let all = [Held::Nothing, Held::Write(0), Held::Write(0)];
        assert_eq!(read(&bytes, 1, 5), all);
        assert_eq!(write_of(&bytes[SECTOR..]), Some(0));
        assert_eq!(read(&bytes[SECTOR..], 2, 6), [Held::Garbage; 2]);
        assert_eq!(read(&bytes[SECTOR..], 1, 5), [Held::Garbage; 2]);
        bytes[SECTOR..2 * SECTOR].copy_from_slice(&data(1, 6, 1, 7));
        bytes[SECTOR + 8] ^= 1;
        assert_eq!(read(&bytes, 1, 5)[1], Held::Garbage);
    }
}
