//! A READ: one ticket at a time, each cut into Data-In PDUs (RFC 7143 11.7).

use block::{BlockSize, Span};

use crate::limits::TICKET_BYTES_MAX;

/// Progress of one READ.
#[derive(Debug)]
pub(crate) struct ReadWork {
    /// What the command names, in the image.
    pub(crate) span: Span,
    /// Bytes the initiator gets: no more than it expects.
    pub(crate) want: u64,
    /// Bytes sent so far.
    pub(crate) sent: u64,
    /// Bytes sent in the current sequence, at most MaxBurstLength.
    pub(crate) burst: u32,
    /// The next Data-In's number.
    pub(crate) data_sn: u32,
}

/// One Data-In PDU to be cut from a ticket's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Offset in the buffer.
    pub(crate) at: usize,
    pub(crate) len: usize,
    /// Offset in the command's data.
    pub(crate) buffer_offset: u64,
    pub(crate) data_sn: u32,
    /// Ends a sequence.
    pub(crate) is_final: bool,
    /// Ends the data.
    pub(crate) is_last: bool,
}

impl ReadWork {
    pub(crate) fn new(span: Span, want: u64) -> Self {
        Self {
            span,
            want,
            sent: 0,
            burst: 0,
            data_sn: 0,
        }
    }

    /// Offset in the image and length of the next ticket, whole blocks.
    pub(crate) fn next_ticket(&self, block: BlockSize) -> (u64, usize) {
        let left = block.round_up(self.want - self.sent);
        let len = left.min(TICKET_BYTES_MAX as u64);
        (self.span.at + self.sent, len as usize)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.sent == self.want
    }

    /// The next PDU of a buffer of which `used` bytes are out, or `None` when it is spent.
    pub(crate) fn cut(&mut self, used: usize, len: usize, segment: u32, burst: u32) -> Option<Cut> {
        let left = (len - used).min((self.want - self.sent) as usize);
        if left == 0 {
            return None;
        }
        let room = burst.saturating_sub(self.burst).min(segment) as usize;
        let size = left.min(room);
        let cut_sn = self.data_sn;
        let offset = self.sent;
        self.sent += size as u64;
        self.burst += size as u32;
        self.data_sn += 1;
        let is_last = self.is_done();
        let is_final = is_last || self.burst >= burst;
        if is_final {
            self.burst = 0;
        }
        Some(Cut {
            at: used,
            len: size,
            buffer_offset: offset,
            data_sn: cut_sn,
            is_final,
            is_last,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts(want: u64, segment: u32, burst: u32) -> Vec<Cut> {
        let mut work = ReadWork::new(Span { at: 0, len: want }, want);
        let mut out = Vec::new();
        let mut used = 0;
        while let Some(cut) = work.cut(used, want as usize, segment, burst) {
            used += cut.len;
            out.push(cut);
        }
        out
    }

    #[test]
    fn one_pdu_carries_all_that_fits() {
        let all = cuts(4096, 8192, 16384);
        assert_eq!(all.len(), 1);
        assert!(all[0].is_final && all[0].is_last);
    }

    #[test]
    fn segments_and_bursts_bound_each_pdu() {
        let all = cuts(20_000, 4096, 8192);
        let lens: Vec<_> = all.iter().map(|cut| cut.len).collect();
        assert_eq!(lens, [4096, 4096, 4096, 4096, 3616]);
        let finals: Vec<_> = all.iter().map(|cut| cut.is_final).collect();
        assert_eq!(finals, [false, true, false, true, true]);
        assert_eq!(
            all.iter().map(|cut| cut.data_sn).collect::<Vec<_>>(),
            [0, 1, 2, 3, 4]
        );
        assert_eq!(all.iter().filter(|cut| cut.is_last).count(), 1);
    }

    #[test]
    fn a_burst_that_is_no_multiple_of_the_segment_cuts_the_segment() {
        let lens: Vec<_> = cuts(3000, 1024, 1500).iter().map(|cut| cut.len).collect();
        assert_eq!(lens, [1024, 476, 1024, 476]);
    }

    #[test]
    fn the_last_ticket_reads_whole_blocks_for_a_partial_want() {
        let work = ReadWork::new(Span { at: 512, len: 1024 }, 700);
        assert_eq!(work.next_ticket(BlockSize::B512), (512, 1024));
    }
}
