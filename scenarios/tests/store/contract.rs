//! The contract of all stores, on volumes of every kind.

use block::contract::{Subject, check};
use block::{BlockSize, Thin};
use libtest_mimic::{Failed, Trial};
use target::store::Settings;

use crate::stage::{Volume, run_batch, trial};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("contract::write_through", || {
            keeps(&Volume::any(), "through", &Settings::default()).map(|_| ())
        }),
        trial("contract::write_back", || {
            let settings = Settings {
                volatile_cache: true,
                ..Settings::default()
            };
            keeps(&Volume::any(), "back", &settings).map(|_| ())
        }),
        trial("contract::blocks_of_4096_bytes", || {
            let settings = Settings {
                block_size: BlockSize::B4096,
                ..Settings::default()
            };
            keeps(&Volume::any(), "large-blocks", &settings).map(|_| ())
        }),
    ];
    if std::env::var_os(crate::stage::REAL).is_none() {
        trials.extend([
            trial("contract::replicated", || kind("replica = 3\n", ALL)),
            trial("contract::single_brick_of_unknown_age", || {
                let thin = Thin {
                    extents: false,
                    ..ALL
                };
                kind("replica = 1\n", thin)
            }),
            trial("contract::dispersed", || {
                let thin = Thin {
                    quick_zeroes: false,
                    ..ALL
                };
                kind("replica = 3\nzerofill = off\n", thin)
            }),
            trial("contract::sharded", || {
                let thin = Thin {
                    unmap: false,
                    unmapped_zero: false,
                    extents: false,
                    ..ALL
                };
                kind("replica = 3\nshard = 4194304\n", thin)
            }),
        ]);
    }
    trials
}

const ALL: Thin = Thin {
    unmap: true,
    unmapped_zero: true,
    quick_zeroes: true,
    extents: true,
    space: true,
};

/// A volume of that kind keeps the contract, and says what it can do.
fn kind(settings: &str, expected: Thin) -> Result<(), Failed> {
    let thin = keeps(&Volume::fake(settings), "kind", &Settings::default())?;
    assert_eq!(thin, expected);
    Ok(())
}

fn keeps(volume: &Volume, name: &str, settings: &Settings) -> Result<Thin, Failed> {
    let store = volume.open(name, settings)?;
    let caps = store.caps();
    check(&mut Subject {
        caps,
        run: &mut |batch| run_batch(&*store, batch),
    });
    Ok(caps.thin)
}
