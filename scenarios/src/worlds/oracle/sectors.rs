//! Goes through the sectors of all images. Sectors that the same reads and writes cover, and where
//! every read saw the same, are judged once.

use super::super::history::{Fate, Held, History, Image, Read, Write};
use super::zones::{self, Cluster};
use super::{Findings, Place, Wrong, order};

/// Where a read or write begins or ends. Sorted by place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    /// The image, then the sector.
    place: u64,
    begins: bool,
    reads: bool,
    /// Its number in its list.
    number: u32,
}

/// Finds what is wrong with what reads saw.
pub(super) fn judge(history: &History, findings: &mut Findings) {
    let edges = edges(history);
    let mut cover = Cover {
        history,
        findings,
        writes: Vec::with_capacity(history.writes.len()),
        reads: Vec::with_capacity(history.reads.len()),
        clusters: Vec::with_capacity(history.writes.len() + 1),
        slots: vec![0; history.writes.len()],
    };
    for (index, edge) in edges.iter().enumerate() {
        cover.cross(*edge);
        let next = edges.get(index + 1).map(|next| next.place);
        // The last edge of an image leaves no read that would cover anything up to the next image.
        if let Some(next) = next.filter(|&next| next != edge.place && !cover.reads.is_empty()) {
            cover.judge_run(image_of(edge.place), sector_of(edge.place)..sector_of(next));
        }
    }
}

fn edges(history: &History) -> Vec<Edge> {
    let mut edges = Vec::with_capacity(2 * (history.writes.len() + history.reads.len()));
    let mut add = |image: Image, (at, sectors): (u32, u32), reads, number| {
        if sectors > 0 {
            for (sector, begins) in [(at, true), (at.saturating_add(sectors), false)] {
                edges.push(Edge {
                    place: u64::from(image) << 32 | u64::from(sector),
                    begins,
                    reads,
                    number,
                });
            }
        }
    };
    for (number, write) in (0..).zip(&history.writes) {
        add(write.image, (write.at, write.sectors), false, number);
    }
    for (number, read) in (0..).zip(&history.reads) {
        add(read.image, (read.at, read.held.len() as u32), true, number);
    }
    edges.sort_unstable();
    edges
}

fn image_of(place: u64) -> Image {
    (place >> 32) as Image
}

fn sector_of(place: u64) -> u32 {
    place as u32
}

/// The reads and writes that cover the sector reached, and room to judge it in.
struct Cover<'a> {
    history: &'a History,
    findings: &'a mut Findings,
    writes: Vec<u32>,
    reads: Vec<u32>,
    clusters: Vec<Cluster>,
    /// By write, its cluster; of a write that does not cover the sector anything.
    slots: Vec<u32>,
}

impl Cover<'_> {
    fn cross(&mut self, edge: Edge) {
        let list = match edge.reads {
            true => &mut self.reads,
            false => &mut self.writes,
        };
        if edge.begins {
            list.push(edge.number);
        } else if let Some(index) = list.iter().position(|number| *number == edge.number) {
            list.swap_remove(index);
        }
    }

    /// Judges sectors that the same reads and writes cover.
    fn judge_run(&mut self, image: Image, sectors: std::ops::Range<u32>) {
        let mut first = sectors.start;
        for sector in sectors.start + 1..=sectors.end {
            if sector == sectors.end || !self.is_as_before(sector) {
                let place = Place {
                    image,
                    first,
                    end: sector,
                };
                self.judge_alike(place);
                first = sector;
            }
        }
    }

    /// Whether every read saw in that sector what it saw in the one before.
    fn is_as_before(&self, sector: u32) -> bool {
        self.reads.iter().all(|&number| {
            let read = &self.history.reads[number as usize];
            let index = (sector - read.at) as usize;
            read.held[index] == read.held[index - 1]
        })
    }

    /// Judges sectors of which each holds the same at any moment.
    fn judge_alike(&mut self, place: Place) {
        self.clusters.clear();
        self.clusters.push(Cluster::ZEROS);
        for &number in &self.writes {
            self.slots[number as usize] = self.clusters.len() as u32;
            let write = &self.history.writes[number as usize];
            self.clusters.push(Cluster::of(write));
        }
        let mut flickered = false;
        for &number in &self.reads {
            let read = &self.history.reads[number as usize];
            match stranger(self.history, number, place.first) {
                Some(wrong) => self.findings.add(read.ended, place, wrong),
                None if self.saw_flickering(read, place.first) => flickered = true,
                None => {
                    let slot = match read.held[(place.first - read.at) as usize] {
                        Held::Write(write) => self.slots[write as usize],
                        Held::Nothing | Held::Garbage => 0,
                    };
                    self.clusters[slot as usize].seen(read);
                }
            }
        }
        if zones::clash(&mut self.clusters) || flickered {
            self.explain(place);
        }
    }

    /// Whether a read saw there what proves nothing.
    fn saw_flickering(&self, read: &Read, sector: u32) -> bool {
        let Held::Write(write) = read.held[(sector - read.at) as usize] else {
            return false;
        };
        zones::flickers(&self.history.writes[write as usize])
    }

    /// Nothing may have been lost there, or else something is wrong: looks closely. Flushes may
    /// divide what reads and writes do not.
    fn explain(&mut self, place: Place) {
        for sector in place.first..place.end {
            let place = Place {
                first: sector,
                end: sector + 1,
                ..place
            };
            let here = (place.image, sector);
            let found = order::superseded(self.history, here, &self.writes, &self.reads);
            if let Some(superseded) = found {
                let at = self.history.reads[superseded.read as usize].ended;
                self.findings.add(at, place, Wrong::Superseded(superseded));
            }
        }
    }
}

/// What is wrong with what a read saw in a sector, whatever else happened there.
pub(super) fn stranger(history: &History, read: u32, sector: u32) -> Option<Wrong> {
    let it = &history.reads[read as usize];
    let write = match it.held[(sector - it.at) as usize] {
        Held::Nothing => return None,
        Held::Garbage => return Some(Wrong::Garbage { read }),
        Held::Write(write) => write,
    };
    let here = |seen: &&Write| {
        seen.image == it.image && seen.at <= sector && sector - seen.at < seen.sectors
    };
    match history.writes.get(write as usize).filter(here) {
        None => Some(Wrong::Elsewhere { read, write }),
        Some(seen) if seen.fate == Fate::Refused => Some(Wrong::Refused { read, write }),
        Some(seen) if seen.sent > it.ended => Some(Wrong::Early { read, write }),
        Some(_) => None,
    }
}
