//! Blocks in a file of a Gluster volume, reached through libgfapi without a mount.
//!
//! Every operation is a synchronous call on a thread of the image's own crew: the library's
//! asynchronous calls lose their file when the volume's graph changes under them.
//! Invariant: no call on a file is under way when the file is closed, and no file is open when its
//! volume is.

mod calls;
mod catalog;
mod claim;
mod crew;
mod doctor;
mod errno;
mod error;
mod flush;
mod image;
mod place;
mod record;
mod standing;
mod volfile;
mod volume;
mod watch;

use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use block::{Caps, Completion, Fault, Op, Ticket};

use crate::inbox::Completions;
use crate::store::{Settings, Store, caps};

use claim::Claim;
use crew::Crew;
use image::Image;
use record::Missing;

pub use crew::{Limits, Promise, State as CrewState, Waiting};
pub use errno::{bricks_were_away, fault, handle_is_bad};
pub use flush::{Asked, Begun, Flushes};

pub use catalog::{Catalog, Details, Listed};
pub use doctor::{Checkup, Finding};
pub use error::GlusterError;
pub use place::{Place, VolfileServer};
pub use record::ImageId;

/// Opening all of it: longer than libgfapi takes to give up on three dead servers one after the
/// other, shorter than an operator waits for a service that does not start.
const OPEN_WAIT: Duration = Duration::from_secs(12);

/// A close waits for the bricks to say so; one that hangs is not waited for at the end.
const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// An image on a Gluster volume.
pub struct GlusterStore {
    caps: Caps,
    id: ImageId,
    crew: Crew,
    /// There until it is closed.
    image: Option<Arc<Image>>,
    claim: Option<Claim>,
}

impl GlusterStore {
    /// Opens the image at `place`; with `create_bytes`, makes it when there is none and refuses one
    /// of another size.
    pub fn open(
        place: &Place,
        create_bytes: Option<u64>,
        settings: &Settings,
    ) -> Result<Self, GlusterError> {
        let (there, how) = (place.clone(), *settings);
        let opened = watch::within("glintd-open", OPEN_WAIT, move || {
            let volume = volume::open(&there)?;
            let missing = match how.read_only {
                true => Missing::Leave,
                false => Missing::Make,
            };
            let image = Image::open(Arc::clone(&volume), &there, create_bytes, &how);
            let known = image.and_then(|image| {
                let (id, _) = record::identify(&volume, &there, &image.found, missing)?;
                let claim = claim::claim(&volume, &there, id.number);
                Ok((image, id, claim))
            });
            // Left now, the volume would hold up the refusal for ten seconds.
            known.inspect_err(|_| volume::leave(volume))
        });
        let (image, id, claim) = opened
            .map_err(|why| GlusterError::no_answer(place, OPEN_WAIT, why))
            .flatten()?;
        tracing::info!(
            "{place}: {}",
            match (image.direct, image.volume.nature.redundant) {
                (true, _) => "O_DIRECT, past the page cache of its brick",
                (false, true) => "buffered by the bricks, which stand in for each other",
                (false, false) =>
                    "buffered by its brick, which refuses O_DIRECT for its block size",
            }
        );
        let image = Arc::new(image);
        let limits = Limits {
            deadline: settings.storage_timeout,
            ..Limits::default()
        };
        let crew = Crew::start(Arc::clone(&image) as Arc<_>, limits)
            .map_err(|why| GlusterError::io(place, "no thread for it", why))?;
        Ok(Self {
            caps: caps(image.bytes, settings, image.thin),
            id,
            crew,
            image: Some(image),
            claim,
        })
    }
}

impl Store for GlusterStore {
    fn caps(&self) -> Caps {
        self.caps
    }

    fn submit(
        &self,
        batch: &mut Vec<(Ticket, Op)>,
        done: &mut Vec<Completion>,
        reply: &Arc<Completions>,
    ) {
        let refused = batch.extract_if(.., |(_, op)| self.caps.admit(op).is_err());
        done.extend(refused.map(|(ticket, op)| {
            let outcome = self.caps.admit(&op);
            Completion::of(ticket, op, outcome)
        }));
        self.crew.submit(batch, done, reply);
    }

    fn is_at_rest(&self) -> bool {
        !self.crew.has_overdue()
    }

    fn image(&self) -> Option<ImageId> {
        Some(self.id)
    }

    /// Waits no longer than an operation may take.
    fn sync(&self) -> Result<(), Fault> {
        let reply = Arc::new(Completions::default());
        let mut done = Vec::new();
        let mut batch = vec![(Ticket(0), Op::Flush)];
        self.crew.submit(&mut batch, &mut done, &reply);
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        while done.is_empty() && !reply.poll_take(&Context::from_waker(&waker), &mut done) {
            std::thread::park();
        }
        done.pop()
            .map_or(Err(Fault::Unreachable), |done| done.outcome)
    }
}

impl Drop for GlusterStore {
    /// The image drains before it closes, and its volume stays for a while after that.
    fn drop(&mut self) {
        self.crew.close();
        let Some(image) = self.image.take() else {
            return;
        };
        let claim = self.claim.take();
        let closed = watch::within("glintd-close", CLOSE_WAIT, move || {
            let volume = Arc::clone(&image.volume);
            drop(image);
            drop(claim);
            volume
        });
        match closed {
            Ok(volume) => volume::leave(volume),
            Err(why) => tracing::warn!("an image did not close: {why}"),
        }
    }
}

/// Wakes a thread that waits outside any runtime.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
