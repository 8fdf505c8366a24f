//! Makes the setting and the steps plain: what is not needed for the failure should not be there to
//! think about.

use std::time::Duration;

use gluster_mock::{Command, Kind};

use super::Search;
use crate::worlds::Complaint;
use crate::worlds::plan::{
    Extent, Fault, InitiatorSetting, Plan, Step, TargetSetting, VolumeSetting, What, WireSetting,
};
use crate::worlds::text::outside_word;

/// Memory that is always enough, for a session and between two ends of a wire.
const PLENTY: usize = 16 << 20;

const WIRE: [fn(&mut WireSetting); 4] = [
    |wire| wire.chops = false,
    |wire| wire.latency = Duration::ZERO,
    |wire| wire.mail = Duration::ZERO,
    |wire| wire.buffer = wire.buffer.max(PLENTY),
];

const VOLUME: [fn(&mut VolumeSetting); 7] = [
    |volume| volume.capacity = None,
    |volume| volume.shard = 0,
    |volume| volume.post_op_delay = Duration::ZERO,
    |volume| volume.heal_delay = Duration::ZERO,
    |volume| volume.lost_percent = 0,
    |volume| volume.torn_percent = 0,
    |volume| volume.latency = Duration::ZERO,
];

const TARGET: [fn(&mut TargetSetting); 6] = [
    |target| target.write_back = false,
    |target| target.ping_interval = Duration::ZERO,
    |target| target.session_memory = target.session_memory.max(PLENTY),
    |target| target.queue_depth = 32,
    |target| target.share = target.share.max(8),
    |target| target.storage_timeout = Duration::from_secs(20),
];

/// The defaults of RFC 7143 where it has some.
const INITIATOR: [fn(&mut InitiatorSetting); 10] = [
    |initiator| initiator.header_digest = false,
    |initiator| initiator.data_digest = false,
    |initiator| initiator.rejoins = false,
    |initiator| initiator.immediate_data = true,
    |initiator| initiator.initial_r2t = true,
    |initiator| initiator.first_burst = 65_536,
    |initiator| initiator.max_burst = 262_144,
    |initiator| initiator.max_recv = 8_192,
    |initiator| initiator.r2ts = 1,
    |initiator| initiator.time2retain = 20,
];

const STEP: [fn(&mut Step); 8] = [
    |step| {
        if let Some(place) = place(step) {
            place.sectors = place.sectors.min(1);
        }
    },
    |step| {
        if let Some(place) = place(step) {
            place.sectors = place.sectors.div_ceil(2);
        }
    },
    |step| {
        if let Step::Read { long, .. } | Step::Write { long, .. } = step {
            *long = false;
        }
    },
    |step| {
        if let Step::Read { fua, .. } | Step::Write { fua, .. } = step {
            *fua = false;
        }
    },
    |step| {
        if let Step::Sync { immediate, .. } = step {
            *immediate = false;
        }
    },
    |step| {
        if let Step::Nop { bytes } = step {
            *bytes = 0;
        }
    },
    |step| {
        if let Step::Manage { back, .. } = step {
            *back = 0;
        }
    },
    |step| {
        if let Some(lun) = lun(step) {
            *lun = 0;
        }
    },
];

impl<F: FnMut(&Plan) -> Option<Complaint>> Search<F> {
    pub(super) fn simplify(&mut self) -> bool {
        let mut changed = false;
        for plain in WIRE {
            changed |= self.edit(|plan| plain(&mut plan.setting.wire));
        }
        for plain in VOLUME {
            changed |= self.edit(|plan| plain(&mut plan.setting.volume));
        }
        for plain in TARGET {
            changed |= self.all_or_each(|plan| plan.setting.targets.iter_mut().collect(), plain);
        }
        for plain in INITIATOR {
            changed |= self.all_or_each(|plan| plan.setting.initiators.iter_mut().collect(), plain);
        }
        changed |= self.all_or_each(
            |plan| plan.setting.deviants.iter_mut().collect(),
            |deviant| deviant.connections = deviant.connections.min(1),
        );
        for plain in STEP {
            changed |= self.all_or_each(steps, plain);
        }
        changed |= self.move_down();
        changed |= self.drop_units();
        changed | self.drop_bricks()
    }

    /// Changes all parts of a kind, or each of them that can be changed.
    fn all_or_each<T>(&mut self, parts: fn(&mut Plan) -> Vec<&mut T>, plain: fn(&mut T)) -> bool {
        if self.edit(|plan| parts(plan).into_iter().for_each(plain)) {
            return true;
        }
        let mut changed = false;
        for number in 0..parts(&mut self.best).len() {
            changed |= self.edit(|plan| {
                if let Some(part) = parts(plan).into_iter().nth(number) {
                    plain(part);
                }
            });
        }
        changed
    }

    /// To the beginning of the units: everything together, then each place.
    fn move_down(&mut self) -> bool {
        let mut first = None;
        for step in steps(&mut self.best) {
            let at = place(step).map(|place| place.at);
            first = [first, at].into_iter().flatten().min();
        }
        let first = first.unwrap_or(0);
        let moved = self.edit(|plan| {
            for step in steps(plan) {
                if let Some(place) = place(step) {
                    place.at -= first;
                }
            }
        });
        let to_zero = |step: &mut Step| {
            if let Some(place) = place(step) {
                place.at = 0;
            }
        };
        moved | self.all_or_each(steps, to_zero)
    }

    /// Leaves out units that nobody asks.
    fn drop_units(&mut self) -> bool {
        let highest = steps(&mut self.best).into_iter().filter_map(lun);
        let luns = highest.max().map_or(1, |highest| highest.saturating_add(1));
        self.edit(|plan| {
            for target in &mut plan.setting.targets {
                target.luns = target.luns.min(luns);
            }
        })
    }

    /// A plainer volume: plain replicas, fewer of them.
    fn drop_bricks(&mut self) -> bool {
        let plain = self.edit(|plan| plan.setting.volume.kind = Kind::Replica);
        if self.best.setting.volume.kind != Kind::Replica {
            return plain;
        }
        let fewer = bricks_named(&self.best).max(1)..self.best.setting.volume.bricks;
        let mut fewer = fewer.into_iter();
        plain | fewer.any(|count| self.edit(|plan| plan.setting.volume.bricks = count))
    }
}

fn steps(plan: &mut Plan) -> Vec<&mut Step> {
    let each = |what| match what {
        &mut What::Step(_, ref mut step) => Some(step),
        What::Fault(_) => None,
    };
    let events = plan.events.iter_mut();
    events.filter_map(|event| each(&mut event.what)).collect()
}

fn place(step: &mut Step) -> Option<&mut Extent> {
    match step {
        Step::Read { place, .. } | Step::Write { place, .. } | Step::Sync { place, .. } => {
            Some(place)
        }
        _ => None,
    }
}

fn lun(step: &mut Step) -> Option<&mut u8> {
    match step {
        Step::Ready { lun } | Step::Manage { lun, .. } => Some(lun),
        step => place(step).map(|place| &mut place.lun),
    }
}

/// How many bricks there have to be for those that faults are about.
fn bricks_named(plan: &Plan) -> u8 {
    let named = plan.events.iter().filter_map(|event| match &event.what {
        What::Fault(Fault::Cluster(words)) => brick(&outside_word(words).ok()?),
        _ => None,
    });
    let highest = named.max();
    highest.map_or(0, |brick| u8::try_from(brick + 1).unwrap_or(u8::MAX))
}

/// Which brick a command is about.
fn brick(command: &Command) -> Option<usize> {
    use gluster_mock::command::Stop;

    match *command {
        Command::BrickKill(brick)
        | Command::BrickStart(brick)
        | Command::BrickHang(brick)
        | Command::BrickResume(brick)
        | Command::BrickSlow(brick, _)
        | Command::BrickError(brick, _)
        | Command::Partition(_, brick, _)
        | Command::Mend(_, brick)
        | Command::Fill(brick)
        | Command::Drain(brick)
        | Command::PowerCut(Stop::Brick(brick)) => Some(brick),
        Command::GraphSwitch(_)
        | Command::PowerCut(Stop::All | Stop::Client(_))
        | Command::Still(..)
        | Command::Thaw(_)
        | Command::ClearLocks(_)
        | Command::Set(..)
        | Command::Settle
        | Command::Status
        | Command::Plan(_)
        | Command::Marks => None,
    }
}
