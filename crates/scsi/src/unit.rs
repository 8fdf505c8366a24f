//! A logical unit: who it is, who must be told what, and which tasks are in flight.
//!
//! Refuses to know what its blocks are kept in. Invariant: [`Unit::plan`] never does I/O, and for
//! READ and WRITE it allocates nothing.

use block::Caps;

use crate::attention::Attentions;
use crate::flight::Flight;
use crate::opcodes::{self, Attention, Call};
use crate::{Cdb, Drained, Ended, Generation, Identity, Nexus, Plan, Sense, TargetPort, Waiter};

/// A direct access block device.
#[derive(Debug)]
pub struct Unit {
    identity: Identity,
    caps: Caps,
    pub(crate) attentions: Attentions,
    flight: Flight,
}

impl Unit {
    /// A unit that nobody has logged in to yet.
    pub fn new(identity: Identity, caps: Caps) -> Self {
        Self {
            identity,
            caps,
            attentions: Attentions::default(),
            flight: Flight::default(),
        }
    }

    /// What its storage is.
    pub fn caps(&self) -> &Caps {
        &self.caps
    }

    /// What it is called.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Capacity in logical blocks.
    pub(crate) fn blocks(&self) -> u64 {
        self.caps.block_size.blocks_in(self.caps.bytes)
    }

    /// Logical blocks in a physical block, as a power of two.
    pub(crate) fn physical_exponent(&self) -> u32 {
        self.caps
            .physical_bytes
            .max(1)
            .ilog2()
            .saturating_sub(self.caps.block_size.bytes().ilog2())
    }

    /// Whether only a medium, never a cache, may hold what a plain WRITE stored.
    pub(crate) fn is_write_through(&self) -> bool {
        !self.caps.volatile_cache
    }
}

/// Commands and conditions.
impl Unit {
    /// A new nexus; its first command is told POWER ON, RESET, OR BUS DEVICE RESET OCCURRED.
    pub fn attach(&mut self, nexus: Nexus) {
        self.attentions.attach(nexus);
    }

    /// A nexus is gone, and with it whatever it was still to be told.
    pub fn detach(&mut self, nexus: Nexus) {
        self.attentions.detach(nexus);
    }

    /// Every attached nexus, ascending.
    pub fn nexuses(&self) -> impl Iterator<Item = Nexus> {
        self.attentions.nexuses()
    }

    /// Queues a unit attention on every attached nexus but `except`.
    pub fn attention(&mut self, except: Option<Nexus>, sense: Sense) {
        self.attentions
            .establish(|nexus| Some(nexus) != except, sense);
    }

    /// Queues a unit attention on one nexus.
    pub fn attention_of(&mut self, nexus: Nexus, sense: Sense) {
        self.attentions.establish(|other| other == nexus, sense);
    }

    /// `nexus` knows what `sense` would have told it.
    pub fn attention_heeded(&mut self, nexus: Nexus, sense: Sense) {
        self.attentions.clear(nexus, sense);
    }

    /// First look at a command: attention, then decoding and range. No I/O.
    pub fn plan(&mut self, nexus: Nexus, cdb: &Cdb, target: &TargetPort<'_>) -> Plan {
        let row = opcodes::find(cdb);
        let attention = row.map_or(Attention::Reported, |row| row.attention);
        if attention == Attention::Reported
            && let Some(sense) = self.attentions.take(nexus)
        {
            return Plan::Check(sense);
        }
        row.and_then(|row| {
            (row.decode)(Call {
                unit: self,
                nexus,
                cdb,
                target,
            })
        })
        .into()
    }
}

/// Tasks in flight.
impl Unit {
    /// The stamp of a task that begins now.
    pub fn generation(&self) -> Generation {
        self.flight.generation()
    }

    /// A ticket of `task` starts. `false`: the task was aborted by a reset or clear since, and the
    /// ticket must not start.
    #[must_use]
    pub fn begin(&mut self, task: Generation) -> bool {
        self.flight.begin(task)
    }

    /// A ticket that began has ended.
    ///
    /// # Panics
    /// When more tickets end than began.
    pub fn end(&mut self, task: Generation) -> Ended {
        self.flight.end(task)
    }

    /// LUN RESET and CLEAR TASK SET: every task stamped so far is aborted.
    pub fn abort_all(&mut self, waiter: Waiter) -> Drained {
        self.flight.abort_all(waiter)
    }

    /// Aborts every task and tells every nexus BUS DEVICE RESET FUNCTION OCCURRED.
    pub fn reset(&mut self, waiter: Waiter) -> Drained {
        self.attention(None, Sense::BUS_DEVICE_RESET);
        self.abort_all(waiter)
    }

    /// Whether no ticket is in flight and nobody waits for one.
    pub fn is_idle(&self) -> bool {
        self.flight.is_idle()
    }

    /// `waiter` no longer wants to be told.
    pub fn cancel_wait(&mut self, waiter: Waiter) {
        self.flight.cancel_wait(waiter);
    }
}
