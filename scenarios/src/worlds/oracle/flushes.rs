//! Which flushes may be GOOD.

use super::super::history::{Fate, History, Sync};
use super::super::plan::Moment;
use super::{Findings, Place, Wrong};

/// After one that failed because of storage none is GOOD until the image is opened anew.
pub(super) fn judge(history: &History, findings: &mut Findings) {
    for (failed, broken) in (0..).zip(&history.syncs) {
        if !broken.broken {
            continue;
        }
        for (good, sync) in (0..).zip(&history.syncs) {
            let lies = sync.fate == Fate::Good
                && sync.image == broken.image
                && sync.sent > broken.ended
                && !is_reopened(history, broken, sync.ended);
            if lies {
                let place = Place {
                    image: sync.image,
                    first: sync.at,
                    end: sync.at,
                };
                findings.add(sync.ended, place, Wrong::Flushed { good, failed });
            }
        }
    }
}

/// Whether the image was opened again from that failed flush on and until then. The one may have
/// failed any time from when it was sent, the other been carried out any time until it was answered.
fn is_reopened(history: &History, broken: &Sync, until: Moment) -> bool {
    let mut reopened = history.reopened.iter();
    reopened.any(|each| each.image == broken.image && (broken.sent..=until).contains(&each.at))
}
