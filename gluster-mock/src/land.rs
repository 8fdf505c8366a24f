//! What calls do to a brick, and what a client sees to before they get there.

use std::ops::Range;

use bytes::Bytes;

use crate::brick::{Brick, Desk};
use crate::call::{
    Answer, Call, ClientId, Handle, Ino, LockCall, LockType, LockVerb, Moment, O_DSYNC, Place,
    Reply, SyncKind,
};
use crate::errno::Errno;
use crate::flight::Flight;
use crate::kind::{Kind, Set};
use crate::locks::{Checked, Claim};
use crate::marks::Mark;
use crate::trace::Event;
use crate::volume::Volume;

/// What a dispersed volume of two data bricks writes as one.
const STRIPE: u64 = 1024;

impl Volume {
    /// Whether a call is to make something durable.
    pub(crate) fn is_durable(&self, call: &Call) -> bool {
        match call {
            Call::Sync { .. } => true,
            Call::Write { handle, flags, .. } => handle.sync || flags & O_DSYNC != 0,
            _ => false,
        }
    }

    /// Whether write-behind answers a write.
    pub(crate) fn is_cached(&self, call: &Call) -> bool {
        match call {
            Call::Write { handle, .. } => {
                self.writes_behind(handle.client) && !self.is_durable(call)
            }
            _ => false,
        }
    }

    pub(crate) fn check_handle(&self, handle: Handle) -> Result<(), Errno> {
        if handle.id == 0 && handle.file == crate::names::ROOT {
            return Ok(());
        }
        match self.opens.get(&handle.id) {
            Some(opened) => opened.bad.map_or(Ok(()), Err),
            None => Err(Errno::EBADF),
        }
    }

    /// What a client refuses by itself.
    pub(crate) fn check_arguments(&self, handle: Handle, call: &Call) -> Result<(), Errno> {
        match call {
            Call::Read { at, len, .. } => {
                if !handle.readable {
                    return Err(Errno::EBADF);
                }
                if *len == 0 || *at > i64::MAX as u64 {
                    return Err(Errno::EINVAL);
                }
                self.check_alignment(handle, *at, *len)
            }
            Call::Write { at, bytes, .. } => {
                check_writable(handle)?;
                self.check_alignment(handle, *at, bytes.len())?;
                let end = at.checked_add(bytes.len() as u64);
                end.filter(|&end| end <= i64::MAX as u64)
                    .map(|_| ())
                    .ok_or(Errno::EINVAL)
            }
            Call::Truncate { .. } => check_writable(handle),
            Call::Discard { range, .. } => self.check_shape(handle, range),
            Call::Zerofill { range, .. } => {
                self.check_shape(handle, range)?;
                match self.settings.zerofill {
                    true => Ok(()),
                    false => Err(Errno::EOPNOTSUPP),
                }
            }
            Call::Fallocate {
                range, keep_size, ..
            } => {
                self.check_shape(handle, range)?;
                match *keep_size && self.settings.shard > 0 {
                    true => Err(Errno::EOPNOTSUPP),
                    false => Ok(()),
                }
            }
            Call::Seek { .. } if self.settings.shard > 0 => Err(Errno::EOPNOTSUPP),
            _ => Ok(()),
        }
    }

    fn check_shape(&self, handle: Handle, range: &Range<u64>) -> Result<(), Errno> {
        check_writable(handle)?;
        match range.start < range.end {
            true => Ok(()),
            false => Err(Errno::EINVAL),
        }
    }

    fn check_alignment(&self, handle: Handle, at: u64, len: usize) -> Result<(), Errno> {
        let unit = self.settings.direct_alignment;
        let aligned = at.is_multiple_of(unit) && (len as u64).is_multiple_of(unit);
        match aligned || !handle.direct {
            true => Ok(()),
            false => Err(Errno::EINVAL),
        }
    }

    /// A brick whose copy of the file is right and that this client reaches; not one of `tried`.
    pub(crate) fn reader(&self, client: ClientId, file: Ino, tried: Set) -> Option<usize> {
        let (kind, bricks) = (self.settings.kind, self.bricks.len());
        let connected = self.clients.get(&client)?.connected();
        let placed = kind.placement(bricks, file);
        let right = |brick: &usize| {
            kind.has_bytes(bricks, *brick)
                && connected.has(*brick)
                && self.bricks[*brick].up
                && !self.bricks[*brick].stale.contains(&file)
                && !tried.has(*brick)
        };
        // Files take turns, as `cluster.read-hash-mode` has it.
        let first = (file.0 as usize).wrapping_sub(1) % bricks;
        let order = (0..bricks).map(|step| (first + step) % bricks);
        order
            .filter(|brick| placed.has(*brick))
            .find(|brick| right(brick))
    }

    /// The locks' word on a call that reads or changes bytes.
    pub(crate) fn check_claim(&mut self, brick: usize, file: Ino, claim: &Claim<'_>) -> Checked {
        let shard = self.settings.shard;
        if shard > 0 && claim.range.start >= shard {
            // Only the first shard is the file that has the lock.
            if self.asks_for_enforcement(file)
                && !self.bricks[brick].locks.holds(file, claim.client)
            {
                self.marks.hit(Mark::HoleShard);
            }
            return Checked::Go;
        }
        let asks = self.asks_for_enforcement(file);
        let enforcing = asks && self.knows_of_enforcement(brick, file);
        let mut checked = self.bricks[brick].locks.check(file, claim, enforcing);
        // A part of a stripe is read before it is written, and the read is what is refused.
        let parts = [claim.range.start, claim.range.end];
        let partial = parts.iter().any(|at| !at.is_multiple_of(STRIPE));
        if self.settings.kind == Kind::Disperse
            && checked == Checked::Refused(Errno::EBUSY)
            && partial
        {
            checked = Checked::Refused(Errno::EAGAIN);
        }
        match checked {
            Checked::Refused(Errno::EBUSY) => self.marks.hit(Mark::FencedWrite),
            Checked::Refused(_) => self.marks.hit(Mark::FencedOther),
            Checked::Wait => self.marks.hit(Mark::LockBlocked),
            Checked::Go => {}
        }
        checked
    }

    /// Whether the brick has read the file's attribute since it began. A plain volume reads it with
    /// any call; under AFR the first read or write after a restart goes by before the brick has read
    /// it (fencing.md §8, H3).
    fn knows_of_enforcement(&mut self, brick: usize, file: Ino) -> bool {
        let replicated = self.settings.kind.is_replicated(self.bricks.len());
        let locks = &mut self.bricks[brick].locks;
        let known = locks.knows(file);
        locks.learn(file, true);
        if known.is_none() && replicated {
            self.marks.hit(Mark::HoleRestart);
            return false;
        }
        known.unwrap_or(true)
    }

    /// Whether a new lock pushes others aside: where it is enforced, and without mandatory locks, where
    /// nothing is, too.
    fn pushes_aside(&self, file: Ino) -> bool {
        let idle = self.settings.enforce && !self.settings.mandatory.is_on();
        idle || self.asks_for_enforcement(file)
    }

    /// The locks' word on a lock.
    pub(crate) fn check_lock(
        &mut self,
        brick: usize,
        client: ClientId,
        file: Ino,
        lock: &LockCall,
    ) -> Checked {
        if self.settings.kind == Kind::Arbiter && lock.mandatory {
            // The real client reads a null pointer here (fencing.md §2).
            self.marks.hit(Mark::ArbiterLock);
            return Checked::Refused(Errno::EOPNOTSUPP);
        }
        let enforcing = self.asks_for_enforcement(file);
        let pushes = self.pushes_aside(file);
        let locks = &mut self.bricks[brick].locks;
        locks.learn(file, enforcing);
        let free = pushes
            || lock.kind == LockType::Unlock
            || locks.in_the_way(file, client, lock).is_none();
        match lock.verb {
            LockVerb::Get => Checked::Go,
            _ if free => Checked::Go,
            LockVerb::Set => {
                self.marks.hit(Mark::LockConflict);
                Checked::Refused(Errno::EAGAIN)
            }
            LockVerb::SetWait => {
                self.marks.hit(Mark::LockWaited);
                Checked::Wait
            }
        }
    }

    /// Carries a call out on a brick.
    pub(crate) fn land(
        &mut self,
        brick: usize,
        client: ClientId,
        call: &Call,
        file: Ino,
    ) -> Answer {
        match call {
            Call::Stat { .. } => self.attributes_on(brick, file).map(Reply::Attributes),
            Call::Read { .. } | Call::Seek { .. } => look(&mut self.bricks[brick], call, file),
            Call::Lock { lock, .. } => self.land_lock(brick, client, lock, file),
            call if changes_bytes(call) => self.change(brick, call, file).map(|()| Reply::Done),
            // Names: one effect for all bricks, when all of them have been there.
            _ => Ok(Reply::Done),
        }
    }

    fn land_lock(&mut self, brick: usize, client: ClientId, lock: &LockCall, file: Ino) -> Answer {
        let pushes = self.pushes_aside(file);
        let locks = &mut self.bricks[brick].locks;
        if lock.verb == LockVerb::Get {
            let found = locks.in_the_way(file, client, lock);
            let found = found.map(|held| (held.kind, held.range.clone()));
            return Ok(Reply::Lock(found));
        }
        if locks.put(file, client, lock, pushes) {
            self.marks.hit(Mark::LockPreempted);
        }
        Ok(Reply::Done)
    }

    /// What a call that changes bytes does to those of one brick.
    fn change(&mut self, brick: usize, call: &Call, file: Ino) -> Result<(), Errno> {
        let has_bytes = self.has_bytes(brick);
        let durable = self.is_durable(call);
        let shard = self.settings.shard;
        let (bricks, mut desk) = self.desk();
        let holder = &mut bricks[brick];
        if let Some(errno) = holder.error {
            desk.marks.hit(Mark::BrickErroring);
            return Err(errno);
        }
        match call {
            Call::Sync { kind, .. } => sync(holder, file, *kind, &mut desk),
            // An arbiter has names and no bytes.
            _ if !has_bytes => Ok(()),
            Call::Write { bytes, .. } if bytes.is_empty() => Ok(()),
            Call::Write { at, bytes, .. } => {
                holder.write(file, *at, bytes, &mut desk)?;
                match durable && (shard == 0 || *at < shard) {
                    true => holder.sync_data(file, &mut desk),
                    false => Ok(()),
                }
            }
            Call::Truncate { size, .. } => holder.set_len(file, *size),
            Call::Discard { .. } if holder.full => {
                desk.marks.hit(Mark::BrickFull);
                Err(Errno::ENOSPC)
            }
            Call::Discard { range, .. } => {
                let end = range.end.min(holder.size(file)).max(range.start);
                holder.zero(file, range.start..end, true, &mut desk)
            }
            Call::Zerofill { range, .. } => {
                holder.zero(file, range.clone(), false, &mut desk)?;
                holder.grow(file, range.end)
            }
            Call::Fallocate {
                range, keep_size, ..
            } => {
                holder.allocate(file, range.clone(), &mut desk)?;
                match keep_size {
                    true => Ok(()),
                    false => holder.grow(file, range.end),
                }
            }
            _ => Ok(()),
        }
    }

    /// A lock that is granted by enough bricks is the handle's; otherwise it is given back.
    pub(crate) fn conclude_lock(
        &mut self,
        now: Moment,
        handle: Handle,
        lock: &LockCall,
        done: Set,
        enough: bool,
        flight: &Flight,
    ) -> Answer {
        for brick in done.iter() {
            self.recheck_locks(now, brick);
        }
        let answers = flight.legs.iter().map(|leg| leg.heard());
        let mut refused = None;
        let mut found = None;
        for answer in answers.flatten() {
            match answer {
                Ok(Reply::Lock(Some(held))) => found = Some(held.clone()),
                Ok(_) => {}
                Err(errno) => {
                    refused.get_or_insert(*errno);
                }
            }
        }
        if lock.verb == LockVerb::Get {
            return match enough {
                true => Ok(Reply::Lock(found)),
                false => Err(refused.unwrap_or(Errno::ENOTCONN)),
            };
        }
        if !enough {
            let back = LockCall {
                kind: LockType::Unlock,
                ..lock.clone()
            };
            for brick in done.iter() {
                let locks = &mut self.bricks[brick].locks;
                locks.put(handle.file, handle.client, &back, false);
                self.recheck_locks(now, brick);
            }
            return Err(refused.unwrap_or(Errno::ENOTCONN));
        }
        if let Some(opened) = self.opens.get_mut(&handle.id) {
            opened.lock = match lock.kind {
                LockType::Unlock => None,
                _ => Some((lock.clone(), done)),
            };
        }
        Ok(Reply::Lock(None))
    }

    /// The client's own cached writes lie over what the bricks have.
    pub(crate) fn finish_read(&mut self, flight: &Flight, reply: Reply) -> Answer {
        let client = self.clients.get(&flight.client).ok_or(Errno::EBADF)?;
        match (&*flight.call, reply) {
            (Call::Read { at, len, .. }, Reply::Bytes(mut into)) => {
                let end = client.end(flight.file);
                let wanted = end.saturating_sub(*at).min(*len as u64) as usize;
                if wanted > into.len() {
                    into.resize(wanted, 0);
                }
                for (start, bytes) in client.cached(flight.file) {
                    let from = (*at).max(*start);
                    let to = (at + into.len() as u64).min(start + bytes.len() as u64);
                    if from < to {
                        let part = &bytes[(from - start) as usize..(to - start) as usize];
                        into[(from - at) as usize..(to - at) as usize].copy_from_slice(part);
                    }
                }
                Ok(Reply::Bytes(into))
            }
            (
                Call::Stat {
                    place: Place::Handle(_),
                },
                Reply::Attributes(mut found),
            ) => {
                found.size = found.size.max(client.end(flight.file));
                Ok(Reply::Attributes(found))
            }
            (_, reply) => Ok(reply),
        }
    }

    /// A sync that fails and drops what was not synced.
    pub(crate) fn lose(&mut self, client: ClientId, file: Ino) -> Result<(), Errno> {
        if let Some(holder) = self.clients.get_mut(&client) {
            let writes = holder.take(file).writes.len() as u64;
            self.trace.push(Event::Forgotten {
                client,
                file,
                writes,
            });
        }
        let (bricks, mut desk) = self.desk();
        let mut up = bricks.iter_mut().filter(|brick| brick.up);
        up.try_for_each(|brick| brick.lose(file, &mut desk))
    }

    /// Takes a write into the client's cache; the oldest go on where the window is full.
    pub(crate) fn put_behind(&mut self, client: ClientId, file: Ino, at: u64, bytes: &Bytes) {
        let fenced = self.asks_for_enforcement(file)
            && !self
                .bricks
                .iter()
                .any(|brick| brick.locks.holds(file, client));
        if fenced {
            self.marks.hit(Mark::HoleBehind);
        }
        let window = self.settings.window;
        let Some(holder) = self.clients.get_mut(&client) else {
            return;
        };
        let behind = holder.behind(file);
        behind.bytes += bytes.len() as u64;
        behind.writes.push((at, bytes.clone()));
        if behind.bytes > window {
            self.pass_on(client, file);
        }
    }

    /// A read of what is cached has it passed on first, and fails as that failed.
    pub(crate) fn read_behind(
        &mut self,
        client: ClientId,
        file: Ino,
        range: Range<u64>,
    ) -> Result<(), Errno> {
        let holder = self.clients.get(&client).ok_or(Errno::EBADF)?;
        let overlaps =
            |(at, bytes): &(u64, Bytes)| *at < range.end && range.start < at + bytes.len() as u64;
        if !holder.cached(file).iter().any(overlaps) {
            return Ok(());
        }
        self.pass_on(client, file);
        let holder = self.clients.get_mut(&client).ok_or(Errno::EBADF)?;
        holder.behind(file).error.map_or(Ok(()), Err)
    }

    /// A refused truncate of a sharded file has removed the shards behind it before it asked the
    /// first one; the length stays (gfapi.md §4).
    pub(crate) fn lose_shards(&mut self, file: Ino, size: u64) {
        let first = (size / self.settings.shard + 1) * self.settings.shard;
        let (bricks, mut desk) = self.desk();
        for brick in bricks {
            let end = brick.size(file);
            if brick.up && first < end {
                // A brick that cannot has nothing there either.
                let _gone = brick.zero(file, first..end, true, &mut desk);
            }
        }
    }

    /// What a handle says when bricks are away, where that is not what AFR says (gfapi.md §3): on a
    /// plain volume it has to be opened again, on a dispersed one it no longer syncs.
    pub(crate) fn check_reach(
        &mut self,
        client: ClientId,
        handle: Handle,
        placed: Set,
        call: &Call,
    ) -> Result<(), Errno> {
        let (kind, bricks) = (self.settings.kind, self.bricks.len());
        if kind.is_replicated(bricks) || !self.opens.contains_key(&handle.id) {
            return Ok(());
        }
        let connected = self.clients.get(&client).ok_or(Errno::EBADF)?.connected();
        let away = !kind.suffices(bricks, connected, placed);
        let syncs = matches!(call, Call::Sync { .. });
        let moves = matches!(call, Call::Read { .. } | Call::Write { .. });
        let lost = self.opens.get(&handle.id).is_some_and(|o| o.unreachable);
        match kind {
            Kind::Disperse if syncs && (away || lost) => Err(Errno::EBADF),
            Kind::Replica if lost && moves => Err(Errno::ENOENT),
            Kind::Replica if lost || (away && !moves && !syncs) => match call {
                Call::Close { .. } => Ok(()),
                _ => Err(Errno::EBADFD),
            },
            _ => Ok(()),
        }
    }

    /// Passes cached writes on to the bricks. The first that fails takes the rest with it. A brick
    /// that does not answer at once is passed over: what waits is for calls somebody waits for.
    pub(crate) fn pass_on(&mut self, client: ClientId, file: Ino) {
        let Some(holder) = self.clients.get_mut(&client) else {
            return;
        };
        if holder.cached(file).is_empty() {
            return;
        }
        let behind = holder.take(file);
        if let Some(errno) = behind.error {
            holder.behind(file).error = Some(errno);
        }
        let total = behind.writes.len();
        for (index, (at, bytes)) in behind.writes.into_iter().enumerate() {
            let handle = Handle {
                id: 0,
                client,
                file,
                sync: false,
                direct: false,
                readable: true,
                writable: true,
            };
            let call = Call::Write {
                handle,
                at,
                flags: 0,
                bytes,
                owner: None,
            };
            let Err(errno) = self.write_through(client, file, &call) else {
                continue;
            };
            if let Some(holder) = self.clients.get_mut(&client) {
                holder.behind(file).error.get_or_insert(errno);
            }
            self.trace.push(Event::Forgotten {
                client,
                file,
                writes: (total - index) as u64,
            });
            return;
        }
    }

    /// One cached write, on all bricks that answer at once.
    fn write_through(&mut self, client: ClientId, file: Ino, call: &Call) -> Result<(), Errno> {
        let (kind, bricks) = (self.settings.kind, self.bricks.len());
        let placed = kind.placement(bricks, file);
        let connected = self.clients.get(&client).ok_or(Errno::EBADF)?.connected();
        let mut done = Set::default();
        let mut refused = None;
        for brick in placed.iter() {
            if !connected.has(brick) || !self.bricks[brick].is_serving() {
                continue;
            }
            let checked = match Claim::of(client, call) {
                Some(claim) if self.settings.mandatory.is_on() => {
                    self.check_claim(brick, file, &claim)
                }
                _ => Checked::Go,
            };
            let landed = match checked {
                Checked::Go => self.land(brick, client, call, file).map(|_| ()),
                Checked::Refused(errno) => Err(errno),
                Checked::Wait => Err(Errno::EAGAIN),
            };
            match landed {
                Ok(()) => done.add(brick),
                Err(errno) => refused = Some(errno),
            }
        }
        if !kind.suffices(bricks, done, placed) {
            return Err(refused.unwrap_or(Errno::ENOTCONN));
        }
        for brick in placed.iter().filter(|brick| !done.has(*brick)) {
            self.bricks[brick].missed(file);
        }
        Ok(())
    }
}

fn check_writable(handle: Handle) -> Result<(), Errno> {
    match handle.writable {
        true => Ok(()),
        false => Err(Errno::EBADF),
    }
}

fn changes_bytes(call: &Call) -> bool {
    matches!(
        call,
        Call::Write { .. }
            | Call::Sync { .. }
            | Call::Truncate { .. }
            | Call::Discard { .. }
            | Call::Zerofill { .. }
            | Call::Fallocate { .. }
    )
}

/// What a brick has of a file.
fn look(brick: &mut Brick, call: &Call, file: Ino) -> Answer {
    let size = brick.size(file);
    match call {
        Call::Read { at, len, .. } => {
            let len = size.saturating_sub(*at).min(*len as u64) as usize;
            let mut bytes = vec![0; len];
            brick.read(file, *at, &mut bytes)?;
            Ok(Reply::Bytes(bytes))
        }
        Call::Seek { at, hole, .. } => {
            let found = brick.next(file, *at, *hole);
            match *at >= size || (!hole && found >= size) {
                true => Err(Errno::ENXIO),
                false => Ok(Reply::Count(found)),
            }
        }
        _ => Err(Errno::EINVAL),
    }
}

fn sync(brick: &mut Brick, file: Ino, kind: SyncKind, desk: &mut Desk<'_>) -> Result<(), Errno> {
    match kind {
        SyncKind::Data => brick.sync_data(file, desk),
        SyncKind::All => brick.sync_all(file, desk),
    }
}
