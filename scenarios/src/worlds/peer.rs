//! An honest initiator: does what the plan says, as a careful host would. Retries what it is told to
//! retry, aborts what takes too long, logs in again when its connection is gone.
//!
//! It writes down what it was told, and no more: nothing here looks into the target but the ledger,
//! which is asked whether "complete" is true.

mod command;
mod link;
mod management;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use gluster_mock::chance::Chance;
use initiator_sim::machine::LoginOptions;
use iscsi::keys::Params;
use iscsi::{Cid, Isid, LogoutReason, Serial, TmfFunction, Tsih};

use super::agenda::Due;
use super::around::{Around, Stream};
use super::history::{Image, WriteId};
use super::host::{initiator_name, target_name};
use super::marks::Mark;
use super::plan::{Extent, InitiatorSetting, Moment, Step, TargetSetting};
use super::wire::{Caller, up_to};

use link::{Link, Phase};

/// A command that takes longer is aborted, as Linux does.
const COMMAND_WAIT: Duration = Duration::from_secs(30);

/// A function that takes longer is followed by a harder one, in the end by a new session.
const MANAGE_WAIT: Duration = Duration::from_secs(15);

/// A login that takes longer is tried again.
const LOGIN_WAIT: Duration = Duration::from_secs(30);

/// Between two attempts to log in, about.
const PAUSE: Duration = Duration::from_secs(1);

/// Tries of a command of the plan.
const TRIES_MAX: u32 = 6;

/// Sectors of a read at the end.
const VERIFY_SECTORS: u16 = 64;

/// The event number of what no event asked for.
pub(super) const NO_EVENT: u16 = u16::MAX;

pub(super) struct Peer {
    number: u8,
    setting: InitiatorSetting,
    serves: TargetSetting,
    first_image: Image,
    chance: Chance,
    /// What is to be done, in order.
    backlog: VecDeque<Job>,
    /// What is to be tried again, and when.
    retries: Vec<(Moment, Job)>,
    current: Option<Box<Link>>,
    /// A connection that is to take the place of the current one.
    next: Option<Box<Link>>,
    /// The session's handle, where a new connection may be brought to it.
    tsih: Option<Tsih>,
    /// What its session negotiated.
    params: Option<Params>,
    /// The next command it expects, as far as it was told.
    exp_cmd_sn: Option<Serial>,
    /// When its connection was logged in.
    since: Moment,
    /// When it was told by which unit that something happened.
    told: BTreeMap<u8, Moment>,
    /// Before that it does not connect.
    pause_until: Moment,
    /// Writes of connections that are gone.
    lost: Vec<WriteId>,
    timer: Option<Moment>,
    stage: Stage,
}

/// Something to do.
#[derive(Clone, Copy, Debug)]
struct Job {
    event: u16,
    step: Step,
    tries: u32,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It does what the plan says.
    Work,
    /// It reads everything, at the end.
    Verify,
    /// It logs out for good.
    Leave,
    /// It is gone.
    Gone,
}

impl Peer {
    pub(super) fn new(
        number: u8,
        setting: InitiatorSetting,
        target: TargetSetting,
        first_image: Image,
        around: &Around,
    ) -> Self {
        Self {
            number,
            setting,
            serves: target,
            first_image,
            chance: around.chance(Stream::Peer(number)),
            backlog: VecDeque::new(),
            retries: Vec::new(),
            current: None,
            next: None,
            tsih: None,
            params: None,
            exp_cmd_sn: None,
            since: Moment::default(),
            told: BTreeMap::new(),
            pause_until: Moment::default(),
            lost: Vec::new(),
            timer: None,
            stage: Stage::Work,
        }
    }

    /// Whom it talks to.
    pub(super) fn target(&self) -> u8 {
        self.setting.target
    }

    /// The plan wants something.
    pub(super) fn wants(&mut self, event: u16, step: Step) {
        let tries = 0;
        self.backlog.push_back(Job { event, step, tries });
    }

    /// Whether nothing is left to do and nothing in flight.
    pub(super) fn is_quiet(&self) -> bool {
        let busy = self.current.as_deref().is_some_and(Link::is_busy);
        self.backlog.is_empty() && self.retries.is_empty() && self.next.is_none() && !busy
    }

    pub(super) fn is_gone(&self) -> bool {
        self.stage == Stage::Gone
    }

    /// Everybody is quiet: reads everything there is, if it is the one to do so, and goes.
    pub(super) fn verify(&mut self, reads: bool) {
        self.stage = Stage::Verify;
        if !reads {
            return;
        }
        for lun in 0..self.serves.luns {
            let mut at = 0;
            while at < self.serves.sectors {
                let sectors = (self.serves.sectors - at).min(u32::from(VERIFY_SECTORS)) as u16;
                let place = Extent { lun, at, sectors };
                let (long, fua) = (false, false);
                self.wants(NO_EVENT, Step::Read { place, long, fua });
                at += u32::from(sectors);
            }
        }
    }

    /// What it still waits for, in words.
    pub(super) fn waits_for(&self) -> String {
        let number = self.number;
        let jobs = self.backlog.len() + self.retries.len();
        let link = match (&self.current, &self.next) {
            (_, Some(_)) => "is logging in beside its session".to_owned(),
            (None, None) => "has no connection".to_owned(),
            (Some(link), None) => link.describe(),
        };
        format!("initiator {number} {link}, {jobs} commands to do")
    }

    /// The connection of the plan's faults.
    pub(super) fn wire(&self) -> Option<usize> {
        self.current
            .as_deref()
            .or(self.next.as_deref())
            .map(Link::wire)
    }

    /// Does what can be done now.
    pub(super) fn pump(&mut self, around: &mut Around, life: Option<u32>) {
        if self.stage == Stage::Gone {
            return;
        }
        let now = around.now;
        let due = self.retries.iter().filter(|(at, _)| *at <= now).count();
        if due > 0 {
            self.retries.sort_by_key(|(at, job)| (*at, job.event));
            let again: Vec<_> = self.retries.drain(..due).map(|(_, job)| job).collect();
            again
                .into_iter()
                .rev()
                .for_each(|job| self.backlog.push_front(job));
        }
        self.look_at_clock(around);
        if self.current.is_none() && self.next.is_none() && self.pause_until <= now {
            self.connect_if_needed(around, life);
        }
        while self.can_work()
            && let Some(job) = self.backlog.pop_front()
        {
            self.perform(around, job, life);
        }
        self.leave_if_over(around);
        self.set_timer(around);
    }

    fn can_work(&self) -> bool {
        self.next.is_none() && self.current.as_deref().is_some_and(Link::is_ready)
    }

    fn connect_if_needed(&mut self, around: &mut Around, life: Option<u32>) {
        if self.stage == Stage::Verify && self.is_quiet() {
            // It never logged in again, and has nothing to say.
            self.stage = Stage::Gone;
            return;
        }
        if self.backlog.is_empty() {
            return;
        }
        match life {
            Some(life) => {
                let joins = self.tsih.filter(|_| self.setting.rejoins);
                let cmd_sn = self.exp_cmd_sn.filter(|_| joins.is_some());
                let link = self.connect(around, life, joins, cmd_sn);
                self.current = Some(link);
            }
            None => self.rest(around),
        }
    }

    fn rest(&mut self, around: &Around) {
        let pause = PAUSE + up_to(&mut self.chance, PAUSE);
        self.pause_until = around.now.plus(pause);
    }

    fn connect(
        &mut self,
        around: &mut Around,
        life: u32,
        joins: Option<Tsih>,
        cmd_sn: Option<Serial>,
    ) -> Box<Link> {
        let wire = around.connect(Caller::Peer(self.number), self.setting.target, life);
        around.new_wires.push(wire);
        let mut options = self.options();
        let mut session = None;
        if let Some(tsih) = joins {
            options.tsih = tsih;
            session.clone_from(&self.params);
            // Whatever else is offered belongs to the session and is not negotiated again.
            let own = ["HeaderDigest", "DataDigest", "MaxRecvDataSegmentLength"];
            options.keys.retain(|(key, _)| own.contains(&key.as_str()));
        }
        if let Some(cmd_sn) = cmd_sn {
            options.cmd_sn = cmd_sn;
        }
        Box::new(Link::start(around, wire, &options, session))
    }

    fn options(&self) -> LoginOptions {
        let setting = &self.setting;
        let yes = |on| if on { "Yes" } else { "No" };
        let digest = |on| if on { "CRC32C" } else { "None" };
        let keys = [
            ("HeaderDigest", digest(setting.header_digest).to_owned()),
            ("DataDigest", digest(setting.data_digest).to_owned()),
            ("MaxRecvDataSegmentLength", setting.max_recv.to_string()),
            ("InitialR2T", yes(setting.initial_r2t).to_owned()),
            ("ImmediateData", yes(setting.immediate_data).to_owned()),
            ("MaxBurstLength", setting.max_burst.to_string()),
            ("FirstBurstLength", setting.first_burst.to_string()),
            ("MaxOutstandingR2T", setting.r2ts.to_string()),
            ("DefaultTime2Retain", setting.time2retain.to_string()),
        ];
        let mut options = LoginOptions::new(&target_name(setting.target, false));
        options.initiator_name = initiator_name(setting.host);
        options.isid = Isid([0x80, 0x47, 0x4c, 0x57, 0, self.number]);
        options.cid = Cid(0);
        options.keys = keys.map(|(key, value)| (key.to_owned(), value)).to_vec();
        options
    }

    fn perform(&mut self, around: &mut Around, job: Job, life: Option<u32>) {
        match job.step {
            Step::Read { .. } | Step::Write { .. } | Step::Sync { .. } | Step::Ready { .. } => {
                self.command(around, job);
            }
            Step::Nop { bytes } => self.nop(around, usize::from(bytes)),
            Step::Text => self.text(around),
            Step::Manage {
                function,
                lun,
                back,
            } => self.manage(around, function, lun, back),
            Step::Logout => {
                around.marks.hit(Mark::Logout);
                self.logout(around);
            }
            Step::Reinstate => self.replace(around, life, false),
            Step::Rejoin => self.replace(around, life, true),
            Step::Vanish => {
                around.marks.hit(Mark::Vanished);
                if let Some(link) = self.current.take() {
                    around.close(link.wire(), super::plan::Way::In);
                    self.lose(around, link);
                    self.pause_until = around.now;
                }
            }
        }
    }

    /// A login that takes the place of the connection that stands.
    fn replace(&mut self, around: &mut Around, life: Option<u32>, joins: bool) {
        let Some(life) = life else { return };
        let tsih = self.tsih.filter(|_| joins);
        let current = self.current.as_deref().filter(|_| tsih.is_some());
        let cmd_sn = current.and_then(Link::exp_cmd_sn);
        let link = self.connect(around, life, tsih, cmd_sn);
        self.next = Some(link);
    }

    fn leave_if_over(&mut self, around: &mut Around) {
        if self.stage == Stage::Verify && self.is_quiet() {
            self.stage = Stage::Leave;
            match self.current.is_some() {
                true => self.logout(around),
                false => self.stage = Stage::Gone,
            }
        }
    }

    fn logout(&mut self, around: &mut Around) {
        if let Some(link) = &mut self.current {
            link.logout(around, LogoutReason::CLOSE_SESSION);
        }
    }

    /// Something is to be read from a connection, or there is room again.
    pub(super) fn arrive(&mut self, around: &mut Around, wire: usize) {
        for is_next in [false, true] {
            let place = match is_next {
                false => &mut self.current,
                true => &mut self.next,
            };
            if place.as_ref().is_some_and(|link| link.wire() == wire)
                && let Some(link) = place.take()
            {
                self.read(around, link, is_next);
            }
        }
    }

    /// Reads all there is; puts the connection back where it belongs, if it is still one.
    fn read(&mut self, around: &mut Around, mut link: Box<Link>, is_next: bool) {
        let mut news = Vec::new();
        let alive = link.read(around, &mut news);
        for event in news {
            match event {
                link::News::LoggedIn(tsih) => self.logged_in(around, &mut link, tsih, is_next),
                link::News::Refused(status) => self.refused(around, status),
                link::News::Event(event) => self.heard(around, &mut link, event),
            }
        }
        if !alive || !link.flush(around) {
            self.lose(around, link);
            return;
        }
        let is_full = matches!(link.phase, Phase::Full(_));
        match is_next && !is_full {
            true => self.next = Some(link),
            false => self.current = Some(link),
        }
    }

    /// The target let it in: whatever it had under the same name before has ended.
    fn logged_in(&mut self, around: &mut Around, link: &mut Link, tsih: Tsih, is_next: bool) {
        around.sessions += u64::from(!link.joins);
        around.marks.hit(match (link.joins, is_next) {
            (true, true) => Mark::ConnectionReinstated,
            (true, false) => Mark::Rejoined,
            (false, true) => Mark::SessionReinstated,
            (false, false) => Mark::LoggedIn,
        });
        if is_next && let Some(old) = self.current.take() {
            // The target closes it; what it still says is nobody's.
            around.close(old.wire(), super::plan::Way::In);
            self.lose(around, old);
            self.pause_until = around.now;
        }
        self.since = around.now;
        self.tsih = Some(tsih);
        self.params = link.params().cloned();
        let lost = std::mem::take(&mut self.lost);
        self.over(around, &lost, "its initiator was logged in again");
    }

    fn refused(&mut self, around: &mut Around, status: iscsi::LoginStatus) {
        around.marks.hit(Mark::LoginRefused);
        if status == iscsi::LoginStatus::SESSION_DOES_NOT_EXIST {
            self.tsih = None;
        }
    }

    /// A connection is gone; of what was in flight on it nobody knows.
    fn lose(&mut self, around: &mut Around, mut link: Box<Link>) {
        around.journal.closed(link.wire(), around.now);
        let was_full = matches!(link.phase, Phase::Full(_));
        if !was_full {
            around.marks.hit(Mark::LoginLost);
        } else if link.is_busy() && !link.leaving {
            around.marks.hit(Mark::LostUnderWay);
        }
        self.exp_cmd_sn = link.exp_cmd_sn().or(self.exp_cmd_sn);
        for flying in link.take_flying() {
            self.lost.extend(flying.write());
        }
        match self.stage {
            Stage::Leave => self.stage = Stage::Gone,
            _ if link.leaving => self.tsih = None,
            _ => {}
        }
        self.rest(around);
        if link.leaving {
            self.pause_until = around.now;
        }
        around
            .agenda
            .enter(self.pause_until, Due::Peer(self.number));
    }

    /// When it has to look again.
    fn set_timer(&mut self, around: &mut Around) {
        let links = [&self.current, &self.next];
        let deadlines = links
            .into_iter()
            .flatten()
            .filter_map(|link| link.deadline());
        let idle = self.current.is_none() && self.next.is_none() && !self.backlog.is_empty();
        let pause = idle.then_some(self.pause_until);
        let retries = self.retries.iter().map(|(at, _)| *at);
        let next = deadlines.chain(pause).chain(retries).min();
        let armed = self.timer.filter(|at| *at > around.now);
        if let Some(next) = next
            && armed.is_none_or(|at| next < at)
        {
            let next = next.max(around.now.plus(Duration::from_nanos(1)));
            self.timer = Some(next);
            around.agenda.enter(next, Due::Peer(self.number));
        }
    }

    fn image(&self, lun: u8) -> Image {
        self.first_image + lun
    }

    /// Whether a function is about all tasks of a unit, those of others included.
    fn clears_unit(function: TmfFunction) -> bool {
        matches!(
            function,
            TmfFunction::CLEAR_TASK_SET | TmfFunction::LOGICAL_UNIT_RESET
        )
    }
}
