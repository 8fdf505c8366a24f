//! Calls in flight. A call is handed in, meets the plan and its client's state, waits for the inode
//! lock where it changes a replicated file, and goes to the bricks: a leg each. When no leg is open
//! any more, quorum makes the answer. Whatever has to wait is in a list of moments; nothing here
//! knows a clock or a thread.

use std::sync::Arc;
use std::time::Duration;

use crate::call::{Answer, Call, ClientId, Ino, Moment, OpKind, Place, Reply, Submitted, Ticket};
use crate::errno::Errno;
use crate::kind::{Kind, Set};
use crate::legs::{Landing, Leg, LegState};
use crate::marks::Mark;
use crate::plan::Outcome;
use crate::trace::Event;
use crate::turn::{changed, takes_turn};
use crate::volume::Volume;

/// How long a client of a replicated volume takes to be told that all bricks refused its write
/// (fencing.md §2).
const REFUSAL: Duration = Duration::from_secs(1);

/// How long a new client waits for a brick that is silent (fencing.md §11).
const INIT_PATIENCE: Duration = Duration::from_secs(10);

/// A call that is not answered yet.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) client: ClientId,
    pub(crate) call: Arc<Call>,
    pub(crate) file: Ino,
    outcome: Outcome,
    pub(crate) stage: Stage,
    pub(crate) legs: Vec<Leg>,
    /// It has the inode lock.
    in_turn: bool,
    /// It has waited for missing bricks as long as it would.
    patient: bool,
}

impl Flight {
    /// Whether it has the inode lock.
    pub(crate) fn is_in_turn(&self) -> bool {
        self.in_turn
    }

    /// Whether its leg to that brick is in such a state.
    pub(crate) fn has_leg(&self, brick: usize, such: fn(&LegState) -> bool) -> bool {
        let mut legs = self.legs.iter();
        legs.any(|leg| leg.brick == brick && such(&leg.state))
    }
}

/// How far a call is.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Not begun: delayed, held by a rule of the plan, or by what its client is in.
    Held { rule: Option<String> },
    /// Waits for the inode lock.
    Queued,
    /// With the bricks.
    Wound,
    /// Answered; told later.
    Ended(Answer),
}

/// What is to happen at some moment.
#[derive(Debug)]
pub(crate) enum Due {
    /// A held call begins.
    Start(Ticket),
    /// The inode lock of a file may be free.
    Turn(Ino),
    /// A call that is inside a brick reaches the disk.
    Land(Landing),
    /// The brick's locks changed: calls and locks that wait look again.
    Recheck(usize),
    Ping(ClientId, usize),
    Frame(Ticket, usize),
    Reconnect(ClientId, usize),
    /// A handle lost its lock on a quorum of bricks.
    Unlocked(u64),
    Heal(usize),
    /// A call that has ended is told.
    Tell(Ticket),
    /// Bricks give up a client whose host is off.
    Dropped(ClientId),
}

impl Volume {
    /// Hands a call in, at a moment that never goes back. One that need not wait is answered at
    /// once.
    pub fn submit(&mut self, now: Moment, client: ClientId, call: Call) -> Submitted {
        self.advance(now);
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        let kind = call.kind();
        let mut flight = Flight {
            client,
            file: Ino(0),
            outcome: Outcome::Proceed,
            stage: Stage::Wound,
            legs: Vec::new(),
            in_turn: false,
            patient: false,
            call: Arc::new(call),
        };
        let mut start = now;
        let mut rule = 0;
        if !self.plan.is_empty() {
            let path = self.path_of(&flight.call);
            let verdict = self.plan.judge(kind, &path, &mut self.chance);
            rule = verdict.rule;
            flight.outcome = verdict.outcome;
            if !verdict.delay.is_zero() {
                self.marks.hit(Mark::PlanDelayed);
                start = start.after(verdict.delay);
            }
            if verdict.hang.is_some() {
                self.marks.hit(Mark::PlanHung);
                flight.stage = Stage::Held { rule: verdict.hang };
                // The delay counts once the rule is gone.
                start = Moment(u64::MAX);
            }
        }
        self.trace.push(Event::Begin { now, kind, rule });
        if let Some(holder) = self.clients.get(&client) {
            if holder.switching_until > start {
                self.marks.hit(Mark::GraphSwitched);
                start = holder.switching_until;
            }
            if holder.still.is_some() {
                start = Moment(u64::MAX);
            }
        }
        if start > now {
            if !matches!(flight.stage, Stage::Held { .. }) {
                flight.stage = Stage::Held { rule: None };
            }
            self.flights.insert(ticket, flight);
            if start != Moment(u64::MAX) {
                self.schedule(start, Due::Start(ticket));
            }
            return Submitted::Pending(ticket);
        }
        let answer = self.start(now, ticket, &mut flight);
        match answer {
            Some(answer) => {
                self.advance(now);
                Submitted::Answered(answer)
            }
            None => {
                self.flights.insert(ticket, flight);
                self.advance(now);
                Submitted::Pending(ticket)
            }
        }
    }

    /// Carries out what is due by `now`.
    pub fn advance(&mut self, now: Moment) {
        while let Some(first) = self.due.first_entry()
            && first.key().0 <= now
        {
            let ((moment, _), due) = first.remove_entry();
            self.fire(moment, due);
        }
    }

    /// When something is due next; `None` where only a call or a command can change anything.
    pub fn next_due(&self) -> Option<Moment> {
        self.due.first_key_value().map(|((moment, _), _)| *moment)
    }

    /// Takes the answers of calls that were pending, in the order they came about.
    pub fn answers(&mut self) -> Vec<(Ticket, Answer)> {
        std::mem::take(&mut self.answered)
    }

    /// Calls that are not answered yet.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// The calls in flight of which that is so, in the order they were handed in.
    pub(crate) fn tickets(&self, so: impl Fn(&Flight) -> bool) -> Vec<Ticket> {
        let such = self.flights.iter().filter(|(_, flight)| so(flight));
        such.map(|(ticket, _)| *ticket).collect()
    }

    pub(crate) fn schedule(&mut self, moment: Moment, due: Due) {
        self.next_due += 1;
        self.due.insert((moment, self.next_due), due);
    }

    fn fire(&mut self, now: Moment, due: Due) {
        match due {
            Due::Start(ticket) => self.resume(now, ticket, false),
            Due::Turn(file) => self.serve_turn(now, file),
            Due::Land(landing) => self.reach_disk(now, landing),
            Due::Recheck(brick) => self.look_at_locks(now, brick),
            Due::Ping(client, brick) => self.check_ping(now, client, brick),
            Due::Frame(ticket, brick) => self.time_out(now, ticket, brick),
            Due::Reconnect(client, brick) => self.reconnect(now, client, brick),
            Due::Unlocked(handle) => self.give_up_lock(handle),
            Due::Heal(brick) => self.heal(now, brick),
            Due::Tell(ticket) => self.touch(now, ticket),
            Due::Dropped(client) => self.drop_silent(now, client),
        }
    }

    /// A call that was held or queued begins, or goes on with the inode lock it was given.
    pub(crate) fn resume(&mut self, now: Moment, ticket: Ticket, in_turn: bool) {
        // It may have begun already: a client that goes on does not wait for what it had planned.
        let waits = |flight: &Flight| match &flight.stage {
            Stage::Held { .. } => !in_turn && !self.is_still(flight.client),
            Stage::Queued => in_turn,
            Stage::Wound | Stage::Ended(_) => false,
        };
        if !self.flights.get(&ticket).is_some_and(waits) {
            return;
        }
        let Some(mut flight) = self.flights.remove(&ticket) else {
            return;
        };
        flight.in_turn = in_turn;
        let answer = match in_turn {
            true => self.wind(now, ticket, &mut flight),
            false => self.start(now, ticket, &mut flight),
        };
        self.put_back(ticket, flight, answer);
    }

    /// Whether a brick has the bytes of files, and not only their names.
    pub(crate) fn has_bytes(&self, brick: usize) -> bool {
        self.settings.kind.has_bytes(self.bricks.len(), brick)
    }

    /// Whether a brick's copy may stand for the file.
    fn may_stand(&self, brick: usize, file: Ino) -> bool {
        self.has_bytes(brick) && self.bricks[brick].may_stand(file)
    }

    /// Whether a client stands still.
    fn is_still(&self, client: ClientId) -> bool {
        self.clients
            .get(&client)
            .is_some_and(|client| client.still.is_some())
    }

    /// Something happened to a call: perhaps it can be answered now.
    pub(crate) fn touch(&mut self, now: Moment, ticket: Ticket) {
        let Some(mut flight) = self.flights.remove(&ticket) else {
            return;
        };
        let answer = match std::mem::replace(&mut flight.stage, Stage::Wound) {
            Stage::Ended(answer) => Some(self.tell(now, &flight, answer)),
            Stage::Wound => self.conclude(now, ticket, &mut flight),
            other => {
                flight.stage = other;
                None
            }
        };
        self.put_back(ticket, flight, answer);
    }

    fn put_back(&mut self, ticket: Ticket, flight: Flight, answer: Option<Answer>) {
        match answer {
            Some(answer) => self.answered.push((ticket, answer)),
            None => {
                self.flights.insert(ticket, flight);
            }
        }
    }

    /// Calls whose rule is no longer in the plan begin.
    pub(crate) fn release_held(&mut self, now: Moment) {
        let free = |flight: &Flight| match &flight.stage {
            Stage::Held { rule: Some(rule) } => !self.plan.holds(rule),
            _ => false,
        };
        for ticket in self.tickets(free) {
            self.schedule(now, Due::Start(ticket));
        }
    }

    /// Begins: everything that needs no brick.
    fn start(&mut self, now: Moment, ticket: Ticket, flight: &mut Flight) -> Option<Answer> {
        flight.stage = Stage::Wound;
        let begun = self.admit(flight).and_then(|()| self.prepare(flight));
        match begun {
            Ok(None) => {}
            Ok(Some(reply)) => return Some(self.tell(now, flight, Ok(reply))),
            Err(errno) => return Some(self.tell(now, flight, Err(errno))),
        }
        if matches!(*flight.call, Call::Init { .. }) {
            return self.wait_for_bricks(now, ticket, flight);
        }
        let copies = self.settings.kind.is_replicated(self.bricks.len());
        let locks = copies || self.settings.kind == Kind::Disperse;
        if locks && takes_turn(&flight.call) {
            let bytes = (flight.file, &changed(&flight.call));
            if !self.take_turn(now, ticket, flight.client, bytes) {
                flight.stage = Stage::Queued;
                return None;
            }
            flight.in_turn = true;
        }
        self.wind(now, ticket, flight)
    }

    /// What every call meets first: darkness and the plan.
    fn admit(&mut self, flight: &mut Flight) -> Result<(), Errno> {
        if !self.powered {
            return Err(Errno::ENOTCONN);
        }
        match flight.outcome {
            Outcome::Proceed => Ok(()),
            Outcome::Short(bytes) => {
                self.marks.hit(Mark::PlanShort);
                let bound = usize::try_from(bytes).unwrap_or(usize::MAX);
                match Arc::make_mut(&mut flight.call) {
                    Call::Read { len, .. } => *len = (*len).min(bound),
                    Call::Write { bytes, .. } => bytes.truncate(bound),
                    _ => {}
                }
                Ok(())
            }
            Outcome::Fail(errno) => {
                self.marks.hit(Mark::PlanFailed);
                Err(errno)
            }
            // The sync fails, that of a durable write too, and takes the un-synced bytes along.
            Outcome::Lose(errno) => {
                if let Some(handle) = flight.call.handle()
                    && self.is_durable(&flight.call)
                {
                    self.marks.hit(Mark::SyncLost);
                    self.lose(handle.client, handle.file)?;
                }
                Err(errno)
            }
            Outcome::Cut => {
                self.marks.hit(Mark::PlanCut);
                self.power_cut()?;
                self.powered = false;
                Err(Errno::ENOTCONN)
            }
        }
    }

    /// Looks at what is asked; answers what the client can answer by itself.
    fn prepare(&mut self, flight: &mut Flight) -> Result<Option<Reply>, Errno> {
        let client = flight.client;
        match &*flight.call {
            Call::Init { .. } => return Ok(None),
            Call::Fini => return self.detach(client).map(|()| Some(Reply::Done)),
            _ => {}
        }
        if !self.clients.contains_key(&client) {
            return Err(Errno::EBADF);
        }
        let Some(handle) = flight.call.handle() else {
            let found = self.find(flight.call.path().unwrap_or("/"));
            flight.file = match &*flight.call {
                Call::Stat { .. } => found?,
                // A new file will have this number.
                _ => found.unwrap_or(Ino(self.next_ino)),
            };
            return Ok(None);
        };
        flight.file = handle.file;
        self.check_handle(handle)?;
        let call = Arc::clone(&flight.call);
        self.check_arguments(handle, &call)?;
        match &*call {
            Call::Duplicate { handle } => {
                return self
                    .duplicate(*handle)
                    .map(|handle| Some(Reply::Handle(handle)));
            }
            Call::Write { at, bytes, .. } if self.is_cached(&call) => {
                self.put_behind(client, handle.file, *at, bytes);
                return Ok(Some(Reply::Count(bytes.len() as u64)));
            }
            Call::Write { .. }
            | Call::Sync { .. }
            | Call::Truncate { .. }
            | Call::Discard { .. }
            | Call::Zerofill { .. }
            | Call::Fallocate { .. }
            | Call::Seek { .. } => self.pass_on(client, handle.file),
            Call::Read { at, len, .. } => {
                self.read_behind(client, handle.file, *at..*at + *len as u64)?;
            }
            _ => {}
        }
        if let Call::Sync { .. } = &*call {
            let holder = self.clients.get_mut(&client).ok_or(Errno::EBADF)?;
            if let Some(errno) = holder.take(handle.file).error {
                self.marks.hit(Mark::BehindLost);
                return Err(errno);
            }
        }
        let placed = self.settings.kind.placement(self.bricks.len(), handle.file);
        self.check_reach(client, handle, placed, &call)?;
        Ok(None)
    }

    /// A new client: at once, never, or after a while, as bricks are there.
    fn wait_for_bricks(
        &mut self,
        now: Moment,
        ticket: Ticket,
        flight: &mut Flight,
    ) -> Option<Answer> {
        let mut there = Set::default();
        let mut hung = false;
        for (index, brick) in self.bricks.iter().enumerate() {
            hung |= brick.up && brick.hung.is_some();
            if brick.up && brick.hung.is_none() {
                there.add(index);
            }
        }
        let all = there == Set::all(self.bricks.len());
        let enough = self.is_enough_to_mount(there);
        // A brick whose process is gone says so at once; one that is silent is waited for.
        let patience = match (enough, hung) {
            (true, true) => INIT_PATIENCE,
            (false, true) => Duration::from_secs(self.settings.ping_timeout),
            (_, false) => Duration::ZERO,
        };
        if all || flight.patient || patience.is_zero() {
            if !enough {
                self.marks.hit(Mark::InitWithoutQuorum);
                return Some(self.tell(now, flight, Err(Errno::EIO)));
            }
            let reply = self.attach(&flight.call);
            return Some(self.tell(now, flight, Ok(reply)));
        }
        self.marks.hit(Mark::InitPatient);
        flight.stage = Stage::Held { rule: None };
        flight.patient = true;
        self.schedule(now.after(patience), Due::Start(ticket));
        None
    }

    /// Goes to the bricks.
    pub(crate) fn wind(
        &mut self,
        now: Moment,
        ticket: Ticket,
        flight: &mut Flight,
    ) -> Option<Answer> {
        flight.stage = Stage::Wound;
        let (kind, bricks) = (self.settings.kind, self.bricks.len());
        let placed = kind.placement(bricks, flight.file);
        let connected = self.clients.get(&flight.client)?.connected();
        if !kind.suffices(bricks, connected, placed) {
            self.marks.hit(Mark::QuorumLost);
            return self.end(now, ticket, flight, Err(Errno::ENOTCONN));
        }
        match reads_one(&flight.call) {
            true => {
                if !self.read_from_next(now, ticket, flight) {
                    return self.end(now, ticket, flight, Err(Errno::ENOTCONN));
                }
            }
            // Each of those in reach missed a change that was made on the others: a split brain.
            false
                if !is_barrier(&flight.call)
                    && !placed.iter().any(|brick| {
                        connected.has(brick) && self.may_stand(brick, flight.file)
                    }) =>
            {
                self.marks.hit(Mark::QuorumLost);
                return self.end(now, ticket, flight, Err(Errno::ENOTCONN));
            }
            false => {
                flight.legs.reserve(bricks);
                for brick in placed.iter() {
                    let state = self.arrive(now, ticket, flight, brick);
                    flight.legs.push(Leg { brick, state });
                }
            }
        }
        self.conclude(now, ticket, flight)
    }

    /// Asks the next replica that may be read; none is left where it says no.
    fn read_from_next(&mut self, now: Moment, ticket: Ticket, flight: &mut Flight) -> bool {
        let mut tried = Set::default();
        flight.legs.iter().for_each(|leg| tried.add(leg.brick));
        let Some(brick) = self.reader(flight.client, flight.file, tried) else {
            return false;
        };
        if tried != Set::default() {
            self.marks.hit(Mark::ReadFailedOver);
        }
        let mut others = self.bricks.iter();
        if others.any(|other| other.up && other.stale.contains(&flight.file)) {
            self.marks.hit(Mark::StaleAvoided);
        }
        let state = self.arrive(now, ticket, flight, brick);
        flight.legs.push(Leg { brick, state });
        true
    }

    /// Answers a call that has no open leg.
    fn conclude(&mut self, now: Moment, ticket: Ticket, flight: &mut Flight) -> Option<Answer> {
        if self.is_still(flight.client) || flight.legs.iter().any(|leg| leg.state.is_open()) {
            return None;
        }
        if reads_one(&flight.call) {
            return self.conclude_read(now, ticket, flight);
        }
        let (kind, bricks) = (self.settings.kind, self.bricks.len());
        let placed = kind.placement(bricks, flight.file);
        let mut done = Set::default();
        let mut refused = None;
        for leg in &flight.legs {
            match &leg.state {
                LegState::Heard(Ok(_)) => done.add(leg.brick),
                LegState::Heard(Err(errno)) => {
                    refused.get_or_insert(*errno);
                }
                LegState::Gone(errno) if *errno == Errno::ETIMEDOUT => {
                    refused.get_or_insert(*errno);
                }
                _ => {}
            }
        }
        // A change that only copies took which missed another is none: they blame each other.
        let whole =
            is_barrier(&flight.call) || done.iter().any(|brick| self.may_stand(brick, flight.file));
        let enough = whole && kind.suffices(bricks, done, placed);
        let answer = match (&*flight.call, enough) {
            (Call::Lock { handle, lock }, _) => {
                let grown = self.conclude_lock(now, *handle, lock, done, enough, flight);
                return self.end(now, ticket, flight, grown);
            }
            (_, true) if is_barrier(&flight.call) => {
                self.carry_out(flight.client, &Arc::clone(&flight.call))
            }
            (call, true) => {
                let missed = placed.iter().filter(|brick| !done.has(*brick));
                for brick in missed {
                    self.marks.hit(Mark::QuorumHeld);
                    self.bricks[brick].missed(flight.file);
                }
                self.stand_in(done, flight.file);
                Ok(match call {
                    Call::Write { bytes, .. } => Reply::Count(bytes.len() as u64),
                    _ => Reply::Done,
                })
            }
            (_, false) if is_barrier(&flight.call) => Err(refused.unwrap_or(Errno::ENOTCONN)),
            (call, false) => {
                if let Call::Truncate { size, .. } = call
                    && self.settings.shard > 0
                {
                    self.lose_shards(flight.file, *size);
                }
                self.leave_partial(flight, done, placed, refused);
                Err(refused.unwrap_or(Errno::ENOTCONN))
            }
        };
        self.end(now, ticket, flight, answer)
    }

    /// Too few bricks took a change. What heal makes of it later is not decided by anybody who
    /// could be asked: old or new.
    fn leave_partial(&mut self, flight: &Flight, done: Set, placed: Set, refused: Option<Errno>) {
        if done == Set::default() {
            return;
        }
        if matches!(refused, Some(Errno::EBUSY | Errno::EAGAIN)) {
            // Nobody is blamed: whoever reads a brick that took it reads it.
            self.marks.hit(Mark::HoleRefusedLanded);
            return;
        }
        // A copy that has missed something else is nobody's to heal from, and one has to be left.
        let is_source = |took: bool| {
            let mut bricks = placed.iter().filter(|brick| done.has(*brick) == took);
            bricks.any(|brick| {
                self.has_bytes(brick) && !self.bricks[brick].stale.contains(&flight.file)
            })
        };
        let keep = match (is_source(false), is_source(true)) {
            (true, true) => self.chance.below(2) == 1,
            (false, false) => return,
            (_, new) => new,
        };
        self.marks.hit(match keep {
            true => Mark::PartialNew,
            false => Mark::PartialOld,
        });
        let missed: Vec<usize> = placed.iter().filter(|b| done.has(*b) != keep).collect();
        for brick in missed {
            self.bricks[brick].disagrees(flight.file);
        }
    }

    /// A change was made on these. Where none of them was the good copy, those that only disagreed
    /// about a change which failed are from now on: nobody blames them.
    fn stand_in(&mut self, done: Set, file: Ino) {
        let is_behind = |brick: usize| self.bricks[brick].stale.contains(&file);
        if done
            .iter()
            .all(|brick| !self.has_bytes(brick) || is_behind(brick))
        {
            for brick in done.iter() {
                if self.bricks[brick].may_stand(file) {
                    self.bricks[brick].is_right(file);
                }
            }
        }
    }

    fn conclude_read(
        &mut self,
        now: Moment,
        ticket: Ticket,
        flight: &mut Flight,
    ) -> Option<Answer> {
        loop {
            let last = flight.legs.last_mut()?;
            if last.state.is_open() {
                return None;
            }
            let state = std::mem::replace(&mut last.state, LegState::Gone(Errno::ENOTCONN));
            let errno = match state {
                LegState::Heard(Ok(reply)) => {
                    let reply = self.finish_read(flight, reply);
                    return self.end(now, ticket, flight, reply);
                }
                LegState::Heard(Err(errno @ (Errno::EAGAIN | Errno::ENXIO))) => {
                    return self.end(now, ticket, flight, Err(errno));
                }
                LegState::Heard(Err(errno)) | LegState::Gone(errno) => errno,
                _ => return None,
            };
            if !self.read_from_next(now, ticket, flight) {
                return self.end(now, ticket, flight, Err(errno));
            }
        }
    }

    /// A call has its answer. A replicated write that all refused takes its time to say so.
    fn end(
        &mut self,
        now: Moment,
        ticket: Ticket,
        flight: &mut Flight,
        answer: Answer,
    ) -> Option<Answer> {
        let replicated = self.settings.kind.is_replicated(self.bricks.len());
        let write = matches!(*flight.call, Call::Write { .. });
        if write && replicated && answer == Err(Errno::EBUSY) {
            self.marks.hit(Mark::RefusedSlowly);
            flight.stage = Stage::Ended(answer);
            self.schedule(now.after(REFUSAL), Due::Tell(ticket));
            return None;
        }
        Some(self.tell(now, flight, answer))
    }

    fn tell(&mut self, now: Moment, flight: &Flight, answer: Answer) -> Answer {
        if flight.in_turn {
            self.end_turn(now, flight.client, flight.file);
        }
        if let (Call::Close { handle }, Err(_)) = (&*flight.call, &answer) {
            // A handle is gone whatever becomes of the call.
            let _closed = self.close(*handle);
        }
        let told = match &answer {
            Ok(Reply::Count(count)) => Ok(*count),
            Ok(Reply::Bytes(bytes)) => Ok(bytes.len() as u64),
            Ok(_) => Ok(0),
            Err(errno) => Err(*errno),
        };
        let (at, len) = match &*flight.call {
            Call::Read { at, len, .. } => (*at, *len as u64),
            Call::Write { at, bytes, .. } => (*at, bytes.len() as u64),
            Call::Discard { range, .. }
            | Call::Zerofill { range, .. }
            | Call::Fallocate { range, .. } => (range.start, range.end.saturating_sub(range.start)),
            Call::Truncate { size, .. } => (*size, 0),
            Call::Seek { at, .. } => (*at, 0),
            call => (0, call.path().map_or(0, |path| path.len() as u64)),
        };
        let kind: OpKind = flight.call.kind();
        self.trace.push(Event::Answer {
            now,
            kind,
            client: flight.client,
            file: flight.file,
            at,
            len,
            result: told,
        });
        answer
    }

    fn path_of(&self, call: &Call) -> String {
        match (call.handle(), call.path()) {
            (Some(handle), _) => {
                let node = self.nodes.get(&handle.file);
                node.map_or_else(|| "/".to_owned(), |node| node.entry.path.clone())
            }
            (None, Some(path)) => path.to_owned(),
            (None, None) => "/".to_owned(),
        }
    }

    /// The calls of a client that is gone are nobody's; what is inside bricks goes on.
    pub(crate) fn abandon(&mut self, client: ClientId) {
        for ticket in self.tickets(|flight| flight.client == client) {
            self.flights.remove(&ticket);
            self.answered.push((ticket, Err(Errno::ENOTCONN)));
        }
    }
}

/// Whether one replica answers it.
fn reads_one(call: &Call) -> bool {
    matches!(
        call,
        Call::Read { .. } | Call::Seek { .. } | Call::Stat { .. }
    )
}

/// Whether bricks only have to be there, and the effect is one for all of them: names, attributes,
/// open and close.
pub(crate) fn is_barrier(call: &Call) -> bool {
    !matches!(
        call,
        Call::Read { .. }
            | Call::Seek { .. }
            | Call::Write { .. }
            | Call::Sync { .. }
            | Call::Discard { .. }
            | Call::Zerofill { .. }
            | Call::Fallocate { .. }
            | Call::Lock { .. }
            | Call::Truncate {
                place: Place::Handle(_),
                ..
            }
    )
}
