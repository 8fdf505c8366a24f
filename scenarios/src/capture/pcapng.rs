//! Frames of a pcapng file, numbered from one as Wireshark does.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use pcap_file::DataLink;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::{Block, PcapNgReader};

use super::CaptureError;

/// One captured frame.
#[derive(Debug)]
pub struct Frame<'a> {
    /// Its number in the file, from one.
    pub number: u32,
    /// When it was captured, since 1970.
    pub at: Duration,
    /// What its first bytes are.
    pub link: DataLink,
    /// The bytes that were captured.
    pub bytes: &'a [u8],
}

/// Hands every frame of the file to `take`, in order.
pub fn read(path: &Path, mut take: impl FnMut(Frame<'_>)) -> Result<(), CaptureError> {
    let file = File::open(path).map_err(|source| CaptureError::File {
        path: path.to_owned(),
        source,
    })?;
    let mut number = 0;
    let refused = |after, source| CaptureError::Format {
        path: path.to_owned(),
        after,
        source,
    };
    let mut reader = PcapNgReader::new(BufReader::new(file)).map_err(|error| refused(0, error))?;
    // The reader lends the block and keeps the interfaces, so the latter are noted on the way.
    let mut interfaces: Vec<Interface> = Vec::new();
    while let Some(block) = reader.next_block() {
        match block.map_err(|error| refused(number, error))? {
            Block::SectionHeader(_) => interfaces.clear(),
            Block::InterfaceDescription(block) => interfaces.push(Interface::of(&block)),
            Block::EnhancedPacket(block) => {
                number += 1;
                if let Some(interface) = interfaces.get(block.interface_id as usize) {
                    let at = interface.time(block.timestamp);
                    take(Frame {
                        number,
                        at,
                        link: interface.link,
                        bytes: &block.data,
                    });
                }
            }
            Block::SimplePacket(block) => {
                number += 1;
                if let Some(interface) = interfaces.first() {
                    let at = Duration::ZERO;
                    take(Frame {
                        number,
                        at,
                        link: interface.link,
                        bytes: &block.data,
                    });
                }
            }
            _ => {}
        }
    }
    Ok(())
}

struct Interface {
    link: DataLink,
    /// if_tsresol: a negative power of ten, or of two when the top bit is set.
    resolution: u8,
}

impl Interface {
    fn of(block: &InterfaceDescriptionBlock<'_>) -> Self {
        let resolution = block.options.iter().find_map(|option| match option {
            InterfaceDescriptionOption::IfTsResol(resolution) => Some(*resolution),
            _ => None,
        });
        Self {
            link: block.linktype,
            resolution: resolution.unwrap_or(6),
        }
    }

    /// The crate takes every time stamp for nanoseconds, whatever the interface says.
    fn time(&self, stamp: Duration) -> Duration {
        let units = stamp.as_nanos();
        let exponent = u32::from(self.resolution & 0x7f);
        let base: u128 = if self.resolution & 0x80 == 0 { 10 } else { 2 };
        let per_second = base.checked_pow(exponent).unwrap_or(u128::MAX);
        let nanos = units.saturating_mul(1_000_000_000) / per_second;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stamps_have_the_resolution_of_their_interface() {
        let time = |resolution, units| {
            Interface {
                link: DataLink::ETHERNET,
                resolution,
            }
            .time(Duration::from_nanos(units))
        };
        assert_eq!(time(6, 1_500_000), Duration::from_millis(1500));
        assert_eq!(time(9, 1_500_000), Duration::from_micros(1500));
        assert_eq!(time(0x80 | 10, 512), Duration::from_millis(500));
    }
}
