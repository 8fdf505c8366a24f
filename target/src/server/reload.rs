//! A new configuration for a server that runs: what did not change does not notice.
//!
//! Whatever can fail is done first, while nothing has changed; images that are to be opened anew
//! are closed before, and their commands told BUSY meanwhile. Nothing here runs on a thread that
//! sessions need. Invariant: an image is closed when no session has it and nothing given to it can
//! land any more.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use engine::UnitId;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::images::{self, Served, Wanted};
use super::plan::Plan;
use super::{Server, Startup};
use crate::config::{LunSpec, ServerConfig};
use crate::identity::Known;
use crate::store::{OpenError, Store};
use crate::units::UnitTable;

/// How long all images that are new may take to open: a Gluster volume that is not within reach
/// takes 12 s to say so.
const OPEN_WAIT: Duration = Duration::from_secs(60);

/// How much longer than an operation on it may take an image may take to come to rest.
const DRAIN_SLACK: Duration = Duration::from_secs(5);

/// How long sessions may take to hear of a configuration: they are a poll away from it.
const HEAR_WAIT: Duration = Duration::from_secs(2);

/// How long an image may take to close, once nothing is in flight on it.
const CLOSE_WAIT: Duration = Duration::from_secs(10);

/// Where images come from.
type Opener = Arc<dyn Fn(&LunSpec) -> Result<Arc<dyn Store>, OpenError> + Send + Sync>;

/// An image that is on its way out.
#[derive(Debug)]
pub(super) struct Closing {
    name: String,
    image: String,
    task: JoinHandle<()>,
}

/// Why a new configuration was not taken over: what was served before still is.
#[derive(Debug, thiserror::Error)]
pub enum Unchanged {
    /// An image cannot be served.
    #[error(transparent)]
    Open(#[from] Startup),
    /// An image would have to be closed first.
    #[error("{name} cannot be closed to be opened anew: {why}")]
    Stuck {
        /// Which LUN of which target.
        name: String,
        /// Why.
        why: String,
    },
    /// An image does not open, and does not fail to.
    #[error("storage does not answer within {OPEN_WAIT:?}")]
    NoAnswer,
    /// Opening an image ended in a bug of ours.
    #[error("bug: opening an image panicked")]
    Panicked,
}

/// What a new configuration changed.
#[derive(Debug, Default)]
pub struct Reloaded {
    luns: Changes,
    targets: Changes,
    /// Keys that only a restart changes.
    pub restart_needed: Vec<&'static str>,
    /// LUNs that are gone, but whose image is not closed yet: storage does not answer.
    pub still_open: Vec<String>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Changes {
    added: usize,
    removed: usize,
    changed: usize,
}

impl fmt::Display for Reloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (luns, targets) = (&self.luns, &self.targets);
        let unit = |count| if count == 1 { "LUN" } else { "LUNs" };
        write!(f, "+{} {}, ", luns.added, unit(luns.added))?;
        write!(f, "-{} {}, ", luns.removed, unit(luns.removed))?;
        write!(f, "{} changed; ", luns.changed)?;
        write!(f, "targets: +{}, -{}, ", targets.added, targets.removed)?;
        write!(f, "{} with other access", targets.changed)
    }
}

impl Server {
    /// Takes over a new configuration. Sessions it does not concern notice nothing.
    ///
    /// # Errors
    /// When it cannot be served; what was served before goes on.
    pub async fn reload(&mut self, config: ServerConfig) -> Result<Reloaded, Unchanged> {
        self.reload_with(config, |lun| lun.store.open(&lun.settings()))
            .await
    }

    /// As [`Server::reload`], with images from elsewhere.
    ///
    /// # Errors
    /// As [`Server::reload`].
    pub async fn reload_with(
        &mut self,
        config: ServerConfig,
        open: impl Fn(&LunSpec) -> Result<Arc<dyn Store>, OpenError> + Send + Sync + 'static,
    ) -> Result<Reloaded, Unchanged> {
        let open: Opener = Arc::new(open);
        let plan = Plan::of(&self.served, &config)?;
        self.closing.retain(|closing| !closing.task.is_finished());
        for wanted in &plan.fresh {
            self.is_free(wanted)?;
        }
        let known = images::known(&plan.kept, &self.served);
        let fresh = self.open(plan.fresh, known, &open).await?;
        let stay = [&plan.kept[..], &fresh].concat();
        let late = match self
            .take_over(plan.late, &plan.in_the_way, &stay, &open)
            .await
        {
            Ok(late) => late,
            Err(why) => {
                for served in fresh {
                    self.close_image(served.unit).await;
                }
                return Err(why);
            }
        };
        let served: Vec<_> = plan.kept.into_iter().chain(fresh).chain(late).collect();
        let mut reloaded = self.compare(&served, &plan.in_the_way, &config);
        let (listen, workers) = (self.config.listen.clone(), self.config.workers);
        self.config = ServerConfig {
            listen,
            workers,
            ..config
        };
        self.shell
            .directory
            .set_half_open_max(super::half_open_max(&self.config));
        let version = self.publish(&served, &[]);
        self.served = served;
        // A session that is busy hears of it a moment later; that is no reason to wait for ever.
        timeout(HEAR_WAIT, self.shell.heard(version)).await.ok();
        reloaded.still_open = self.retire(plan.gone, version).await;
        Ok(reloaded)
    }

    /// Whether the image is not one that has yet to close: something of it could still land.
    fn is_free(&self, wanted: &Wanted) -> Result<(), Unchanged> {
        let image = wanted.lun.store.image();
        match self
            .closing
            .iter()
            .find(|closing| Some(&closing.image) == image.as_ref())
        {
            None => Ok(()),
            Some(closing) => Err(Unchanged::Stuck {
                name: closing.name.clone(),
                why: "storage still holds up its closing".to_owned(),
            }),
        }
    }

    /// Opens images on threads that may hang.
    async fn open(
        &self,
        wanted: Vec<Wanted>,
        known: Known,
        open: &Opener,
    ) -> Result<Vec<Served>, Unchanged> {
        let open = Arc::clone(open);
        let opened = spawn_blocking(move || images::open_all(wanted, known, |lun| open(lun)));
        // One that opens later is closed by the thread that opened it.
        let opened = timeout(OPEN_WAIT, opened).await;
        let opened = opened.map_err(|_| Unchanged::NoAnswer)?;
        let opened = opened.map_err(|_| Unchanged::Panicked)??;
        Ok(images::serve(&self.shell.units, opened))
    }

    /// Opens images that units in service have: those are closed first, and if it was in vain
    /// opened again as they were.
    async fn take_over(
        &mut self,
        wanted: Vec<Wanted>,
        in_the_way: &[Served],
        stay: &[Served],
        open: &Opener,
    ) -> Result<Vec<Served>, Unchanged> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut rest = self.served.clone();
        rest.retain(|served| !in_the_way.contains(served));
        let version = self.publish(&rest, in_the_way);
        let until = Instant::now() + drain_wait(in_the_way);
        for served in in_the_way {
            let freed = timeout_at(until, freed(&self.shell.units, served.unit, version)).await;
            let why = match freed {
                Ok(Ok(())) => continue,
                Ok(Err(why)) => why,
                Err(_) => "storage does not answer".to_owned(),
            };
            let before = self.served.clone();
            self.publish(&before, &[]);
            let name = served.wanted.name();
            return Err(Unchanged::Stuck { name, why });
        }
        self.served = rest;
        for served in in_the_way {
            self.close_image(served.unit).await;
        }
        let known = images::known(stay, &self.served);
        let failed = match self.open(wanted, known, open).await {
            Ok(opened) => return Ok(opened),
            Err(failed) => failed,
        };
        let before = in_the_way.iter().map(|served| served.wanted.clone());
        match self.open(before.collect(), Known::default(), open).await {
            Ok(again) => self.served.extend(again),
            Err(why) => {
                tracing::error!("no longer served, until the configuration is re-read: {why}");
            }
        }
        let served = self.served.clone();
        self.publish(&served, &[]);
        Err(failed)
    }

    /// Tells the node what is served now; the configuration's version.
    fn publish(&mut self, served: &[Served], away: &[Served]) -> u64 {
        self.version += 1;
        let (config, portals, version) = (&self.config, &self.portals, self.version);
        let node = images::node_config(config, served, away, portals, version);
        self.shell.configure(node, config.shutdown_grace);
        version
    }

    /// Closes the images of units that are not served any more, as soon as sessions have let go of
    /// them; those that take too long are named, and go on.
    async fn retire(&mut self, gone: Vec<Served>, version: u64) -> Vec<String> {
        let before = self.closing.len();
        // Sessions that are sent away keep their units until they end.
        let grace = self.config.shutdown_grace + engine::limits::CLOSE_WAIT;
        let bound = grace + drain_wait(&gone);
        for served in gone {
            let units = Arc::clone(&self.shell.units);
            let (name, unit) = (served.wanted.name(), served.unit);
            let image = served.wanted.lun.store.image().unwrap_or_default();
            let own = name.clone();
            let task = tokio::spawn(async move {
                if let Err(why) = freed(&units, unit, version).await {
                    tracing::error!("{own}: the last flush failed: {why}");
                }
                close(&units, unit).await;
                tracing::info!("{own} is gone; its image is closed");
            });
            self.closing.push(Closing { name, image, task });
        }
        let closed = async {
            for closing in &mut self.closing[before..] {
                (&mut closing.task).await.ok();
            }
        };
        timeout(bound, closed).await.ok();
        self.closing.retain(|closing| !closing.task.is_finished());
        let left = self.closing.iter();
        left.map(|closing| closing.name.clone()).collect()
    }

    async fn close_image(&self, unit: UnitId) {
        if timeout(CLOSE_WAIT, close(&self.shell.units, unit))
            .await
            .is_err()
        {
            tracing::warn!("storage does not answer: an image is left open");
        }
    }

    /// What is new about what is going to be served, and what would be if it could.
    fn compare(&self, served: &[Served], replaced: &[Served], config: &ServerConfig) -> Reloaded {
        // Those that were replaced are not among the served any more.
        let old: Vec<_> = self.served.iter().chain(replaced).collect();
        let find = |new: &Served| old.iter().find(|old| old.wanted.is_at(&new.wanted));
        let stays = |old: &&&Served| served.iter().any(|new| new.wanted.is_at(&old.wanted));
        let changed = |new: &&Served| find(new).is_some_and(|old| old.unit != new.unit);
        let luns = Changes {
            added: served.iter().filter(|new| find(new).is_none()).count(),
            removed: old.len() - old.iter().filter(stays).count(),
            changed: served.iter().filter(changed).count(),
        };
        let names = |config: &ServerConfig| -> BTreeSet<_> {
            config
                .targets
                .iter()
                .map(|target| target.name.clone())
                .collect()
        };
        let (was, is) = (names(&self.config), names(config));
        let access = config.targets.iter().filter(|new| {
            let old = self.config.targets.iter().find(|old| old.name == new.name);
            old.is_some_and(|old| {
                (&old.access, &old.chap, &old.mutual) != (&new.access, &new.chap, &new.mutual)
            })
        });
        let targets = Changes {
            added: is.difference(&was).count(),
            removed: was.difference(&is).count(),
            changed: access.count(),
        };
        let fixed = [
            ("node.listen", self.config.listen != config.listen),
            ("node.workers", self.config.workers != config.workers),
        ];
        let restart_needed = fixed.iter().filter(|(_, differs)| *differs);
        Reloaded {
            luns,
            targets,
            restart_needed: restart_needed.map(|(key, _)| *key).collect(),
            still_open: Vec::new(),
        }
    }
}

impl Closing {
    /// Leaves the image to whoever closes the rest.
    pub(super) async fn give_up(mut self) {
        if !self.task.is_finished() {
            self.task.abort();
            (&mut self.task).await.ok();
        }
    }
}

/// How long storage may take with what it has of images that are to be closed.
fn drain_wait(images: &[Served]) -> Duration {
    let timeouts = images
        .iter()
        .map(|served| served.wanted.lun.storage_timeout);
    timeouts.max().unwrap_or_default() + DRAIN_SLACK
}

/// Waits until nobody has a unit any more, nothing of it can land, and what it was given is durable.
async fn freed(units: &UnitTable, unit: UnitId, version: u64) -> Result<(), String> {
    units.vacated(unit, version).await;
    let Some(slot) = units.slot(unit) else {
        return Ok(());
    };
    // The table's and ours. A session drops its own before it says so; not so one that panicked.
    while Arc::strong_count(&slot) > 2 {
        sleep(Duration::from_millis(1)).await;
    }
    while !slot.store().is_at_rest() {
        sleep(Duration::from_millis(100)).await;
    }
    match spawn_blocking(move || slot.store().sync()).await {
        Ok(synced) => synced.map_err(|fault| fault.to_string()),
        Err(_) => Err("bug: a flush panicked".to_owned()),
    }
}

/// Closes an image nobody has any more.
async fn close(units: &UnitTable, unit: UnitId) {
    let slot = units.slot(unit);
    units.remove(unit);
    // The last one to hold it waits for its threads.
    spawn_blocking(move || drop(slot)).await.ok();
}
