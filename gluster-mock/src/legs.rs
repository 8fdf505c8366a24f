//! Legs of calls: from a client to a brick, past the brick's locks, to its disk and back. A leg waits
//! where a link loses it, before a brick that stands still, before a lock, and inside a slow brick;
//! what is inside a brick lands, whether or not somebody waits for it.

use std::sync::Arc;

use crate::call::{Answer, Call, ClientId, Ino, Moment, Ticket};
use crate::command::Cut;
use crate::errno::Errno;
use crate::flight::{Due, Flight, is_barrier};
use crate::locks::{Checked, Claim};
use crate::marks::Mark;
use crate::volume::Volume;

/// A call's way to one brick.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) brick: usize,
    pub(crate) state: LegState,
}

/// How far a leg is.
#[derive(Debug)]
pub(crate) enum LegState {
    /// Not there yet, or before a brick that stands still.
    Sent,
    /// Past the locks, not yet on the disk.
    Inside,
    /// Before a lock.
    Waiting,
    /// Carried out; the answer was lost.
    Unheard(Answer),
    /// Answered.
    Heard(Answer),
    /// The brick is out of reach.
    Gone(Errno),
}

impl Leg {
    /// What the brick said.
    pub(crate) fn heard(&self) -> Option<&Answer> {
        match &self.state {
            LegState::Heard(answer) => Some(answer),
            _ => None,
        }
    }
}

impl LegState {
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self, Self::Heard(_) | Self::Gone(_))
    }

    fn is_before_a_lock(&self) -> bool {
        matches!(self, Self::Waiting)
    }

    pub(crate) fn is_on_the_way(&self) -> bool {
        matches!(self, Self::Sent | Self::Unheard(_))
    }
}

/// A call inside a brick; it lands even where nobody waits for it any more.
#[derive(Debug)]
pub(crate) struct Landing {
    ticket: Ticket,
    client: ClientId,
    pub(crate) brick: usize,
    /// The brick's life it belongs to.
    life: u64,
    call: Arc<Call>,
    file: Ino,
}

impl Volume {
    /// A call on its way to a brick.
    pub(crate) fn arrive(
        &mut self,
        now: Moment,
        ticket: Ticket,
        flight: &Flight,
        brick: usize,
    ) -> LegState {
        let client = flight.client;
        let Some(link) = self.link(client, brick) else {
            return LegState::Gone(Errno::ENOTCONN);
        };
        if !link.connected {
            return LegState::Gone(Errno::ENOTCONN);
        }
        if matches!(link.cut, Some((Cut::Calls | Cut::Both, _))) {
            self.marks.hit(Mark::CallsCut);
            self.watch(now, ticket, client, brick);
            return LegState::Sent;
        }
        if self.bricks[brick].hung.is_some() {
            self.marks.hit(Mark::BrickHung);
            self.watch(now, ticket, client, brick);
            return LegState::Sent;
        }
        self.enter(now, ticket, flight, brick)
    }

    /// A call in a brick: the locks first, then the disk.
    fn enter(&mut self, now: Moment, ticket: Ticket, flight: &Flight, brick: usize) -> LegState {
        let (client, file) = (flight.client, flight.file);
        let checked = match &*flight.call {
            Call::Lock { lock, .. } => self.check_lock(brick, client, file, lock),
            call if self.settings.mandatory.is_on() => match Claim::of(client, call) {
                Some(claim) => self.check_claim(brick, file, &claim),
                None => Checked::Go,
            },
            _ => Checked::Go,
        };
        match checked {
            Checked::Go => {}
            Checked::Refused(errno) => {
                return self.reply(now, ticket, client, brick, Err(errno));
            }
            Checked::Wait => return LegState::Waiting,
        }
        let latency = self.bricks[brick].latency;
        // Locks are above the disk.
        let above = is_barrier(&flight.call) || matches!(*flight.call, Call::Lock { .. });
        if latency.is_zero() || above {
            let answer = self.land(brick, client, &flight.call, file);
            return self.reply(now, ticket, client, brick, answer);
        }
        self.marks.hit(Mark::BrickSlow);
        let landing = Landing {
            ticket,
            client,
            brick,
            life: self.bricks[brick].life,
            call: Arc::clone(&flight.call),
            file,
        };
        // From half of it to one and a half: calls overtake each other, as they do in io-threads.
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX / 2);
        let inside = nanos / 2 + self.chance.below(nanos.max(1));
        self.schedule(Moment(now.0.saturating_add(inside)), Due::Land(landing));
        LegState::Inside
    }

    /// An answer on its way back.
    fn reply(
        &mut self,
        now: Moment,
        ticket: Ticket,
        client: ClientId,
        brick: usize,
        answer: Answer,
    ) -> LegState {
        let cut = self.link(client, brick).is_some_and(|l| l.cut.is_some());
        if cut {
            self.marks.hit(Mark::AnswersCut);
            self.watch(now, ticket, client, brick);
            return LegState::Unheard(answer);
        }
        LegState::Heard(answer)
    }

    /// A call reaches the disk of a brick, whether or not somebody waits for it.
    pub(crate) fn reach_disk(&mut self, now: Moment, landing: Landing) {
        let brick = landing.brick;
        let holder = &mut self.bricks[brick];
        if holder.life != landing.life {
            return;
        }
        if holder.hung.is_some() {
            holder.backlog.push(landing);
            return;
        }
        let Landing {
            ticket,
            client,
            file,
            ..
        } = landing;
        let fenced = Claim::of(client, &landing.call).is_some_and(|claim| {
            let enforcing = self.bricks[brick].locks.knows(file) == Some(true);
            enforcing
                && self.bricks[brick].locks.check(file, &claim, true) != Checked::Go
                && self.settings.enforce
        });
        if fenced {
            self.marks.hit(Mark::HoleDrain);
        }
        let answer = self.land(brick, client, &landing.call, file);
        let inside = |state: &LegState| matches!(state, LegState::Inside);
        let flight = self.flights.get(&ticket);
        if flight.is_some_and(|flight| flight.has_leg(brick, inside)) {
            let state = self.reply(now, ticket, client, brick, answer);
            self.set_leg(ticket, brick, state);
            self.touch(now, ticket);
        }
    }

    fn set_leg(&mut self, ticket: Ticket, brick: usize, state: LegState) {
        if let Some(flight) = self.flights.get_mut(&ticket)
            && let Some(leg) = flight.legs.iter_mut().find(|leg| leg.brick == brick)
        {
            leg.state = state;
        }
    }

    /// A leg that waited on its way is looked at again.
    pub(crate) fn go_on(&mut self, now: Moment, ticket: Ticket, brick: usize) {
        let Some(mut flight) = self.flights.remove(&ticket) else {
            return;
        };
        let Some(index) = flight.legs.iter().position(|leg| leg.brick == brick) else {
            self.flights.insert(ticket, flight);
            return;
        };
        let before = std::mem::replace(&mut flight.legs[index].state, LegState::Sent);
        let client = flight.client;
        let after = match before {
            LegState::Unheard(answer) => self.reply(now, ticket, client, brick, answer),
            LegState::Sent => self.arrive(now, ticket, &flight, brick),
            LegState::Waiting => self.enter(now, ticket, &flight, brick),
            other => other,
        };
        flight.legs[index].state = after;
        self.flights.insert(ticket, flight);
        self.touch(now, ticket);
    }

    /// What was inside a brick that stood still goes on.
    pub(crate) fn land_backlog(&mut self, now: Moment, brick: usize) {
        for landing in std::mem::take(&mut self.bricks[brick].backlog) {
            self.schedule(now, Due::Land(landing));
        }
    }

    /// Locks changed on a brick.
    pub(crate) fn recheck_locks(&mut self, now: Moment, brick: usize) {
        let mut flights = self.flights.values();
        if flights.any(|flight| flight.has_leg(brick, LegState::is_before_a_lock)) {
            self.schedule(now, Due::Recheck(brick));
        }
    }

    pub(crate) fn look_at_locks(&mut self, now: Moment, brick: usize) {
        let waits = |flight: &Flight| flight.has_leg(brick, LegState::is_before_a_lock);
        for ticket in self.tickets(waits) {
            self.go_on(now, ticket, brick);
        }
    }
}
