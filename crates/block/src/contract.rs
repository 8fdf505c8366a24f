//! What every store must do, whatever holds the blocks: one suite for all of them.
//!
//! Knows a store by what it is and by a function that runs operations. Panics where the contract is
//! broken, and says how.

use crate::{Buffer, Caps, Completion, Extent, Fault, Found, Op, Span, Stage, Ticket};

/// A store under trial: of a fresh image, all zeros, of at least [`BYTES_MIN`] bytes.
pub struct Subject<'a> {
    /// What it says it is.
    pub caps: Caps,
    /// Submits all of it in one batch; gives every completion that ever comes.
    pub run: &'a mut dyn FnMut(Vec<(Ticket, Op)>) -> Vec<Completion>,
}

/// What an image must hold to be tried.
pub const BYTES_MIN: u64 = 8 << 20;

/// A large operation.
const LARGE: u64 = 1 << 20;

/// Runs the whole suite.
///
/// # Panics
/// Where the store does not keep the contract.
pub fn check(subject: &mut Subject<'_>) {
    assert!(subject.caps.bytes >= BYTES_MIN, "too small to be tried");
    assert!(!subject.caps.read_only, "a fresh image can be written");
    subject.a_fresh_image_is_zeros();
    subject.what_is_written_is_read();
    subject.every_ticket_is_answered_once();
    subject.nothing_is_touched_beyond_the_end();
    subject.a_flush_covers_what_was_answered();
    subject.zeros_are_stored();
    subject.what_is_unmapped_is_what_was_promised();
    subject.extents_tell_of_all_data();
    subject.room_is_told();
}

impl Subject<'_> {
    fn block(&self) -> u64 {
        u64::from(self.caps.block_size.bytes())
    }

    fn answer(&mut self, op: Op) -> Completion {
        let mut done = (self.run)(vec![(Ticket(1), op)]);
        assert_eq!(done.len(), 1, "one operation, one answer: {done:?}");
        done.remove(0)
    }

    fn good(&mut self, op: Op) -> Completion {
        let told = format!("{op:?}");
        let done = self.answer(op);
        assert_eq!(done.outcome, Ok(()), "{}", head(&told));
        done
    }

    fn write(&mut self, at: u64, len: u64, byte: u8, durable: bool) {
        let buffer = filled(len, byte);
        let done = self.good(Op::Write {
            at,
            buffer,
            durable,
        });
        let back = done.buffer.expect("a write gives its buffer back");
        assert_eq!(back.len() as u64, len, "a buffer keeps its length");
    }

    fn holds(&mut self, at: u64, len: u64, byte: u8) {
        let buffer = filled(len, !byte);
        let done = self.good(Op::Read { at, buffer });
        let buffer = done.buffer.expect("a read gives its buffer back");
        assert_eq!(buffer.len() as u64, len, "a buffer keeps its length");
        let other = buffer.bytes().iter().position(|got| *got != byte);
        assert_eq!(
            other, None,
            "{len} bytes at {at}: not {byte:#x} at this one"
        );
    }

    fn a_fresh_image_is_zeros(&mut self) {
        let (block, end) = (self.block(), self.caps.bytes);
        self.holds(0, LARGE, 0);
        self.holds(end - block, block, 0);
    }

    /// Single blocks and large ones, at both ends, durable and not; neighbours stay what they are.
    fn what_is_written_is_read(&mut self) {
        let (block, end) = (self.block(), self.caps.bytes);
        let mut byte = 0;
        for durable in [false, true] {
            for len in [block, 3 * block, 65_536 + block, LARGE] {
                for at in [0, 7 * block, LARGE - block, end - len] {
                    byte = byte % 250 + 1;
                    self.write(at, len, byte, durable);
                    self.holds(at, len, byte);
                }
            }
        }
        self.write(LARGE, 3 * block, 1, false);
        self.write(LARGE + block, block, 2, true);
        self.holds(LARGE, block, 1);
        self.holds(LARGE + block, block, 2);
        self.holds(LARGE + 2 * block, block, 1);
    }

    fn every_ticket_is_answered_once(&mut self) {
        let block = self.block();
        let op = |i: u64| match i % 4 {
            0 => Op::Flush,
            1 => Op::Read {
                at: i * block,
                buffer: filled(block, 0),
            },
            2 => Op::Write {
                at: i * block,
                buffer: filled(block, 9),
                durable: i.is_multiple_of(8),
            },
            _ => Op::Read {
                at: self.caps.bytes,
                buffer: filled(block, 0),
            },
        };
        let batch: Vec<_> = (0..400).map(|i| (Ticket(i), op(i))).collect();
        let mut done = (self.run)(batch);
        done.sort_by_key(|done| done.ticket);
        let tickets = done.iter().map(|done| done.ticket.0);
        assert!(tickets.eq(0..400), "every ticket once: {}", done.len());
        for done in done {
            let expected = match done.ticket.0 % 4 {
                3 => Err(Fault::OutOfRange),
                _ => Ok(()),
            };
            assert_eq!(done.outcome, expected, "{:?}", done.ticket);
            assert_eq!(done.stage, Stage::Only);
            let carries = !done.ticket.0.is_multiple_of(4);
            assert_eq!(done.buffer.is_some(), carries, "memory comes back");
        }
    }

    fn nothing_is_touched_beyond_the_end(&mut self) {
        let (block, end) = (self.block(), self.caps.bytes);
        self.write(end - block, block, 3, true);
        let beyond = [
            (end, block),
            (end - block, 2 * block),
            (u64::MAX - block + 1, block),
            (end - block, block - 1),
            (1, block),
        ];
        for (at, len) in beyond {
            let span = Span { at, len };
            let ops = [
                Op::Read {
                    at,
                    buffer: filled(len, 0),
                },
                Op::Write {
                    at,
                    buffer: filled(len, 4),
                    durable: true,
                },
                Op::WriteZeroes {
                    span,
                    durable: true,
                },
            ];
            for op in ops {
                let (told, carries) = (format!("{op:?}"), op.buffer().is_some());
                let done = self.answer(op);
                assert_eq!(done.outcome, Err(Fault::OutOfRange), "{}", head(&told));
                assert_eq!(done.buffer.is_some(), carries, "memory comes back");
            }
        }
        self.holds(end - block, block, 3);
    }

    fn a_flush_covers_what_was_answered(&mut self) {
        self.write(0, LARGE, 5, false);
        let done = self.good(Op::Flush);
        assert!(done.buffer.is_none() && done.found == Found::Nothing);
        self.holds(0, LARGE, 5);
    }

    fn zeros_are_stored(&mut self) {
        let block = self.block();
        for durable in [false, true] {
            // Odd blocks, and more than one step of whoever writes them by hand.
            let span = Span {
                at: block,
                len: 2 * LARGE + block,
            };
            self.write(0, LARGE, 6, false);
            self.write(LARGE, LARGE, 6, false);
            self.write(2 * LARGE, LARGE, 6, false);
            self.good(Op::WriteZeroes { span, durable });
            self.holds(0, block, 6);
            for (at, len) in [
                (block, LARGE - block),
                (LARGE, LARGE),
                (2 * LARGE, 2 * block),
            ] {
                self.holds(at, len, 0);
            }
            self.holds(span.end(), block, 6);
        }
        let nothing = Span { at: 0, len: 0 };
        self.good(Op::WriteZeroes {
            span: nothing,
            durable: true,
        });
    }

    fn what_is_unmapped_is_what_was_promised(&mut self) {
        let block = self.block();
        let span = Span {
            at: LARGE + block,
            len: LARGE,
        };
        self.write(LARGE, LARGE, 7, false);
        self.write(2 * LARGE, LARGE, 7, true);
        for durable in [false, true] {
            let done = self.answer(Op::Unmap { span, durable });
            if !self.caps.thin.unmap {
                assert_eq!(done.outcome, Err(Fault::Unsupported));
                return self.holds(span.at, span.len, 7);
            }
            assert_eq!(done.outcome, Ok(()));
        }
        self.holds(LARGE, block, 7);
        self.holds(span.end(), block, 7);
        if self.caps.thin.unmapped_zero {
            self.holds(span.at, span.len, 0);
        }
        self.write(span.at, block, 8, true);
        self.holds(span.at, block, 8);
    }

    /// Where it is said that nothing is, there are zeros; a map may know less than it could, but
    /// never has gaps.
    fn extents_tell_of_all_data(&mut self) {
        let block = self.block();
        let span = Span {
            at: block,
            len: 6 * LARGE,
        };
        let op = || Op::Extents {
            span,
            found: Vec::new(),
        };
        if !self.caps.thin.extents {
            return assert_eq!(self.answer(op()).outcome, Err(Fault::Unsupported));
        }
        self.write(4 * LARGE + block, block, 9, true);
        let Found::Extents(found) = self.good(op()).found else {
            panic!("an allocation map was asked for");
        };
        let mut at = span.at;
        for Extent {
            span: part,
            allocated,
        } in &found
        {
            assert_eq!(part.at, at, "no gap: {found:?}");
            assert!(part.len > 0 && part.len.is_multiple_of(block), "{found:?}");
            at = part.end();
            if !allocated {
                let last = Span {
                    at: part.end() - block,
                    len: block,
                };
                for at in [part.at, last.at] {
                    self.holds(at, block, 0);
                }
            }
        }
        assert_eq!(at, span.end(), "all of it, where it is short: {found:?}");
        let written = Span {
            at: 4 * LARGE + block,
            len: block,
        };
        let holder = found.iter().find(|extent| extent.span.overlaps(written));
        assert!(holder.is_some_and(|extent| extent.allocated), "{found:?}");
    }

    fn room_is_told(&mut self) {
        let done = self.answer(Op::Space { found: None });
        if !self.caps.thin.space {
            return assert_eq!(done.outcome, Err(Fault::Unsupported));
        }
        let Found::Space(space) = done.found else {
            panic!("room was asked for: {done:?}");
        };
        assert!(space.total > 0 && space.free <= space.total, "{space:?}");
        assert!(space.allocated != Some(0), "it holds data: {space:?}");
    }
}

fn filled(len: u64, byte: u8) -> Buffer {
    let mut buffer = Buffer::zeroed(usize::try_from(len).expect("fits in memory"));
    buffer.bytes_mut().fill(byte);
    buffer
}

/// The telling part of an operation; the rest is its data.
fn head(text: &str) -> String {
    text.chars().take(60).collect()
}
