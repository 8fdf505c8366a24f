//! Calls about names: open and create, remove and rename, directories, attributes. Names and
//! attributes are durable at once, on all bricks.

use std::collections::BTreeMap;

use crate::call::{
    Answer, Attributes, Call, ClientId, Handle, Ino, O_DSYNC, Place, Reply, XattrMode,
};
use crate::errno::Errno;
use crate::locks::ENFORCE;
use crate::marks::Mark;
use crate::medium::{Entry, moved};
use crate::turn::Turn;
use crate::volume::{Node, Opened, Volume};

const O_ACCMODE: i32 = 0o3;
const O_WRONLY: i32 = 0o1;
const O_RDWR: i32 = 0o2;
const O_EXCL: i32 = 0o200;
const O_TRUNC: i32 = 0o1000;
#[cfg(target_arch = "x86_64")]
const O_DIRECT: i32 = 0o40000;
#[cfg(not(target_arch = "x86_64"))]
const O_DIRECT: i32 = 0o200000;

/// The attribute in which bricks keep what a file is, whatever it is called. Clients are not
/// shown it; they know it as the file's number.
const GFID: &str = "trusted.gfid";

/// Which bricks answer for a file, as Gluster says it by path.
const PATHINFO: &str = "trusted.glusterfs.pathinfo";

/// A handle on the root directory, which nobody has to close.
pub fn root_handle(client: ClientId) -> Handle {
    Handle {
        id: 0,
        client,
        file: ROOT,
        sync: false,
        direct: false,
        readable: true,
        writable: false,
    }
}

impl Volume {
    /// The one effect of a call about names, when enough bricks were there.
    pub(crate) fn carry_out(&mut self, client: ClientId, call: &Call) -> Answer {
        match call {
            Call::Open { path, flags } => self.open_file(client, path, *flags).map(Reply::Handle),
            Call::Create { path, flags, mode } => {
                match self.find(path) {
                    Ok(_) if flags & O_EXCL != 0 => return Err(Errno::EEXIST),
                    Ok(_) => {}
                    Err(Errno::ENOENT) => self.add(path, false, *mode)?,
                    Err(errno) => return Err(errno),
                }
                self.open_file(client, path, *flags).map(Reply::Handle)
            }
            Call::Close { handle } => self.close(*handle).map(|()| Reply::Done),
            Call::Truncate { place, size } => {
                let file = self.place(place)?;
                if self.attributes_of(file)?.directory {
                    return Err(Errno::EISDIR);
                }
                self.set_len_everywhere(client, file, *size)?;
                Ok(Reply::Done)
            }
            Call::Space { path } => {
                self.find(path)?;
                Ok(Reply::Space(self.space()))
            }
            Call::Link { from, to } => self.link_file(from, to).map(|()| Reply::Done),
            Call::Rename { from, to } => self.rename(from, to).map(|()| Reply::Done),
            Call::Unlink { path } => self.drop_name(path, false).map(|()| Reply::Done),
            Call::Rmdir { path } => self.drop_name(path, true).map(|()| Reply::Done),
            Call::Mkdir { path, mode } => match self.find(path) {
                Ok(_) => Err(Errno::EEXIST),
                Err(Errno::ENOENT) => self.add(path, true, *mode).map(|()| Reply::Done),
                Err(errno) => Err(errno),
            },
            Call::List { path } => self.list(path).map(Reply::Names),
            Call::GetXattr { place, name } => {
                let file = self.place(place)?;
                match name.as_str() {
                    PATHINFO => Ok(Reply::Bytes(self.path_info(file).into_bytes())),
                    GFID => Err(Errno::ENODATA),
                    _ => {
                        let held = self.xattrs(file)?.get(name);
                        held.cloned().map(Reply::Bytes).ok_or(Errno::ENODATA)
                    }
                }
            }
            Call::ListXattrs { place } => {
                let names = self.xattrs(self.place(place)?)?.keys();
                let names = names.filter(|name| *name != GFID).cloned();
                Ok(Reply::Xattrs(names.collect()))
            }
            Call::SetXattr {
                place,
                name,
                value,
                mode,
            } => {
                let file = self.place(place)?;
                self.set_xattr(file, name, value, *mode)
                    .map(|()| Reply::Done)
            }
            Call::RemoveXattr { place, name } => {
                let file = self.place(place)?;
                self.remove_xattr(file, name).map(|()| Reply::Done)
            }
            _ => Err(Errno::EINVAL),
        }
    }

    fn place(&self, place: &Place) -> Result<Ino, Errno> {
        match place {
            Place::Path(path) => self.find(path),
            Place::Handle(handle) => Ok(handle.file),
        }
    }

    /// Opens what the path names; a directory for reading only.
    fn open_file(&mut self, client: ClientId, path: &str, flags: i32) -> Result<Handle, Errno> {
        let file = self.find(path)?;
        let access = flags & O_ACCMODE;
        let node = self.nodes.get_mut(&file).ok_or(Errno::ENOENT)?;
        if node.entry.directory && access != 0 {
            return Err(Errno::EISDIR);
        }
        let handle = self.take_handle(Handle {
            id: 0,
            client,
            file,
            sync: flags & O_DSYNC != 0,
            direct: flags & O_DIRECT != 0,
            readable: access != O_WRONLY,
            writable: access == O_WRONLY || access == O_RDWR,
        });
        if flags & O_TRUNC != 0 && handle.writable {
            self.set_len_everywhere(client, file, 0)?;
        }
        Ok(handle)
    }

    fn take_handle(&mut self, like: Handle) -> Handle {
        let handle = Handle {
            id: self.next_handle,
            ..like
        };
        self.next_handle += 1;
        if let Some(node) = self.nodes.get_mut(&handle.file) {
            node.opened += 1;
        }
        let opened = Opened {
            handle,
            bad: None,
            unreachable: false,
            lock: None,
        };
        self.opens.insert(handle.id, opened);
        handle
    }

    /// One more handle like this one.
    pub(crate) fn duplicate(&mut self, handle: Handle) -> Result<Handle, Errno> {
        self.check_handle(handle)?;
        Ok(self.take_handle(handle))
    }

    /// Gives a handle back; cached writes are passed on, and a failure of theirs is told here.
    pub(crate) fn close(&mut self, handle: Handle) -> Result<(), Errno> {
        if handle.file == ROOT {
            return Ok(());
        }
        if !self.opens.contains_key(&handle.id) {
            return Err(Errno::EBADF);
        }
        self.pass_on(handle.client, handle.file);
        let client = self.clients.get_mut(&handle.client);
        let error = client.and_then(|client| client.behind(handle.file).error.take());
        self.drop_handle(handle);
        error.map_or(Ok(()), Err)
    }

    /// The handle is gone, its lock, and the file if only it kept it.
    pub(crate) fn drop_handle(&mut self, handle: Handle) {
        let Some(opened) = self.opens.remove(&handle.id) else {
            return;
        };
        if opened.lock.is_some() {
            for brick in &mut self.bricks {
                brick.locks.release(handle.file, handle.client);
            }
        }
        let Some(node) = self.nodes.get_mut(&handle.file) else {
            return;
        };
        node.opened = node.opened.saturating_sub(1);
        if node.opened == 0 && !node.named {
            self.forget(handle.file);
        }
    }

    pub(crate) fn set_len_everywhere(
        &mut self,
        client: ClientId,
        file: Ino,
        size: u64,
    ) -> Result<(), Errno> {
        self.pass_on(client, file);
        let placed = self.settings.kind.placement(self.bricks.len(), file);
        for brick in placed.iter() {
            if !self.has_bytes(brick) {
                continue;
            }
            if self.bricks[brick].up {
                self.bricks[brick].set_len(file, size)?;
            } else {
                self.bricks[brick].missed(file);
            }
        }
        Ok(())
    }

    fn drop_name(&mut self, path: &str, directory: bool) -> Result<(), Errno> {
        let file = self.find(path)?;
        let node = self.nodes.get(&file).ok_or(Errno::EBUSY)?;
        match (node.entry.directory, directory) {
            (true, false) => return Err(Errno::EISDIR),
            (false, true) => return Err(Errno::ENOTDIR),
            (true, true) if !self.children(path).is_empty() => return Err(Errno::ENOTEMPTY),
            (true, true) | (false, false) => {}
        }
        for brick in &mut self.bricks {
            brick.medium.remove(file, path, directory)?;
        }
        self.names.remove(path);
        let named = self.names.values().any(|other| *other == file);
        let node = self.nodes.get_mut(&file).ok_or(Errno::ENOENT)?;
        node.named = named;
        if node.opened == 0 && !named {
            self.forget(file);
        }
        Ok(())
    }

    /// One more name for a file.
    fn link_file(&mut self, from: &str, to: &str) -> Result<(), Errno> {
        let file = self.find(from)?;
        if self.nodes.get(&file).ok_or(Errno::EPERM)?.entry.directory {
            return Err(Errno::EPERM);
        }
        match self.find(to) {
            Ok(_) => return Err(Errno::EEXIST),
            Err(Errno::ENOENT) => self.check_parent(to)?,
            Err(errno) => return Err(errno),
        }
        for brick in &mut self.bricks {
            brick.medium.link(from, to)?;
        }
        self.names.insert(to.to_owned(), file);
        Ok(())
    }

    /// Another name; a file that had it is gone.
    fn rename(&mut self, from: &str, to: &str) -> Result<(), Errno> {
        let file = self.find(from)?;
        let directory = self.nodes.get(&file).ok_or(Errno::EBUSY)?.entry.directory;
        if from == to {
            return Ok(());
        }
        if moved(to, from, from).is_some() {
            return Err(Errno::EINVAL);
        }
        match self.find(to) {
            // Two names of one file stay as they are (rename(2)).
            Ok(other) if other == file => return Ok(()),
            Ok(_) => self.drop_name(to, directory)?,
            Err(Errno::ENOENT) => self.check_parent(to)?,
            Err(errno) => return Err(errno),
        }
        for brick in &mut self.bricks {
            brick.medium.rename(from, to)?;
        }
        let names = std::mem::take(&mut self.names);
        for (path, file) in names {
            let path = moved(&path, from, to).unwrap_or(path);
            self.names.insert(path, file);
        }
        Ok(())
    }

    /// Names in a directory, in order.
    fn list(&mut self, path: &str) -> Result<Vec<(String, Attributes)>, Errno> {
        if !self.attributes_of(self.find(path)?)?.directory {
            return Err(Errno::ENOTDIR);
        }
        let children = self.children(path).into_iter();
        children
            .map(|(name, file)| Ok((name, self.attributes_of(file)?)))
            .collect()
    }

    /// The extended attributes of a file.
    pub(crate) fn xattrs(&self, file: Ino) -> Result<&BTreeMap<String, Vec<u8>>, Errno> {
        Ok(&self.nodes.get(&file).ok_or(Errno::ENOENT)?.entry.xattrs)
    }

    /// Sets one.
    fn set_xattr(
        &mut self,
        file: Ino,
        name: &str,
        value: &[u8],
        mode: XattrMode,
    ) -> Result<(), Errno> {
        if name == GFID {
            return Err(Errno::EPERM);
        }
        if name == ENFORCE {
            if !self.settings.mandatory.is_on() || !self.settings.enforce {
                self.marks.hit(Mark::EnforceRefused);
                return Err(Errno::EINVAL);
            }
            for brick in self.bricks.iter_mut().filter(|brick| brick.up) {
                brick.locks.learn(file, true);
            }
        }
        match (mode, self.xattrs(file)?.contains_key(name)) {
            (XattrMode::Create, true) => return Err(Errno::EEXIST),
            (XattrMode::Replace, false) => return Err(Errno::ENODATA),
            _ => {}
        }
        let node = self.nodes.get_mut(&file).ok_or(Errno::ENOENT)?;
        node.entry.xattrs.insert(name.to_owned(), value.to_vec());
        self.store_xattrs(file)
    }

    /// Takes one away.
    fn remove_xattr(&mut self, file: Ino, name: &str) -> Result<(), Errno> {
        if name == GFID {
            return Err(Errno::EPERM);
        }
        if name == ENFORCE {
            for brick in &mut self.bricks {
                brick.locks.learn(file, false);
            }
        }
        let node = self.nodes.get_mut(&file).ok_or(Errno::ENOENT)?;
        node.entry.xattrs.remove(name).ok_or(Errno::ENODATA)?;
        self.store_xattrs(file)
    }

    fn store_xattrs(&mut self, file: Ino) -> Result<(), Errno> {
        let node = self.nodes.get(&file).ok_or(Errno::ENOENT)?;
        let names = self.names.iter().filter(|(_, other)| **other == file);
        for (path, _) in names {
            for brick in &mut self.bricks {
                brick.medium.set_xattrs(path, &node.entry.xattrs)?;
            }
        }
        Ok(())
    }

    /// Gives a file a gfid, unless it has one: a new file, or one that came onto the first brick
    /// from outside.
    pub(crate) fn give_gfid(&mut self, file: Ino) -> Result<(), Errno> {
        let node = self.nodes.get_mut(&file).ok_or(Errno::ENOENT)?;
        if node.entry.xattrs.contains_key(GFID) {
            return Ok(());
        }
        let halves = [self.gfids.draw(), self.gfids.draw()];
        let gfid = halves.map(u64::to_be_bytes).concat();
        node.entry.xattrs.insert(GFID.to_owned(), gfid);
        self.store_xattrs(file)
    }

    /// The number of the file a path leads to; the root has number 0.
    pub(crate) fn find(&self, path: &str) -> Result<Ino, Errno> {
        if path == "/" {
            return Ok(ROOT);
        }
        self.check_parent(path)?;
        self.names.get(path).copied().ok_or(Errno::ENOENT)
    }

    fn check_parent(&self, path: &str) -> Result<(), Errno> {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        if parent.is_empty() {
            return Ok(());
        }
        let file = self.names.get(parent).ok_or(Errno::ENOENT)?;
        let node = self.nodes.get(file).ok_or(Errno::ENOENT)?;
        if node.entry.directory {
            Ok(())
        } else {
            Err(Errno::ENOTDIR)
        }
    }

    fn attributes_of(&self, file: Ino) -> Result<Attributes, Errno> {
        let (kind, bricks) = (self.settings.kind, self.bricks.len());
        let placed = kind.placement(bricks, file);
        let right = |brick: &usize| {
            let holder = &self.bricks[*brick];
            kind.has_bytes(bricks, *brick) && holder.up && !holder.stale.contains(&file)
        };
        let brick = placed.iter().find(right).ok_or(Errno::ENOTCONN)?;
        self.attributes_on(brick, file)
    }

    /// What one brick says of a file.
    pub(crate) fn attributes_on(&self, brick: usize, file: Ino) -> Result<Attributes, Errno> {
        if file == ROOT {
            return Ok(Attributes {
                file,
                number: 1,
                links: 2,
                size: 4096,
                allocated: 4096,
                mode: 0o755,
                directory: true,
            });
        }
        let node = self.nodes.get(&file).ok_or(Errno::ENOENT)?;
        let brick = &self.bricks[brick];
        let half = node.entry.xattrs.get(GFID).and_then(|gfid| gfid.get(8..));
        let number = half.and_then(|half| half.try_into().ok());
        let names = self.names.values().filter(|other| **other == file);
        Ok(Attributes {
            file,
            number: u64::from_be_bytes(number.ok_or(Errno::EIO)?),
            links: match node.entry.directory {
                true => 2,
                false => names.count() as u64,
            },
            size: brick.size(file),
            allocated: brick.held_bytes(file),
            mode: node.entry.mode,
            directory: node.entry.directory,
        })
    }

    fn children(&self, path: &str) -> Vec<(String, Ino)> {
        let prefix = if path == "/" {
            "/".to_owned()
        } else {
            format!("{path}/")
        };
        let inside = self.names.range(prefix.clone()..);
        let inside = inside.take_while(|(name, _)| name.starts_with(&prefix));
        let direct = inside.filter(|(name, _)| !name[prefix.len()..].contains('/'));
        direct
            .map(|(name, &file)| (name[prefix.len()..].to_owned(), file))
            .collect()
    }

    fn add(&mut self, path: &str, directory: bool, mode: u32) -> Result<(), Errno> {
        let file = Ino(self.next_ino);
        let entry = Entry {
            file,
            path: path.to_owned(),
            directory,
            mode: mode & 0o7777,
            xattrs: BTreeMap::new(),
        };
        for brick in &mut self.bricks {
            brick.medium.create(&entry)?;
            brick.load(file)?;
        }
        self.next_ino += 1;
        self.names.insert(path.to_owned(), file);
        let node = Node {
            entry,
            opened: 0,
            named: true,
            turn: Turn::default(),
        };
        self.nodes.insert(file, node);
        self.give_gfid(file)
    }

    pub(crate) fn forget(&mut self, file: Ino) {
        self.nodes.remove(&file);
        self.bricks.iter_mut().for_each(|brick| brick.forget(file));
        for client in self.clients.values_mut() {
            client.take(file);
        }
    }
}

/// The number of the root directory, which is no entry of any other.
pub(crate) const ROOT: Ino = Ino(0);
