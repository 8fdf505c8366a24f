//! Between clients and bricks: connections that are lost and found again, pings that give a silent
//! brick up after one to two ping timeouts (rpc/rpc-lib/src/rpc-clnt-ping.c), and clients that stand
//! still.

use std::time::Duration;

use crate::call::{ClientId, Moment, Ticket};
use crate::client::Link;
use crate::command::{Cut, Stillness};
use crate::errno::Errno;
use crate::flight::{Due, Flight, Stage};
use crate::legs::LegState;
use crate::locks::ENFORCE;
use crate::marks::Mark;
use crate::volume::Volume;

/// From the loss of a lock to a client that acts on it: bricks that die together are one event.
const NOTICE: Duration = Duration::from_millis(100);

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

impl Volume {
    /// Links of a new client: to every brick that is there.
    pub(crate) fn new_links(&mut self) -> Vec<Link> {
        let ping = (self.settings.ping_timeout * SECOND).max(1);
        let (bricks, chance) = (&self.bricks, &mut self.chance);
        let links = bricks.iter().map(|brick| Link {
            connected: brick.up && brick.hung.is_none(),
            cut: None,
            phase: chance.below(ping),
            watched: false,
        });
        links.collect()
    }

    pub(crate) fn link(&self, client: ClientId, brick: usize) -> Option<&Link> {
        self.clients.get(&client)?.links.get(brick)
    }

    fn link_mut(&mut self, client: ClientId, brick: usize) -> Option<&mut Link> {
        self.clients.get_mut(&client)?.links.get_mut(brick)
    }

    /// A call waits on this link: sooner or later the client notices.
    pub(crate) fn watch(&mut self, now: Moment, ticket: Ticket, client: ClientId, brick: usize) {
        let timeout = self.settings.ping_timeout * SECOND;
        if timeout == 0 {
            let frame = Duration::from_secs(self.settings.frame_timeout);
            self.schedule(now.after(frame), Due::Frame(ticket, brick));
            return;
        }
        let Some(link) = self.link_mut(client, brick) else {
            return;
        };
        if link.watched {
            return;
        }
        link.watched = true;
        let phase = link.phase;
        let ping = phase + now.0.saturating_sub(phase).div_ceil(timeout) * timeout;
        self.schedule(Moment(ping + timeout), Due::Ping(client, brick));
    }

    /// A ping that was sent a timeout ago has had its time.
    pub(crate) fn check_ping(&mut self, now: Moment, client: ClientId, brick: usize) {
        let sent = Moment(now.0 - self.settings.ping_timeout * SECOND);
        let hung = self.bricks[brick].hung;
        let Some(link) = self.link_mut(client, brick) else {
            return;
        };
        link.watched = false;
        let silent = [link.cut.map(|(_, since)| since), hung];
        let silent_since = silent.into_iter().flatten().min();
        match silent_since {
            Some(since) if since <= sent && link.connected => {
                self.marks.hit(Mark::PingTimeout);
                self.disconnect(now, client, brick);
            }
            Some(_) if link.connected => {
                link.watched = true;
                let next = now.after(Duration::from_secs(self.settings.ping_timeout));
                self.schedule(next, Due::Ping(client, brick));
            }
            _ => {}
        }
    }

    /// Without pings a call that is not answered times out by itself.
    pub(crate) fn time_out(&mut self, now: Moment, ticket: Ticket, brick: usize) {
        let Some(flight) = self.flights.get_mut(&ticket) else {
            return;
        };
        let mut legs = flight.legs.iter_mut();
        if let Some(leg) = legs.find(|leg| leg.brick == brick && leg.state.is_open()) {
            leg.state = LegState::Gone(Errno::ETIMEDOUT);
            self.marks.hit(Mark::FrameTimeout);
            self.touch(now, ticket);
        }
    }

    /// The client's connection to the brick is gone: its calls there fail, its locks there are
    /// dropped. What is inside the brick already goes on.
    pub(crate) fn disconnect(&mut self, now: Moment, client: ClientId, brick: usize) {
        let Some(link) = self.link_mut(client, brick) else {
            return;
        };
        if !link.connected {
            return;
        }
        link.connected = false;
        self.bricks[brick].locks.drop_client(client);
        self.recheck_locks(now, brick);
        self.lose_lock_on(now, client, brick);
        let under_way: Vec<Ticket> = self
            .flights
            .iter_mut()
            .filter(|(_, flight)| flight.client == client)
            .filter_map(|(ticket, flight)| {
                let mut legs = flight.legs.iter_mut();
                let leg = legs.find(|leg| leg.brick == brick && leg.state.is_open())?;
                leg.state = LegState::Gone(Errno::ENOTCONN);
                Some(*ticket)
            })
            .collect();
        for ticket in under_way {
            self.touch(now, ticket);
        }
        self.expect_reconnect(now, client, brick);
    }

    fn is_reachable(&self, client: ClientId, brick: usize) -> bool {
        let holder = &self.bricks[brick];
        let cut = self.link(client, brick).is_none_or(|l| l.cut.is_some());
        holder.up && holder.hung.is_none() && !cut
    }

    /// Those who lost the brick will find it again.
    pub(crate) fn expect_back(&mut self, now: Moment, brick: usize) {
        let clients: Vec<ClientId> = self.clients.keys().copied().collect();
        for client in clients {
            self.expect_reconnect(now, client, brick);
        }
    }

    /// One that lost the brick, and may have it again, will find it.
    fn expect_reconnect(&mut self, now: Moment, client: ClientId, brick: usize) {
        let lost = self.link(client, brick).is_some_and(|l| !l.connected);
        if lost && self.is_reachable(client, brick) {
            let due = now.after(self.settings.reconnect);
            self.schedule(due, Due::Reconnect(client, brick));
        }
    }

    /// The client tries again. Its locks come back with it where it still holds them elsewhere
    /// (AFR's lock heal).
    pub(crate) fn reconnect(&mut self, now: Moment, client: ClientId, brick: usize) {
        let awake = self.clients.get(&client).is_some_and(|c| c.still.is_none());
        if !awake || !self.is_reachable(client, brick) {
            return;
        }
        match self.link_mut(client, brick) {
            Some(link) if !link.connected => link.connected = true,
            _ => return,
        }
        self.marks.hit(Mark::Reconnected);
        self.heal_locks(client, brick);
        self.schedule(now.after(self.settings.heal_delay), Due::Heal(brick));
    }

    fn heal_locks(&mut self, client: ClientId, brick: usize) {
        if !self.settings.kind.is_replicated(self.bricks.len()) {
            return;
        }
        let held = self
            .opens
            .iter()
            .filter(|(_, o)| o.handle.client == client && o.bad.is_none());
        let held: Vec<_> = held
            .filter_map(|(id, o)| Some((*id, o.handle.file, o.lock.clone()?)))
            .filter(|(_, _, (lock, _))| lock.mandatory)
            .collect();
        for (id, file, (lock, _)) in held {
            let elsewhere = self.bricks.iter().enumerate();
            let elsewhere = elsewhere
                .filter(|(other, b)| *other != brick && b.up && b.locks.holds(file, client))
                .count();
            // Only who still has it on the others takes it again; another learns that it has none.
            if (elsewhere + 1) * 2 <= self.bricks.len() {
                if let Some(opened) = self.opens.get_mut(&id) {
                    opened.lock = None;
                }
                continue;
            }
            let enforcing = self.asks_for_enforcement(file);
            let locks = &mut self.bricks[brick].locks;
            locks.learn(file, enforcing);
            locks.put(file, client, &lock, enforcing);
            if let Some(opened) = self.opens.get_mut(&id)
                && let Some((_, granted)) = &mut opened.lock
            {
                granted.add(brick);
            }
            self.marks.hit(Mark::LockHealed);
        }
    }

    /// Whether the file's attribute asks for enforcement and the volume grants it.
    pub(crate) fn asks_for_enforcement(&self, file: crate::call::Ino) -> bool {
        let asks = self
            .nodes
            .get(&file)
            .is_some_and(|node| node.entry.xattrs.contains_key(ENFORCE));
        asks && self.settings.mandatory.is_on() && self.settings.enforce
    }

    /// A brick forgets a client's lock; a handle that lost it on a quorum is looked at
    /// (xlators/cluster/afr/src/afr-common.c, `afr_mark_fd_bad`).
    fn lose_lock_on(&mut self, now: Moment, client: ClientId, brick: usize) {
        let (kind, bricks) = (self.settings.kind, self.bricks.len());
        if !kind.is_replicated(bricks) {
            return;
        }
        let mut short = Vec::new();
        let own = self.opens.values_mut();
        for opened in own.filter(|opened| opened.handle.client == client) {
            let Some((lock, granted)) = &mut opened.lock else {
                continue;
            };
            // Others are not AFR's to keep.
            if !lock.mandatory {
                continue;
            }
            granted.take(brick);
            let placed = kind.placement(bricks, opened.handle.file);
            if !kind.suffices(bricks, *granted, placed) {
                short.push(opened.handle.id);
            }
        }
        for handle in short {
            self.schedule(now.after(NOTICE), Due::Unlocked(handle));
        }
    }

    /// A handle lost its lock on a quorum a moment ago, and has not got it back: it is bad for good.
    pub(crate) fn give_up_lock(&mut self, handle: u64) {
        let (kind, bricks) = (self.settings.kind, self.bricks.len());
        let Some(opened) = self.opens.get_mut(&handle) else {
            return;
        };
        let placed = kind.placement(bricks, opened.handle.file);
        if let Some((_, granted)) = &opened.lock
            && !kind.suffices(bricks, *granted, placed)
            && opened.bad.is_none()
        {
            opened.bad = Some(Errno::EBADF);
            self.marks.hit(Mark::LockQuorumLost);
        }
    }

    /// Messages between the two are lost from now on.
    pub(crate) fn partition(&mut self, now: Moment, client: ClientId, brick: usize, cut: Cut) {
        if let Some(link) = self.link_mut(client, brick) {
            link.cut = Some((cut, now));
        }
    }

    /// Nothing is lost any more: what waited arrives (TCP sends it again).
    pub(crate) fn mend(&mut self, now: Moment, client: ClientId, brick: usize) {
        if let Some(link) = self.link_mut(client, brick) {
            link.cut = None;
        }
        self.arrive_again(now, brick, Some(client));
        self.expect_back(now, brick);
    }

    /// Calls that waited before a brick reach it, and answers that were lost are sent again.
    pub(crate) fn arrive_again(&mut self, now: Moment, brick: usize, only: Option<ClientId>) {
        let waits = |flight: &Flight| {
            let meant = only.is_none_or(|client| client == flight.client);
            meant && flight.has_leg(brick, LegState::is_on_the_way)
        };
        for ticket in self.tickets(waits) {
            self.go_on(now, ticket, brick);
        }
    }

    /// The client stands still; bricks notice a host that is off after the TCP user timeout.
    pub(crate) fn stand_still(&mut self, now: Moment, client: ClientId, how: Stillness) {
        let Some(holder) = self.clients.get_mut(&client) else {
            return;
        };
        holder.still = Some(how);
        match how {
            Stillness::Frozen => self.marks.hit(Mark::ClientFrozen),
            Stillness::HostOff => {
                self.marks.hit(Mark::ClientOff);
                let due = now.after(self.settings.tcp_user_timeout);
                self.schedule(due, Due::Dropped(client));
            }
        }
    }

    /// Bricks give up a client whose host is off.
    pub(crate) fn drop_silent(&mut self, now: Moment, client: ClientId) {
        let off = self
            .clients
            .get(&client)
            .is_some_and(|c| c.still == Some(Stillness::HostOff));
        if !off {
            return;
        }
        self.marks.hit(Mark::ClientDropped);
        for brick in 0..self.bricks.len() {
            self.disconnect(now, client, brick);
        }
        self.drop_turns(now, client);
    }

    /// The client goes on: answers that came meanwhile are told now.
    pub(crate) fn thaw(&mut self, now: Moment, client: ClientId) {
        let Some(holder) = self.clients.get_mut(&client) else {
            return;
        };
        holder.still = None;
        for brick in 0..self.bricks.len() {
            self.expect_reconnect(now, client, brick);
        }
        for ticket in self.tickets(|flight| flight.client == client) {
            let held = self.flights.get(&ticket);
            match held.map(|flight| &flight.stage) {
                Some(Stage::Held { rule })
                    if rule.as_ref().is_none_or(|rule| !self.plan.holds(rule)) =>
                {
                    self.resume(now, ticket, false);
                }
                Some(Stage::Wound) => self.touch(now, ticket),
                _ => {}
            }
        }
        let files: Vec<_> = self.nodes.keys().copied().collect();
        for file in files {
            let waiting = self.nodes.get(&file).is_some_and(|n| {
                n.turn.holder == Some(client) && n.turn.running == 0 && !n.turn.waiting.is_empty()
            });
            if waiting {
                self.schedule(now, Due::Turn(file));
            }
        }
    }
}
