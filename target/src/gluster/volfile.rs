//! A volume's description as its clients get it: translators, their options, what lies below what.
//!
//! Knows the grammar and what a volume is by it; whether that is any good is the doctor's business.

use std::collections::BTreeMap;

/// One `volume … end-volume`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Translator {
    /// `protocol/client`, `cluster/replicate`, …
    pub(super) kind: String,
    options: BTreeMap<String, String>,
    /// How many are below it.
    pub(super) children: usize,
}

impl Translator {
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    /// A number, or a number of seconds.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.option(name)?.parse().ok()
    }

    /// As Gluster writes booleans.
    pub(super) fn is_on(&self, name: &str) -> bool {
        let on = ["on", "yes", "true", "enable", "1"];
        self.option(name).is_some_and(|value| on.contains(&value))
    }
}

/// Reads a description. What it does not know it passes over: it is not ours.
pub(super) fn parse(text: &str) -> Vec<Translator> {
    let mut translators: Vec<Translator> = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { continue };
        if first == "volume" {
            translators.push(Translator::default());
        }
        let Some(translator) = translators.last_mut() else {
            continue;
        };
        match first {
            "type" => translator.kind = words.next().unwrap_or_default().to_owned(),
            "option" => {
                let name = words.next().unwrap_or_default().to_owned();
                let value: Vec<_> = words.collect();
                translator.options.insert(name, value.join(" "));
            }
            "subvolumes" => translator.children = words.count(),
            _ => {}
        }
    }
    translators
}

/// What a volume is, as far as images on it must know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Nature {
    /// Files are cut into shards. Beyond the first, O_DSYNC is not heeded.
    pub(super) sharded: bool,
    /// Files are erasure coded.
    pub(super) dispersed: bool,
    /// Every brick belongs to a replica or disperse set: one that fails a write or its sync is
    /// known to have failed, is not read, and is healed from the others.
    pub(super) redundant: bool,
    /// How many bricks hold a file; known where all of the volume is replicated and nothing sharded.
    pub(super) copies: Option<usize>,
    /// SEEK_DATA and SEEK_HOLE may be called: on sharded volumes they are not supported, and they
    /// crash clients before 10.3 where a volume only distributes.
    pub(super) seeks: bool,
}

impl Nature {
    pub(super) fn of(translators: &[Translator], client: Option<(u32, u32)>) -> Self {
        let has = |kind: &str| translators.iter().any(|each| each.kind == kind);
        let sharded = has("features/shard");
        let dispersed = has("cluster/disperse");
        let sets = ["cluster/replicate", "cluster/disperse"];
        let in_sets = translators
            .iter()
            .filter(|each| sets.contains(&&*each.kind))
            .map(|set| set.children)
            .sum::<usize>();
        let is_brick = |each: &&Translator| each.kind == "protocol/client";
        let bricks = translators.iter().filter(is_brick).count();
        let mended = client.is_some_and(|client| client >= (10, 3));
        Self {
            sharded,
            dispersed,
            redundant: in_sets >= bricks.max(1),
            copies: copies(translators, bricks).filter(|_| !sharded),
            seeks: !sharded && (in_sets > 0 || mended),
        }
    }
}

/// What all replica sets agree on, where there is nothing but them.
fn copies(translators: &[Translator], bricks: usize) -> Option<usize> {
    let is_set = |each: &&Translator| each.kind == "cluster/replicate";
    let mut sets = translators.iter().filter(is_set).map(|set| set.children);
    let copies = sets.next()?;
    let mut all = copies;
    for children in sets {
        all += children;
        if children != copies {
            return None;
        }
    }
    (all == bricks).then_some(copies)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "volume v-client-0
    type protocol/client
    option ping-timeout 42
    option remote-subvolume /a b
end-volume

volume v-replicate-0
    type cluster/replicate
    option eager-lock enable
    subvolumes v-client-0 v-client-1
end-volume";

    #[test]
    fn translators_with_options_and_children() {
        let translators = parse(TEXT);
        let [client, replicate] = translators.as_slice() else {
            panic!("two: {translators:?}");
        };
        assert_eq!(client.kind, "protocol/client");
        assert_eq!(client.number("ping-timeout"), Some(42));
        assert_eq!(client.option("remote-subvolume"), Some("/a b"));
        assert_eq!(
            (&*replicate.kind, replicate.children),
            ("cluster/replicate", 2)
        );
        assert!(replicate.is_on("eager-lock") && !replicate.is_on("quorum-type"));
        assert!(parse("").is_empty() && parse("option a b").is_empty());
    }

    #[test]
    fn a_brick_outside_every_set_has_nobody_to_heal_it() {
        let of = |text: &str| Nature::of(&parse(text), None).redundant;
        let brick = "volume c\ntype protocol/client\nend-volume\n";
        let pair = "volume r\ntype cluster/replicate\nsubvolumes a b\nend-volume\n";
        assert!(of(&[brick, brick, pair].concat()));
        assert!(of(&[brick, brick, brick, brick, pair, pair].concat()));
        assert!(!of(&[brick, brick, brick, pair].concat()));
        assert!(!of(brick) && !of(""));
    }

    #[test]
    fn copies_are_known_where_all_sets_are_alike() {
        let of = |text: &str| Nature::of(&parse(text), None).copies;
        let brick = "volume c\ntype protocol/client\nend-volume\n";
        let pair = "volume r\ntype cluster/replicate\nsubvolumes a b\nend-volume\n";
        let lone = "volume r\ntype cluster/replicate\nsubvolumes a\nend-volume\n";
        let coded = "volume e\ntype cluster/disperse\nsubvolumes a b\nend-volume\n";
        let shard = "volume s\ntype features/shard\nsubvolumes r\nend-volume\n";
        assert_eq!(of(&[brick, brick, pair].concat()), Some(2));
        assert_eq!(
            of(&[brick, brick, brick, brick, pair, pair].concat()),
            Some(2)
        );
        for other in [
            &[brick, brick, brick, pair][..],
            &[brick, brick, brick, pair, lone],
            &[brick, brick, coded],
            &[brick, brick, pair, shard],
            &[brick],
        ] {
            assert_eq!(of(&other.concat()), None, "{other:?}");
        }
    }

    #[test]
    fn seeking_is_safe_or_not_done() {
        let of = |kind: &str, client| {
            let text = format!("volume v\ntype {kind}\nsubvolumes a b");
            Nature::of(&parse(&text), client)
        };
        assert!(of("cluster/replicate", None).seeks);
        assert!(of("cluster/disperse", Some((9, 2))).seeks);
        assert!(!of("cluster/distribute", Some((10, 2))).seeks);
        assert!(!of("cluster/distribute", None).seeks);
        assert!(of("cluster/distribute", Some((10, 3))).seeks);
        assert!(!of("features/shard", Some((11, 1))).seeks);
    }
}
