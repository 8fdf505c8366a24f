//! What a new configuration asks for, compared with what is served.
//!
//! Opens nothing. Invariant: a disk whose description did not change keeps its unit, and no image
//! is to be opened while a unit that goes away still has it.

use std::path::PathBuf;

use super::Startup;
use super::images::{Served, Wanted};
use crate::config::{LunSpec, ServerConfig};
use crate::store::OpenError;

/// What to do with each disk.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Stays as it is.
    pub(super) kept: Vec<Served>,
    /// Can be opened at once.
    pub(super) fresh: Vec<Wanted>,
    /// Can be opened once those in the way are closed.
    pub(super) late: Vec<Wanted>,
    /// Has an image of `late` open.
    pub(super) in_the_way: Vec<Served>,
    /// Goes away without anybody waiting for its image.
    pub(super) gone: Vec<Served>,
}

impl Plan {
    /// From what is served to what `config` wants.
    ///
    /// # Errors
    /// When an image that is open has not the size that is asked for.
    pub(super) fn of(served: &[Served], config: &ServerConfig) -> Result<Self, Startup> {
        let mut plan = Self::default();
        let mut left: Vec<Served> = served.to_vec();
        let mut wanted = Wanted::all(config);
        wanted.retain(|wanted| {
            let same = left.iter().position(|each| is_same(&each.wanted, wanted));
            if let Some(place) = same {
                let wanted = wanted.clone();
                plan.kept.push(Served {
                    wanted,
                    ..left.remove(place)
                });
            }
            same.is_none()
        });
        for kept in &plan.kept {
            fits(&kept.wanted, kept.bytes)?;
        }
        for wanted in wanted {
            match left.iter().find(|each| is_in_the_way(each, &wanted)) {
                Some(open) => {
                    fits(&wanted, open.bytes)?;
                    plan.late.push(wanted);
                }
                None => plan.fresh.push(wanted),
            }
        }
        let late = &plan.late;
        let blocks = |each: &Served| late.iter().any(|wanted| is_in_the_way(each, wanted));
        (plan.in_the_way, plan.gone) = left.into_iter().partition(blocks);
        Ok(plan)
    }
}

/// Whether it is the same LUN, served from the same image in the same way. A size is a condition,
/// not a property.
fn is_same(old: &Wanted, new: &Wanted) -> bool {
    let bare = |lun: &LunSpec| LunSpec {
        store: lun.store.without_size(),
        ..lun.clone()
    };
    old.is_at(new) && bare(&old.lun) == bare(&new.lun)
}

fn is_in_the_way(open: &Served, wanted: &Wanted) -> bool {
    let image = wanted.lun.store.image();
    image.is_some() && image == open.wanted.lun.store.image()
}

/// What opening it would find out, but while it is open.
fn fits(wanted: &Wanted, bytes: u64) -> Result<(), Startup> {
    let path = || PathBuf::from(wanted.lun.store.to_string());
    let block_bytes = wanted.lun.block_size.bytes();
    match wanted.lun.store.image_bytes() {
        Some(asked) if asked != bytes => Err(wanted.fails(OpenError::SizeMismatch {
            path: path(),
            bytes,
            wanted: asked,
        })),
        _ if !bytes.is_multiple_of(block_bytes.into()) => Err(wanted.fails(OpenError::Uneven {
            path: path(),
            bytes,
            block_bytes,
        })),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use engine::UnitId;

    fn parse(luns: &[&str]) -> ServerConfig {
        let mut text = "[[target]]\nname = \"iqn.2026-01.a:b\"\n".to_owned();
        for lun in luns {
            text += &format!("[[target.lun]]\n{lun}\n");
        }
        ServerConfig::parse("a.toml", &text).unwrap_or_else(|why| panic!("{why}"))
    }

    fn served(config: &ServerConfig) -> Vec<Served> {
        let serve = |(unit, wanted)| Served {
            wanted,
            unit: UnitId(unit),
            bytes: 1 << 20,
            image: None,
        };
        (1..).zip(Wanted::all(config)).map(serve).collect()
    }

    /// Per outcome, the LUNs it has.
    fn luns(plan: &Plan) -> [Vec<u16>; 5] {
        let wanted = |all: &[Wanted]| all.iter().map(|each| each.lun.lun).collect();
        let served = |all: &[Served]| all.iter().map(|each| each.wanted.lun.lun).collect();
        [
            served(&plan.kept),
            wanted(&plan.fresh),
            wanted(&plan.late),
            served(&plan.in_the_way),
            served(&plan.gone),
        ]
    }

    fn plan(before: &[&str], after: &[&str]) -> Plan {
        let plan = Plan::of(&served(&parse(before)), &parse(after));
        plan.unwrap_or_else(|why| panic!("{why}"))
    }

    const A: &str = "lun = 0\nstore = \"file:/a\"";
    const B: &str = "lun = 1\nstore = \"file:/b\"";

    #[test]
    fn what_did_not_change_is_kept() {
        let plan = plan(
            &[A, B],
            &[
                B,
                "lun = 0\nstore = \"file:/a?size=1MiB\"\ncache = \"write-through\"",
            ],
        );
        assert_eq!(luns(&plan), [vec![0, 1], vec![], vec![], vec![], vec![]]);
        assert_eq!(plan.kept[0].unit, UnitId(1), "its unit is the same");
    }

    #[test]
    fn what_comes_and_goes() {
        let moved = plan(&[A, B], &[A, "lun = 2\nstore = \"file:/c\""]);
        assert_eq!(luns(&moved), [vec![0], vec![2], vec![], vec![], vec![1]]);
        let other = plan(&[A], &["lun = 0\nstore = \"file:/c\""]);
        assert_eq!(luns(&other), [vec![], vec![0], vec![], vec![], vec![0]]);
    }

    /// One image is never open twice.
    #[test]
    fn an_image_that_is_served_differently_is_closed_first() {
        for changed in [
            "cache = \"write-back\"",
            "block_size = 4096",
            "read_only = true",
            "serial = \"x1\"",
        ] {
            let plan = plan(&[A, B], &[&format!("{A}\n{changed}"), B]);
            assert_eq!(
                luns(&plan),
                [vec![1], vec![], vec![0], vec![0], vec![]],
                "{changed}"
            );
        }
        let swapped = plan(
            &[A, B],
            &[
                "lun = 0\nstore = \"file:/b\"",
                "lun = 1\nstore = \"file:/a\"",
            ],
        );
        assert_eq!(
            luns(&swapped),
            [vec![], vec![], vec![0, 1], vec![0, 1], vec![]]
        );
        let moved = plan(&[A, B], &["lun = 7\nstore = \"file:/b\""]);
        assert_eq!(luns(&moved), [vec![], vec![], vec![7], vec![1], vec![0]]);
    }

    #[test]
    fn memory_is_nobodys() {
        let mem = |lun, size| format!("lun = {lun}\nstore = \"mem:{size}\"");
        let plan = plan(
            &[&mem(0, "1MiB"), &mem(1, "1MiB")],
            &[&mem(0, "2MiB"), &mem(1, "1MiB")],
        );
        assert_eq!(luns(&plan), [vec![1], vec![0], vec![], vec![], vec![0]]);
    }

    #[test]
    fn a_size_that_is_wrong_is_found_while_the_image_is_open() {
        for (changed, says) in [
            ("lun = 0\nstore = \"file:/a?size=2MiB\"", "not the 2097152"),
            (
                "lun = 0\nstore = \"file:/a?size=2MiB\"\ncache = \"write-back\"",
                "not the 2097152",
            ),
        ] {
            let why = Plan::of(&served(&parse(&[A])), &parse(&[changed])).expect_err(says);
            let why = why.to_string();
            assert!(why.contains(says) && why.starts_with("LUN 0 of"), "{why}");
        }
        let mut uneven = served(&parse(&[A]));
        uneven[0].bytes = 512 * 9;
        let config = parse(&[&format!("{A}\nblock_size = 4096")]);
        let why = Plan::of(&uneven, &config)
            .expect_err("no multiple")
            .to_string();
        assert!(why.contains("no multiple of the block size 4096"), "{why}");
        assert!(config::name("iqn.2026-01.a:b").is_ok());
    }
}
