//! What stores share about zeros and holes.

use block::{BlockSize, Extent, Span};

/// Zeros to be written where storage makes none by itself: one memory for all.
pub(crate) static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

/// The parts of `span` that are written one after the other where zeros are sent.
pub(crate) fn zero_pieces(span: Span) -> impl Iterator<Item = (u64, &'static [u8])> {
    let step = ZEROS.len() as u64;
    (0..span.len.div_ceil(step)).map(move |piece| {
        let at = span.at + piece * step;
        let len = (span.end() - at).min(step);
        (at, &ZEROS[..len as usize])
    })
}

/// Most extents told at a time: what an answer to GET LBA STATUS of 32 KiB holds.
pub(crate) const EXTENTS_MAX: usize = 2048;

/// The extents of `span` as `next` finds them: asked for the next data, or (`true`) the next hole,
/// at or after an offset; `None` is none before the end.
pub(crate) fn extents<E>(
    span: Span,
    block: BlockSize,
    mut next: impl FnMut(u64, bool) -> Result<Option<u64>, E>,
) -> Result<Vec<Extent>, E> {
    let mut found: Vec<Extent> = Vec::new();
    let mut at = span.at;
    while at < span.end() && found.len() < EXTENTS_MAX {
        // A block that holds any data counts as allocated, all of it.
        let down = |offset: u64| offset - offset % u64::from(block.bytes());
        let data = next(at, false)?.map_or(span.end(), |data| down(data).clamp(at, span.end()));
        if data > at {
            found.push(Extent {
                span: Span { at, len: data - at },
                allocated: false,
            });
        }
        if data == span.end() {
            break;
        }
        let hole = next(data, true)?.unwrap_or(span.end());
        let end = block.round_up(hole.max(data + 1)).min(span.end());
        match found.last_mut() {
            Some(last) if last.allocated => last.span.len = end - last.span.at,
            _ => found.push(Extent {
                span: Span {
                    at: data,
                    len: end - data,
                },
                allocated: true,
            }),
        }
        at = end;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: BlockSize = BlockSize::B512;

    fn extent(at: u64, len: u64, allocated: bool) -> Extent {
        let span = Span { at, len };
        Extent { span, allocated }
    }

    /// Data at these ranges, as SEEK_DATA and SEEK_HOLE tell it.
    fn look(data: &[(u64, u64)], span: Span) -> Vec<Extent> {
        let next = |at: u64, hole: bool| -> Result<Option<u64>, ()> {
            let inside = data.iter().find(|(from, to)| (*from..*to).contains(&at));
            let later = data.iter().map(|(from, _)| *from).find(|from| *from >= at);
            Ok(match (hole, inside) {
                (true, Some((_, to))) => Some(*to),
                (true, None) | (false, Some(_)) => Some(at),
                (false, None) => later,
            })
        };
        extents(span, BLOCK, next).expect("told")
    }

    #[test]
    fn extents_have_no_gaps_and_whole_blocks() {
        let span = Span { at: 512, len: 8192 };
        let data = [(0, 600), (700, 1100), (4096, 4608), (9000, 9999)];
        let expected = [
            extent(512, 1024, true),
            extent(1536, 2560, false),
            extent(4096, 512, true),
            extent(4608, 4096, false),
        ];
        assert_eq!(look(&data, span), expected);
        assert_eq!(look(&[], span), [extent(512, 8192, false)]);
        assert_eq!(look(&[(0, 1 << 20)], span), [extent(512, 8192, true)]);
    }

    #[test]
    fn zeros_come_in_pieces_of_one_memory() {
        let span = Span {
            at: 512,
            len: (2 << 20) + 512,
        };
        let pieces: Vec<_> = zero_pieces(span)
            .map(|(at, zeros)| (at, zeros.len()))
            .collect();
        assert_eq!(
            pieces,
            [
                (512, 1 << 20),
                (512 + (1 << 20), 1 << 20),
                (512 + (2 << 20), 512)
            ]
        );
    }
}
