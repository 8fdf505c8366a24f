//! Byte-level mutations of a PDU.

use rand::Rng;
use rand::rngs::StdRng;

/// Spoil `bytes` in one of a few ways; never empties them.
pub(super) fn mutate(rng: &mut StdRng, bytes: &mut Vec<u8>) {
    match rng.random_range(0..7) {
        0 => flip(rng, bytes, 1),
        1 => {
            let bits = rng.random_range(2..24);
            flip(rng, bytes, bits);
        }
        2 => header_byte(rng, bytes),
        3 => lengths(rng, bytes),
        4 => {
            let keep = rng.random_range(1..=bytes.len());
            bytes.truncate(keep);
        }
        5 => {
            let extra = rng.random_range(1..64);
            let at = rng.random_range(0..=bytes.len());
            let junk: Vec<u8> = (0..extra).map(|_| rng.random()).collect();
            bytes.splice(at..at, junk);
        }
        _ => {
            let from = rng.random_range(0..bytes.len());
            let len = rng.random_range(1..=16.min(bytes.len() - from));
            let fill = [0x00, 0xff, 0x7f, 0x80][rng.random_range(0..4)];
            bytes[from..from + len].fill(fill);
        }
    }
}

fn flip(rng: &mut StdRng, bytes: &mut [u8], bits: usize) {
    for _ in 0..bits {
        let at = rng.random_range(0..bytes.len());
        bytes[at] ^= 1 << rng.random_range(0..8);
    }
}

fn header_byte(rng: &mut StdRng, bytes: &mut [u8]) {
    let at = rng.random_range(0..bytes.len().min(48));
    bytes[at] = rng.random();
}

/// TotalAHSLength or DataSegmentLength (RFC 7143 §11.2.1.5, §11.2.1.6) no longer fit what follows.
fn lengths(rng: &mut StdRng, bytes: &mut [u8]) {
    if bytes.len() < 8 {
        return flip(rng, bytes, 1);
    }
    match rng.random_range(0..4) {
        0 => bytes[4] = rng.random(),
        1 => bytes[5] = 0xff,
        2 => bytes[7] = bytes[7].wrapping_add(rng.random_range(1..=255)),
        _ => bytes[6] = rng.random(),
    }
}
