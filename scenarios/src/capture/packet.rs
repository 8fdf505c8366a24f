//! From a frame to a TCP segment: Ethernet, loopback, Linux cooked and raw IP; IPv4 and IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use pcap_file::DataLink;

use super::Frame;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: [u16; 2] = [0x8100, 0x88a8];
const PROTOCOL_TCP: u8 = 6;

/// A TCP segment (RFC 9293 3.1).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Segment<'a> {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) sequence: u32,
    pub(super) syn: bool,
    pub(super) ack: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
    pub(super) payload: &'a [u8],
}

/// The TCP segment in a frame, if there is a whole one.
pub(super) fn segment<'a>(frame: &Frame<'a>) -> Option<Segment<'a>> {
    let bytes = frame.bytes;
    let packet = match frame.link {
        DataLink::ETHERNET => ethernet(bytes.get(12..)?)?,
        DataLink::LINUX_SLL => of_ethertype(bytes.get(14..)?)?,
        // The address family comes first, in the byte order of the machine.
        DataLink::NULL | DataLink::LOOP => bytes.get(4..)?,
        DataLink::RAW | DataLink::IPV4 | DataLink::IPV6 => bytes,
        _ => return None,
    };
    match packet.first()? >> 4 {
        4 => ipv4(packet),
        6 => ipv6(packet),
        _ => None,
    }
}

/// From the EtherType on, VLAN tags skipped.
fn ethernet(mut bytes: &[u8]) -> Option<&[u8]> {
    while ETHERTYPE_VLAN.contains(&be16(bytes, 0)?) {
        bytes = bytes.get(4..)?;
    }
    of_ethertype(bytes)
}

fn of_ethertype(bytes: &[u8]) -> Option<&[u8]> {
    match be16(bytes, 0)? {
        ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => bytes.get(2..),
        _ => None,
    }
}

fn ipv4(packet: &[u8]) -> Option<Segment<'_>> {
    let header = usize::from(packet[0] & 0x0f) * 4;
    let fragmented = be16(packet, 6)? & 0x3fff != 0;
    if *packet.get(9)? != PROTOCOL_TCP || fragmented || header < 20 {
        return None;
    }
    let address = |at: usize| -> Option<IpAddr> {
        let bytes: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
        Some(Ipv4Addr::from(bytes).into())
    };
    // Zero where the network card was to cut the packet; the frame may be padded otherwise.
    let total = match usize::from(be16(packet, 2)?) {
        0 => packet.len(),
        total => total,
    };
    tcp(packet.get(header..total)?, address(12)?, address(16)?)
}

fn ipv6(packet: &[u8]) -> Option<Segment<'_>> {
    if *packet.get(6)? != PROTOCOL_TCP {
        return None;
    }
    let address = |at: usize| -> Option<IpAddr> {
        let bytes: [u8; 16] = packet.get(at..at + 16)?.try_into().ok()?;
        Some(Ipv6Addr::from(bytes).into())
    };
    let total = match usize::from(be16(packet, 4)?) {
        0 => packet.len(),
        payload => 40 + payload,
    };
    tcp(packet.get(40..total)?, address(8)?, address(24)?)
}

fn tcp(bytes: &[u8], from: IpAddr, to: IpAddr) -> Option<Segment<'_>> {
    let header = usize::from(*bytes.get(12)? >> 4) * 4;
    let flags = *bytes.get(13)?;
    let sequence = bytes.get(4..8)?.try_into().ok()?;
    Some(Segment {
        from: SocketAddr::new(from, be16(bytes, 0)?),
        to: SocketAddr::new(to, be16(bytes, 2)?),
        sequence: u32::from_be_bytes(sequence),
        fin: flags & 0x01 != 0,
        syn: flags & 0x02 != 0,
        rst: flags & 0x04 != 0,
        ack: flags & 0x10 != 0,
        payload: bytes.get(header.max(20)..)?,
    })
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Source port 40000, destination port 3260, sequence 7, PSH and ACK, then "abc".
    const TCP: [u8; 23] = [
        0x9c, 0x40, 0x0c, 0xbc, 0, 0, 0, 7, 0, 0, 0, 9, 0x50, 0x18, 0, 0, 0, 0, 0, 0, b'a', b'b',
        b'c',
    ];

    fn ipv4_packet() -> Vec<u8> {
        let header = [
            0x45, 0, 0, 43, 0, 0, 0x40, 0, 64, 6, 0, 0, 127, 0, 0, 1, 127, 0, 0, 2,
        ];
        [&header[..], &TCP].concat()
    }

    fn ipv6_packet() -> Vec<u8> {
        let mut header = [0; 40];
        (header[0], header[5], header[6]) = (0x60, 23, 6);
        (header[23], header[39]) = (1, 2);
        [&header[..], &TCP].concat()
    }

    fn of(link: DataLink, bytes: &[u8]) -> Option<Segment<'_>> {
        segment(&Frame {
            number: 1,
            at: Duration::ZERO,
            link,
            bytes,
        })
    }

    #[test]
    fn a_segment_is_found_below_every_link() {
        for (packet, from) in [
            (ipv4_packet(), "127.0.0.1:40000"),
            (ipv6_packet(), "[::1]:40000"),
        ] {
            let ethertype: [u8; 2] = if packet[0] >> 4 == 4 {
                [0x08, 0x00]
            } else {
                [0x86, 0xdd]
            };
            // Short Ethernet frames are padded.
            let ethernet = [&[0; 12][..], &ethertype, &packet, &[0; 5]].concat();
            let vlan = [&[0; 12][..], &[0x81, 0, 0, 5], &ethertype, &packet].concat();
            let cooked = [&[0; 14][..], &ethertype, &packet].concat();
            let loopback = [&[2, 0, 0, 0][..], &packet].concat();
            for (link, bytes) in [
                (DataLink::ETHERNET, &ethernet),
                (DataLink::ETHERNET, &vlan),
                (DataLink::LINUX_SLL, &cooked),
                (DataLink::NULL, &loopback),
                (DataLink::RAW, &packet),
            ] {
                let segment = of(link, bytes).expect("a segment");
                assert_eq!(segment.from, from.parse().expect("an address"));
                assert_eq!((segment.to.port(), segment.sequence), (3260, 7));
                assert_eq!(
                    (segment.syn, segment.ack, segment.payload),
                    (false, true, &b"abc"[..])
                );
            }
        }
    }

    #[test]
    fn what_is_cut_short_is_no_segment() {
        for packet in [ipv4_packet(), ipv6_packet()] {
            for len in 0..packet.len() {
                assert_eq!(of(DataLink::RAW, &packet[..len]), None, "{len} bytes");
            }
        }
        let mut fragment = ipv4_packet();
        fragment[6] = 0x20;
        assert_eq!(of(DataLink::RAW, &fragment), None);
    }
}
