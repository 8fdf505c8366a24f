//! The locks translator of one brick: POSIX locks, and mandatory ones with enforcement, which a new
//! lock pushes aside (`features.enforce-mandatory-lock`; xlators/features/locks, fencing.md).

use std::collections::BTreeMap;
use std::ops::Range;

use crate::call::{Call, ClientId, Ino, LockCall, LockType};
use crate::errno::Errno;

/// The attribute by which a file asks for enforcement.
pub(crate) const ENFORCE: &str = "trusted.glusterfs.enforce-mandatory-lock";

/// `locks.mandatory-locking`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mandatory {
    /// Locks are advice.
    #[default]
    Off,
    /// By file mode; as far as clients of libgfapi can tell, the same as off.
    File,
    /// Locks hold those up who do not mind them.
    Forced,
    /// The same for locks taken as mandatory.
    Optimal,
}

impl Mandatory {
    /// The value of that name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "off" => Some(Self::Off),
            "file" => Some(Self::File),
            "forced" => Some(Self::Forced),
            "optimal" => Some(Self::Optimal),
            _ => None,
        }
    }

    /// Whether calls are compared with locks at all.
    pub(crate) fn is_on(self) -> bool {
        matches!(self, Self::Forced | Self::Optimal)
    }
}

/// A lock on a brick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) client: ClientId,
    pub(crate) owner: Option<Vec<u8>>,
    pub(crate) range: Range<u64>,
    pub(crate) kind: LockType,
}

impl Held {
    fn is_of(&self, client: ClientId, owner: &Option<Vec<u8>>) -> bool {
        self.client == client && self.owner == *owner
    }

    fn overlaps(&self, range: &Range<u64>) -> bool {
        self.range.start < range.end && range.start < self.range.end
    }
}

/// What the locks say to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    Go,
    Refused(Errno),
    /// Until the lock in the way is gone.
    Wait,
}

/// All locks of one brick; gone when it restarts.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    files: BTreeMap<Ino, Vec<Held>>,
    /// What is known of files' enforcement; read from the attribute by some calls only.
    enforcing: BTreeMap<Ino, bool>,
}

/// What a call wants with the bytes of a file, as the locks see it.
pub(crate) struct Claim<'a> {
    pub(crate) client: ClientId,
    /// `None`: the call does not carry one, any of the client's will do.
    pub(crate) owner: Option<&'a Option<Vec<u8>>>,
    pub(crate) range: Range<u64>,
    pub(crate) refusal: Errno,
    pub(crate) changes: bool,
}

impl<'a> Claim<'a> {
    /// What is compared with locks: fallocate, sync and stat are not.
    pub(crate) fn of(client: ClientId, call: &'a Call) -> Option<Self> {
        let (range, owner, refusal, changes) = match call {
            Call::Read { at, len, .. } => (*at..*at + *len as u64, None, Errno::EAGAIN, false),
            Call::Write {
                at, bytes, owner, ..
            } => (
                *at..*at + bytes.len() as u64,
                Some(owner),
                Errno::EBUSY,
                true,
            ),
            Call::Discard { range, .. } | Call::Zerofill { range, .. } => {
                (range.clone(), None, Errno::EAGAIN, true)
            }
            Call::Truncate { size, .. } => (*size..u64::MAX, None, Errno::EAGAIN, true),
            _ => return None,
        };
        Some(Self {
            client,
            owner,
            range,
            refusal,
            changes,
        })
    }
}

impl Locks {
    pub(crate) fn knows(&self, file: Ino) -> Option<bool> {
        self.enforcing.get(&file).copied()
    }

    pub(crate) fn learn(&mut self, file: Ino, enforcing: bool) {
        self.enforcing.insert(file, enforcing);
    }

    pub(crate) fn held(&self, file: Ino) -> &[Held] {
        self.files.get(&file).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn holds(&self, file: Ino, client: ClientId) -> bool {
        self.held(file).iter().any(|held| held.client == client)
    }

    /// What the locks say; `enforcing` where the file asks for it and the volume allows it.
    pub(crate) fn check(&self, file: Ino, claim: &Claim<'_>, enforcing: bool) -> Checked {
        let held = self.held(file);
        let own = |held: &Held| {
            held.client == claim.client && claim.owner.is_none_or(|owner| held.owner == *owner)
        };
        if enforcing {
            let covered = |held: &Held| {
                held.range.start <= claim.range.start && claim.range.end <= held.range.end
            };
            match held.iter().any(|held| own(held) && covered(held)) {
                true => Checked::Go,
                false => Checked::Refused(claim.refusal),
            }
        } else {
            let hinders = |held: &Held| {
                let exclusive = held.kind == LockType::Write || claim.changes;
                !own(held) && held.overlaps(&claim.range) && exclusive
            };
            match held.iter().any(hinders) {
                true => Checked::Wait,
                false => Checked::Go,
            }
        }
    }

    /// Who is in the way of a lock.
    pub(crate) fn in_the_way(&self, file: Ino, client: ClientId, lock: &LockCall) -> Option<&Held> {
        self.held(file).iter().find(|held| {
            let exclusive = held.kind == LockType::Write || lock.kind == LockType::Write;
            !held.is_of(client, &lock.owner) && held.overlaps(&lock.range) && exclusive
        })
    }

    /// Takes or gives back; what is in the way was looked at before, or is pushed aside. Tells
    /// whether it was.
    pub(crate) fn put(
        &mut self,
        file: Ino,
        client: ClientId,
        lock: &LockCall,
        enforcing: bool,
    ) -> bool {
        let files = self.files.entry(file).or_default();
        let mut pushed = false;
        if enforcing && lock.kind != LockType::Unlock {
            let before = files.len();
            files.retain(|held| held.is_of(client, &lock.owner));
            pushed = files.len() < before;
        }
        // A lock of one's own is replaced where they overlap.
        let own = std::mem::take(files).into_iter();
        for held in own {
            if !held.is_of(client, &lock.owner) || !held.overlaps(&lock.range) {
                files.push(held);
                continue;
            }
            let before = held.range.start..lock.range.start.min(held.range.end);
            let after = lock.range.end.max(held.range.start)..held.range.end;
            for range in [before, after] {
                if range.start < range.end {
                    files.push(Held {
                        range,
                        ..held.clone()
                    });
                }
            }
        }
        if lock.kind != LockType::Unlock {
            files.push(Held {
                client,
                owner: lock.owner.clone(),
                range: lock.range.clone(),
                kind: lock.kind,
            });
        }
        pushed
    }

    /// The connection of a client is gone, and its locks with it.
    pub(crate) fn drop_client(&mut self, client: ClientId) {
        for held in self.files.values_mut() {
            held.retain(|held| held.client != client);
        }
    }

    /// The handle with the lock is closed.
    pub(crate) fn release(&mut self, file: Ino, client: ClientId) {
        if let Some(held) = self.files.get_mut(&file) {
            held.retain(|held| held.client != client);
        }
    }

    /// The file is gone.
    pub(crate) fn forget(&mut self, file: Ino) {
        self.files.remove(&file);
        self.enforcing.remove(&file);
    }
}
