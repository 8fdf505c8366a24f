//! Which read saw what another write had superseded, and why: pair by pair, with losses.

use std::cmp::Reverse;

use super::super::history::{Fate, Held, History, Image, Loss, Sync, Write, WriteId};
use super::super::plan::Moment;
use super::sectors::stranger;
use super::zones::{BEGINNING, Instant, end_of, flickers, instant};

/// A read that saw what was superseded. Reads are named by their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Superseded {
    /// The read.
    pub(super) read: u32,
    /// What it saw; `None`: the zeros of the beginning.
    pub(super) held: Option<WriteId>,
    /// How one knows that this had taken effect by then.
    pub(super) held_by: Sign,
    /// The write that superseded it,
    pub(super) newer: WriteId,
    /// because it was sent after that, or because this read, sent after that, saw it.
    pub(super) after: Option<u32>,
    /// How one knows that the newer one had taken effect before the read.
    pub(super) newer_by: Sign,
    /// A read that saw the newer one, if any.
    pub(super) seen: Option<u32>,
    /// Storage may have lost what is not durable, but this was, since then.
    pub(super) floor: Option<Moment>,
}

/// How one knows that a write had taken effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// It had ended.
    Ended,
    /// This read, which ended, saw it.
    Seen(u32),
}

/// A write, or the zeros.
struct Value {
    write: Option<WriteId>,
    good: bool,
    /// That it was seen proves nothing, nor does that it was not.
    flickers: bool,
    sent: Instant,
    durable: Option<Moment>,
    /// By when it had taken effect, if ever, and how one knows.
    first_end: Instant,
    sign: Sign,
    /// The reads that saw it, in the order they were sent.
    reads: Vec<Seen>,
}

/// A read of one sector.
#[derive(Clone, Copy)]
struct Seen {
    number: u32,
    sent: Instant,
    /// Writes sent until then may have been lost when it looked.
    lost_until: Instant,
}

/// The read of that sector, among `reads`, that saw what one of `writes` had superseded; of several
/// the earliest, of several reasons the simplest.
pub(super) fn superseded(
    history: &History,
    (image, sector): (Image, u32),
    writes: &[WriteId],
    reads: &[u32],
) -> Option<Superseded> {
    let mut values = vec![zeros()];
    let durable = |write| durable_since(history, write, sector);
    values.extend(writes.iter().map(|&number| {
        let write = &history.writes[number as usize];
        value(number, write, durable(write))
    }));
    let mut reads = reads.to_vec();
    reads.sort_unstable_by_key(|&number| (history.reads[number as usize].sent, number));
    for number in reads {
        if stranger(history, number, sector).is_none() {
            add_read(history, &mut values, image, sector, number);
        }
    }
    values.retain(|value| value.good || !value.reads.is_empty());
    let pairs = values.iter().flat_map(|held| {
        let clash = |newer| clash(held, newer);
        values.iter().filter_map(clash)
    });
    pairs.min_by_key(|(key, _)| *key).map(|(_, found)| found)
}

fn zeros() -> Value {
    Value {
        write: None,
        good: true,
        flickers: false,
        sent: BEGINNING,
        durable: Some(engine::Moment(0)),
        first_end: BEGINNING,
        sign: Sign::Ended,
        reads: Vec::new(),
    }
}

fn value(number: WriteId, write: &Write, durable: Option<Moment>) -> Value {
    let flickers = flickers(write);
    Value {
        write: Some(number),
        good: write.fate == Fate::Good,
        flickers,
        sent: instant(write.sent),
        durable,
        first_end: instant(if flickers { write.ended } else { end_of(write) }),
        sign: Sign::Ended,
        reads: Vec::new(),
    }
}

fn add_read(history: &History, values: &mut [Value], image: Image, sector: u32, number: u32) {
    let read = &history.reads[number as usize];
    let write = match read.held[(sector - read.at) as usize] {
        Held::Write(write) => Some(write),
        Held::Nothing | Held::Garbage => None,
    };
    let Some(value) = values.iter_mut().find(|value| value.write == write) else {
        return;
    };
    let ended = instant(read.ended);
    if ended < value.first_end && !value.flickers {
        (value.first_end, value.sign) = (ended, Sign::Seen(number));
    }
    let losses = losses_of(history, image).filter(|loss| loss.from <= read.ended);
    let lost_until = losses.map(|loss| instant(loss.until)).max();
    value.reads.push(Seen {
        number,
        sent: instant(read.sent),
        lost_until: lost_until.unwrap_or(BEGINNING),
    });
}

/// What to prefer among what was found: less is better.
type Key = (bool, Instant, u32, bool, Reverse<Instant>, u32);

/// The first read that saw `held` although `newer` had superseded it.
fn clash(held: &Value, newer: &Value) -> Option<(Key, Superseded)> {
    let number = newer.write?;
    if held.write == newer.write || newer.flickers {
        return None;
    }
    let is_wrong = |read: &&Seen| {
        let must_be_there = newer.durable.is_some() || read.lost_until < newer.sent;
        read.sent > newer.first_end && must_be_there
    };
    let shows = |read: &&Seen| {
        let nothing_lost = read.lost_until < newer.sent.max(held.sent);
        read.sent > held.first_end && (held.durable.is_some() || nothing_lost)
    };
    let read = held.reads.iter().find(is_wrong)?;
    let (after, start) = match newer.sent > held.first_end {
        true => (None, newer.sent),
        false if held.flickers => return None,
        false => {
            let read = newer.reads.iter().find(shows)?;
            (Some(read.number), read.sent)
        }
    };
    let superseded = Superseded {
        read: read.number,
        held: held.write,
        held_by: held.sign,
        newer: number,
        after,
        newer_by: newer.sign,
        seen: newer.reads.first().map(|read| read.number),
        floor: newer.durable.filter(|_| read.lost_until >= newer.sent),
    };
    let plain = after.is_none() && newer.good && newer.sign == Sign::Ended;
    let key = (
        read.sent < start,
        read.sent,
        read.number,
        !plain,
        Reverse(newer.sent),
        number,
    );
    Some((key, superseded))
}

fn losses_of(history: &History, image: Image) -> impl Iterator<Item = &Loss> {
    let losses = history.losses.iter();
    losses.filter(move |loss| loss.image.is_none_or(|of| of == image))
}

/// Since when a write is durable on a sector: since it was answered GOOD where that means so, or
/// since a flush was, if nothing was lost between.
fn durable_since(history: &History, write: &Write, sector: u32) -> Option<Moment> {
    if write.fate != Fate::Good {
        return None;
    }
    if write.durable {
        return Some(write.ended);
    }
    let covers = |sync: &&Sync| {
        let reaches = sync.sectors == 0 || sector.saturating_sub(sync.at) < sync.sectors;
        sync.image == write.image
            && sync.fate == Fate::Good
            && sync.sent > write.ended
            && sync.at <= sector
            && reaches
    };
    let in_time = |sync: &&Sync| {
        let mut losses = losses_of(history, write.image);
        losses.all(|loss| write.sent > loss.until || is_before(history, sync, loss))
    };
    let flushes = history.syncs.iter().filter(covers).filter(in_time);
    flushes.map(|sync| sync.ended).min()
}

/// Whether a flush that was GOOD was carried out before a loss. One that was under way at the same
/// time was, because none is GOOD after the loss (see `flushes`) unless the image is opened anew.
fn is_before(history: &History, sync: &Sync, loss: &Loss) -> bool {
    let anew = |at: Moment| loss.from <= at && at <= sync.ended;
    let reopened = &history.reopened;
    let mut reopened = reopened.iter().filter(|each| each.image == sync.image);
    let asked = sync.sent < loss.until && !loss.unnoticed;
    sync.ended < loss.from || (asked && !reopened.any(|each| anew(each.at)))
}
