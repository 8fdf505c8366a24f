//! Header and data digests: CRC32C as it stands on the wire (RFC 7143 13.1, A.4).
//!
//! The CRC is reflected, so the digest's four bytes are its value in little-endian order,
//! unlike every other number of the protocol.

/// Bytes of a digest.
pub const DIGEST_BYTES: usize = 4;

/// Which digests a connection carries (RFC 7143 13.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Digests {
    /// A digest follows the header segments.
    pub header: bool,
    /// A digest follows a data segment that is not empty.
    pub data: bool,
}

/// CRC32C of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    ::crc32c::crc32c(bytes)
}

/// CRC32C of the concatenation of `parts`.
pub fn crc32c_parts(parts: &[&[u8]]) -> u32 {
    parts.iter().fold(0, |crc, part| crc32c_append(crc, part))
}

/// CRC32C of what gave `crc` with `bytes` after it.
pub fn crc32c_append(crc: u32, bytes: &[u8]) -> u32 {
    ::crc32c::crc32c_append(crc, bytes)
}

/// A CRC in the byte order of the wire.
pub fn to_wire(crc: u32) -> [u8; DIGEST_BYTES] {
    crc.to_le_bytes()
}

/// Whether the four bytes received are those of `crc`.
pub fn matches(received: &[u8], crc: u32) -> bool {
    received == to_wire(crc)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of RFC 7143 A.4, as bytes on the wire.
    #[test]
    fn the_vectors_of_the_rfc() {
        let ascending: Vec<u8> = (0..32).collect();
        let descending: Vec<u8> = (0..32).rev().collect();
        let mut command = [0u8; 48];
        command[0] = 0x01;
        command[1] = 0xc0;
        command[16] = 0x14;
        command[22] = 0x04;
        command[27] = 0x14;
        command[31] = 0x18;
        command[32] = 0x28;
        command[40] = 0x02;
        for (bytes, wire) in [
            (&[0u8; 32][..], [0xaa, 0x36, 0x91, 0x8a]),
            (&[0xffu8; 32][..], [0x43, 0xab, 0xa8, 0x62]),
            (&ascending[..], [0x4e, 0x79, 0xdd, 0x46]),
            (&descending[..], [0x5c, 0xdb, 0x3f, 0x11]),
            (&command[..], [0x56, 0x3a, 0x96, 0xd9]),
        ] {
            assert_eq!(to_wire(crc32c(bytes)), wire);
            assert!(matches(&wire, crc32c(bytes)));
        }
    }

    #[test]
    fn parts_are_their_concatenation() {
        let bytes: Vec<u8> = (0..=255).collect();
        let whole = crc32c(&bytes);
        for split in 0..bytes.len() {
            let (left, right) = bytes.split_at(split);
            assert_eq!(crc32c_parts(&[left, &[], right]), whole);
        }
    }
}
