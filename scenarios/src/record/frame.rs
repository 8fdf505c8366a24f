//! Ethernet, IP and TCP made up around the bytes of one connection.

use std::net::{IpAddr, SocketAddr};

use initiator_sim::Flow;

/// Bytes of TCP payload per frame: IPv4 has 16 bits for the length of a packet.
const SEGMENT_BYTES_MAX: usize = 32 * 1024;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
const TCP: u8 = 6;

/// Made-up, locally administered: the initiator's and the target's.
const MACS: [[u8; 6]; 2] = [[0x02, 0, 0, 0, 0, 0x01], [0x02, 0, 0, 0, 0, 0x02]];

/// One connection as it would look in a capture. Index 0 is the initiator's side, 1 the target's.
#[derive(Debug)]
pub(super) struct Wire {
    addresses: [SocketAddr; 2],
    /// Sequence number of each side's next byte.
    next: [u32; 2],
}

impl Wire {
    /// The three-way handshake.
    pub(super) fn open(local: SocketAddr, peer: SocketAddr) -> (Self, Vec<Vec<u8>>) {
        let mut wire = Self {
            addresses: [local, peer],
            next: [0, 0],
        };
        let mut frames = vec![wire.frame(0, SYN, &[])];
        wire.next[0] = 1;
        frames.push(wire.frame(1, SYN | ACK, &[]));
        wire.next[1] = 1;
        frames.push(wire.frame(0, ACK, &[]));
        (wire, frames)
    }

    /// Bytes of one side.
    pub(super) fn carry(&mut self, flow: Flow, bytes: &[u8]) -> Vec<Vec<u8>> {
        let side = match flow {
            Flow::Sent => 0,
            Flow::Received => 1,
        };
        let segments = bytes.chunks(SEGMENT_BYTES_MAX);
        segments
            .map(|segment| {
                let frame = self.frame(side, ACK | PSH, segment);
                let len = u32::try_from(segment.len()).expect("a segment is short");
                self.next[side] = self.next[side].wrapping_add(len);
                frame
            })
            .collect()
    }

    /// Both sides say goodbye. Who was first is not recorded.
    pub(super) fn close(mut self) -> Vec<Vec<u8>> {
        let mut frames = vec![self.frame(0, FIN | ACK, &[])];
        self.next[0] = self.next[0].wrapping_add(1);
        frames.push(self.frame(1, FIN | ACK, &[]));
        self.next[1] = self.next[1].wrapping_add(1);
        frames.push(self.frame(0, ACK, &[]));
        frames
    }

    fn frame(&self, side: usize, flags: u8, payload: &[u8]) -> Vec<u8> {
        let (from, to) = (self.addresses[side], self.addresses[1 - side]);
        let acknowledged = if flags & ACK != 0 {
            self.next[1 - side]
        } else {
            0
        };
        let mut tcp = Vec::with_capacity(20 + payload.len());
        tcp.extend_from_slice(&from.port().to_be_bytes());
        tcp.extend_from_slice(&to.port().to_be_bytes());
        tcp.extend_from_slice(&self.next[side].to_be_bytes());
        tcp.extend_from_slice(&acknowledged.to_be_bytes());
        // 5 words of header, the largest window, checksum to come, no urgent data.
        tcp.extend_from_slice(&[0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        tcp.extend_from_slice(payload);

        let mut frame = [MACS[1 - side], MACS[side]].concat();
        match (from.ip(), to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                ipv4(&mut frame, from.octets(), to.octets(), &mut tcp);
            }
            (from, to) => ipv6(&mut frame, v6(from), v6(to), &mut tcp),
        }
        frame.extend_from_slice(&tcp);
        frame
    }
}

fn v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

fn ipv4(frame: &mut Vec<u8>, from: [u8; 4], to: [u8; 4], tcp: &mut [u8]) {
    let len = u16::try_from(20 + tcp.len()).expect("a segment fits a packet");
    frame.extend_from_slice(&[0x08, 0x00]);
    let header_at = frame.len();
    frame.extend_from_slice(&[0x45, 0]);
    frame.extend_from_slice(&len.to_be_bytes());
    // No identification, don't fragment, 64 hops, checksum to come.
    frame.extend_from_slice(&[0, 0, 0x40, 0, 64, TCP, 0, 0]);
    frame.extend_from_slice(&from);
    frame.extend_from_slice(&to);
    let sum = checksum(&[&frame[header_at..]]);
    frame[header_at + 10..header_at + 12].copy_from_slice(&sum.to_be_bytes());
    let tcp_len = u16::try_from(tcp.len())
        .expect("a segment fits a packet")
        .to_be_bytes();
    seal(tcp, &[&from[..], &to, &[0, TCP], &tcp_len].concat());
}

fn ipv6(frame: &mut Vec<u8>, from: [u8; 16], to: [u8; 16], tcp: &mut [u8]) {
    let len = u16::try_from(tcp.len())
        .expect("a segment fits a packet")
        .to_be_bytes();
    frame.extend_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0]);
    frame.extend_from_slice(&len);
    frame.extend_from_slice(&[TCP, 64]);
    frame.extend_from_slice(&from);
    frame.extend_from_slice(&to);
    seal(
        tcp,
        &[&from[..], &to, &[0, 0], &len, &[0, 0, 0, TCP]].concat(),
    );
}

/// The TCP checksum, which covers a pseudo header too.
fn seal(tcp: &mut [u8], pseudo_header: &[u8]) {
    let sum = checksum(&[pseudo_header, tcp]);
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
}

/// RFC 1071. Every part but the last has an even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2)).map(|pair| {
        let low = pair.get(1).copied().unwrap_or(0);
        u64::from(u16::from_be_bytes([pair[0], low]))
    });
    let mut sum: u64 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1071() {
        // RFC 1071 3: these words add up to ddf2.
        let sum = checksum(&[&[0x00, 0x01, 0xf2, 0x03], &[0xf4, 0xf5, 0xf6, 0xf7]]);
        assert_eq!(sum, !0xddf2);
    }

    #[test]
    fn long_data_is_cut_and_numbered() {
        let end = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let (mut wire, handshake) = Wire::open(end(40000), end(3260));
        assert_eq!(handshake.len(), 3);
        let frames = wire.carry(Flow::Received, &vec![7; SEGMENT_BYTES_MAX + 1]);
        assert_eq!(frames.len(), 2);
        assert_eq!(frames[1].len(), 14 + 20 + 20 + 1);
        assert_eq!(
            frames[1][38..42],
            (1 + SEGMENT_BYTES_MAX as u32).to_be_bytes()
        );
        assert_eq!(wire.close().len(), 3);
    }
}
