//! Addresses and lengths. The only multiplications between blocks and bytes live here.

/// A logical block address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lba(pub u64);

/// Bytes per logical block: 512 or 4096.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSize {
    shift: u8,
}

impl BlockSize {
    /// 512 bytes, what most initiators expect.
    pub const B512: Self = Self { shift: 9 };
    /// 4096 bytes.
    pub const B4096: Self = Self { shift: 12 };

    /// `None` for anything but 512 and 4096.
    pub fn new(bytes: u32) -> Option<Self> {
        match bytes {
            512 => Some(Self::B512),
            4096 => Some(Self::B4096),
            _ => None,
        }
    }

    /// Bytes in one block.
    pub fn bytes(self) -> u32 {
        1 << self.shift
    }

    /// Whole blocks in `bytes`, rounded down.
    pub fn blocks_in(self, bytes: u64) -> u64 {
        bytes >> self.shift
    }

    /// The bytes of `blocks` blocks from `lba` on; `None` where that passes 2^64.
    pub fn span(self, lba: Lba, blocks: u64) -> Option<Span> {
        let at = lba.0.checked_mul(u64::from(self.bytes()))?;
        let len = blocks.checked_mul(u64::from(self.bytes()))?;
        at.checked_add(len)?;
        Some(Span { at, len })
    }

    /// `bytes` rounded up to whole blocks.
    pub fn round_up(self, bytes: u64) -> u64 {
        let mask = u64::from(self.bytes()) - 1;
        (bytes + mask) & !mask
    }
}

/// A range of bytes of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub at: u64,
    /// Length in bytes.
    pub len: u64,
}

impl Span {
    /// One past the last byte.
    pub fn end(self) -> u64 {
        self.at + self.len
    }

    /// Whether the two share a byte.
    pub fn overlaps(self, other: Self) -> bool {
        self.at < other.end() && other.at < self.end()
    }
}

/// Part of an image, all of which has space of its own or none of which has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Which bytes.
    pub span: Span,
    /// Whether space is taken for them. Where not, they read as zeros.
    pub allocated: bool,
}

/// Room, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What the storage behind the image holds in all.
    pub total: u64,
    /// What it has left, for this image and whatever else is in it.
    pub free: u64,
    /// What the image takes, where storage knows.
    pub allocated: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn span_of_blocks() {
        assert_eq!(
            BlockSize::B512.span(Lba(8), 2),
            Some(Span {
                at: 4096,
                len: 1024
            })
        );
        assert_eq!(BlockSize::B4096.span(Lba(u64::MAX / 2), 1), None);
    }

    #[test]
    fn round_up_to_whole_blocks() {
        assert_eq!(BlockSize::B512.round_up(1), 512);
        assert_eq!(BlockSize::B512.round_up(512), 512);
        assert_eq!(BlockSize::B4096.round_up(4097), 8192);
    }

    #[test]
    fn overlap_needs_a_shared_byte() {
        let a = Span { at: 0, len: 512 };
        assert!(!a.overlaps(Span { at: 512, len: 512 }));
        assert!(a.overlaps(Span { at: 511, len: 1 }));
    }
}
