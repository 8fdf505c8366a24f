//! Calls about bytes: read, write, sync, and what changes a file's shape.

use std::ops::Range;

use crate::brick::{Brick, Desk};
use crate::call::{ClientId, Handle, Ino, Moment, OpKind, SyncKind};
use crate::errno::Errno;
use crate::plan::{Outcome, Verdict};
use crate::trace::Event;
use crate::volume::Volume;

/// O_DSYNC, which is a part of O_SYNC.
const O_DSYNC: i32 = 0o10000;

impl Volume {
    /// Reads; short at the end of the file, nothing behind it.
    pub fn read(
        &mut self,
        now: Moment,
        verdict: &Verdict,
        handle: Handle,
        at: u64,
        into: &mut [u8],
    ) -> Result<usize, Errno> {
        let admitted = self.admit(verdict);
        let result = admitted.and_then(|bound| self.try_read(handle, at, into, bound));
        let told = result.map(|len| len as u64);
        let span = (at, into.len() as u64);
        self.answer(now, OpKind::Read, handle.client, handle.file, span, &told);
        result
    }

    fn try_read(
        &mut self,
        handle: Handle,
        at: u64,
        into: &mut [u8],
        bound: u64,
    ) -> Result<usize, Errno> {
        self.check_handle(handle)?;
        if !handle.readable {
            return Err(Errno::EBADF);
        }
        if into.is_empty() || at > i64::MAX as u64 {
            return Err(Errno::EINVAL);
        }
        self.check_alignment(handle, at, into.len())?;
        let size = self.stat_handle(handle)?.size;
        let len = size.saturating_sub(at).min(into.len() as u64).min(bound) as usize;
        let into = &mut into[..len];
        self.good_brick(handle.file)?.read(handle.file, at, into)?;
        // The client's own cached writes lie over what the bricks have.
        let client = self.clients.get(&handle.client).ok_or(Errno::EBADF)?;
        for (start, bytes) in client.cached(handle.file) {
            let from = at.max(*start);
            let to = (at + len as u64).min(start + bytes.len() as u64);
            if from < to {
                let part = &bytes[(from - start) as usize..(to - start) as usize];
                into[(from - at) as usize..(to - at) as usize].copy_from_slice(part);
            }
        }
        Ok(len)
    }

    /// Writes. With O_SYNC or O_DSYNC among `flags` or the handle's own, GOOD means durable, except
    /// behind the first shard of a sharded volume.
    pub fn write(
        &mut self,
        now: Moment,
        verdict: &Verdict,
        handle: Handle,
        (at, flags): (u64, i32),
        bytes: &[u8],
    ) -> Result<usize, Errno> {
        let result = match verdict.outcome {
            // Written, and then the sync fails.
            Outcome::Lose(errno) if handle.sync || flags & O_DSYNC != 0 => {
                self.lose(handle.client, handle.file).and(Err(errno))
            }
            _ => self.admit(verdict).and_then(|bound| {
                let len = bytes
                    .len()
                    .min(usize::try_from(bound).unwrap_or(usize::MAX));
                self.try_write(handle, at, flags, &bytes[..len])
            }),
        };
        let told = result.map(|len| len as u64);
        let span = (at, bytes.len() as u64);
        self.answer(now, OpKind::Write, handle.client, handle.file, span, &told);
        result
    }

    fn try_write(
        &mut self,
        handle: Handle,
        at: u64,
        flags: i32,
        bytes: &[u8],
    ) -> Result<usize, Errno> {
        let Handle { client, file, .. } = handle;
        self.check_writable(handle)?;
        self.check_alignment(handle, at, bytes.len())?;
        at.checked_add(bytes.len() as u64)
            .filter(|&end| end <= i64::MAX as u64)
            .ok_or(Errno::EINVAL)?;
        let sync = handle.sync || flags & O_DSYNC != 0;
        if self.writes_behind(client) && !sync {
            self.put_behind(client, file, at, bytes);
            return Ok(bytes.len());
        }
        self.pass_on(client, file);
        self.fan_out(file, |brick, desk| brick.write(file, at, bytes, desk))?;
        if sync && (self.settings.shard == 0 || at < self.settings.shard) {
            self.fan_out(file, |brick, desk| brick.sync_data(file, desk))?;
        }
        Ok(bytes.len())
    }

    /// Makes durable what was answered before. A failure of cached writes is told once, here.
    pub fn sync(
        &mut self,
        now: Moment,
        verdict: &Verdict,
        handle: Handle,
        kind: SyncKind,
    ) -> Result<(), Errno> {
        let Handle { client, file, .. } = handle;
        let result = match verdict.outcome {
            Outcome::Lose(errno) => self.lose(client, file).and(Err(errno)),
            _ => self.admit(verdict).and_then(|_| {
                self.check_handle(handle)?;
                self.pass_on(client, file);
                let holder = self.clients.get_mut(&client).ok_or(Errno::EBADF)?;
                if let Some(errno) = holder.take(file).error {
                    return Err(errno);
                }
                self.fan_out(file, |brick, desk| match kind {
                    SyncKind::Data => brick.sync_data(file, desk),
                    SyncKind::All => brick.sync_all(file, desk),
                })
            }),
        };
        self.answer(now, OpKind::Sync, client, file, (0, 0), &result.map(|()| 0));
        result
    }

    fn lose(&mut self, client: ClientId, file: Ino) -> Result<(), Errno> {
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

    /// Cuts or grows the file.
    pub fn truncate(
        &mut self,
        now: Moment,
        verdict: &Verdict,
        handle: Handle,
        size: u64,
    ) -> Result<(), Errno> {
        let result = self.admit(verdict).and_then(|_| {
            self.check_writable(handle)?;
            self.set_len_everywhere(handle.client, handle.file, size)
        });
        let told = result.map(|()| 0);
        self.answer(
            now,
            OpKind::Truncate,
            handle.client,
            handle.file,
            (size, 0),
            &told,
        );
        result
    }

    pub(crate) fn set_len_everywhere(
        &mut self,
        client: ClientId,
        file: Ino,
        size: u64,
    ) -> Result<(), Errno> {
        self.pass_on(client, file);
        self.fan_out(file, |brick, _| brick.set_len(file, size))
    }

    /// Makes a hole; past the end it changes nothing.
    pub fn discard(
        &mut self,
        now: Moment,
        verdict: &Verdict,
        handle: Handle,
        range: Range<u64>,
    ) -> Result<(), Errno> {
        let span = (range.start, range.end.saturating_sub(range.start));
        let result = self.shape(verdict, handle, span, |volume, file| {
            volume.fan_out(file, |brick, desk| {
                let end = range.end.min(brick.size(file));
                brick.zero(file, range.start..end.max(range.start), true, desk)
            })
        });
        self.answer(
            now,
            OpKind::Discard,
            handle.client,
            handle.file,
            span,
            &result.map(|()| 0),
        );
        result
    }

    /// Writes zeros, growing the file where need be.
    pub fn zerofill(
        &mut self,
        now: Moment,
        verdict: &Verdict,
        handle: Handle,
        range: Range<u64>,
    ) -> Result<(), Errno> {
        let span = (range.start, range.end.saturating_sub(range.start));
        let known = self.settings.zerofill;
        let result = self.shape(verdict, handle, span, |volume, file| {
            if !known {
                return Err(Errno::EOPNOTSUPP);
            }
            volume.fan_out(file, |brick, desk| {
                brick.zero(file, range.clone(), false, desk)?;
                brick.grow(file, range.end)
            })
        });
        self.answer(
            now,
            OpKind::Zerofill,
            handle.client,
            handle.file,
            span,
            &result.map(|()| 0),
        );
        result
    }

    /// Reserves room; grows the file unless `keep_size`.
    pub fn fallocate(
        &mut self,
        now: Moment,
        verdict: &Verdict,
        handle: Handle,
        range: Range<u64>,
        keep_size: bool,
    ) -> Result<(), Errno> {
        let span = (range.start, range.end.saturating_sub(range.start));
        let sharded = self.settings.shard > 0;
        let result = self.shape(verdict, handle, span, |volume, file| {
            if keep_size && sharded {
                return Err(Errno::EOPNOTSUPP);
            }
            volume.fan_out(file, |brick, desk| {
                brick.allocate(file, range.clone(), desk)?;
                if keep_size {
                    Ok(())
                } else {
                    brick.grow(file, range.end)
                }
            })
        });
        self.answer(
            now,
            OpKind::Fallocate,
            handle.client,
            handle.file,
            span,
            &result.map(|()| 0),
        );
        result
    }

    fn shape(
        &mut self,
        verdict: &Verdict,
        handle: Handle,
        (_, len): (u64, u64),
        change: impl FnOnce(&mut Self, Ino) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        self.admit(verdict)?;
        self.check_writable(handle)?;
        if len == 0 {
            return Err(Errno::EINVAL);
        }
        self.pass_on(handle.client, handle.file);
        change(self, handle.file)
    }

    /// The next data (or, `hole`, the next hole) at or after `at`: SEEK_DATA and SEEK_HOLE.
    pub fn seek(
        &mut self,
        now: Moment,
        verdict: &Verdict,
        handle: Handle,
        at: u64,
        hole: bool,
    ) -> Result<u64, Errno> {
        let result = self.admit(verdict).and_then(|_| {
            self.check_handle(handle)?;
            if self.settings.shard > 0 {
                return Err(Errno::EOPNOTSUPP);
            }
            self.pass_on(handle.client, handle.file);
            let brick = self.good_brick(handle.file)?;
            let size = brick.size(handle.file);
            let found = brick.next(handle.file, at, hole);
            if at >= size || (!hole && found >= size) {
                return Err(Errno::ENXIO);
            }
            Ok(found)
        });
        self.answer(
            now,
            OpKind::Seek,
            handle.client,
            handle.file,
            (at, 0),
            &result,
        );
        result
    }

    fn check_writable(&self, handle: Handle) -> Result<(), Errno> {
        self.check_handle(handle)?;
        if handle.writable {
            Ok(())
        } else {
            Err(Errno::EBADF)
        }
    }

    fn check_alignment(&self, handle: Handle, at: u64, len: usize) -> Result<(), Errno> {
        let unit = self.settings.direct_alignment;
        let aligned = at.is_multiple_of(unit) && (len as u64).is_multiple_of(unit);
        if aligned || !handle.direct {
            Ok(())
        } else {
            Err(Errno::EINVAL)
        }
    }

    /// Takes a write into the client's cache; the oldest go on where the window is full.
    fn put_behind(&mut self, client: ClientId, file: Ino, at: u64, bytes: &[u8]) {
        let window = self.settings.window;
        let Some(holder) = self.clients.get_mut(&client) else {
            return;
        };
        let behind = holder.behind(file);
        behind.bytes += bytes.len() as u64;
        behind.writes.push((at, bytes.to_vec()));
        if behind.bytes > window {
            self.pass_on(client, file);
        }
    }

    /// Passes cached writes on to the bricks. The first that fails takes the rest with it.
    pub(crate) fn pass_on(&mut self, client: ClientId, file: Ino) {
        let Some(holder) = self.clients.get_mut(&client) else {
            return;
        };
        if holder.cached(file).is_empty() {
            return;
        }
        let behind = holder.behind(file);
        let writes = std::mem::take(&mut behind.writes);
        behind.bytes = 0;
        let total = writes.len();
        for (index, (at, bytes)) in writes.into_iter().enumerate() {
            let written = self.fan_out(file, |brick, desk| brick.write(file, at, &bytes, desk));
            let Err(errno) = written else {
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

    /// A brick whose copy of the file is right.
    fn good_brick(&mut self, file: Ino) -> Result<&mut Brick, Errno> {
        self.check_quorum()?;
        let mut bricks = self.bricks.iter_mut();
        let good = bricks.find(|brick| brick.up && !brick.stale.contains(&file));
        good.ok_or(Errno::ENOTCONN)
    }

    /// Does it on every brick that is up. The answer is good where a quorum did it; a brick that
    /// did not has the file to heal.
    fn fan_out(
        &mut self,
        file: Ino,
        mut change: impl FnMut(&mut Brick, &mut Desk<'_>) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        self.check_quorum()?;
        let total = self.bricks.len();
        let (bricks, mut desk) = self.desk();
        let mut failed = None;
        let mut missed = Vec::new();
        for (index, brick) in bricks.iter_mut().enumerate() {
            if !brick.up {
                missed.push(index);
            } else if let Err(errno) = change(brick, &mut desk) {
                failed = Some(errno);
                missed.push(index);
            }
        }
        let done = total - missed.len();
        if done * 2 < total || done == 0 {
            return Err(failed.unwrap_or(Errno::ENOTCONN));
        }
        for index in missed {
            bricks[index].stale.insert(file);
        }
        Ok(())
    }
}
