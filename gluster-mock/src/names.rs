//! Calls about names: open and create, remove and rename, directories, attributes. Names and
//! attributes are durable at once, on all bricks.

use std::collections::BTreeMap;

use crate::call::{Attributes, ClientId, Handle, Ino, Moment, OpKind, XattrMode};
use crate::errno::Errno;
use crate::medium::{Entry, moved};
use crate::plan::Verdict;
use crate::volume::{Node, Volume};

const O_ACCMODE: i32 = 0o3;
const O_WRONLY: i32 = 0o1;
const O_RDWR: i32 = 0o2;
const O_EXCL: i32 = 0o200;
const O_TRUNC: i32 = 0o1000;
const O_DSYNC: i32 = 0o10000;
#[cfg(target_arch = "x86_64")]
const O_DIRECT: i32 = 0o40000;
#[cfg(not(target_arch = "x86_64"))]
const O_DIRECT: i32 = 0o200000;

/// The attribute in which bricks keep what a file is, whatever it is called. Clients are not
/// shown it; they know it as the file's number.
pub(crate) const GFID: &str = "trusted.gfid";

impl Volume {
    /// Opens what the path names; a directory for reading only.
    pub fn open_file(
        &mut self,
        now: Moment,
        verdict: &Verdict,
        client: ClientId,
        path: &str,
        flags: i32,
    ) -> Result<Handle, Errno> {
        let result = self
            .admit(verdict)
            .and_then(|_| self.try_open(client, path, flags));
        self.answer_name(
            now,
            OpKind::Open,
            client,
            path,
            result.map(|handle| handle.file.0),
        );
        result
    }

    fn try_open(&mut self, client: ClientId, path: &str, flags: i32) -> Result<Handle, Errno> {
        self.check_quorum()?;
        let file = self.find(path)?;
        let access = flags & O_ACCMODE;
        let node = self.nodes.get_mut(&file).ok_or(Errno::ENOENT)?;
        if node.entry.directory && access != 0 {
            return Err(Errno::EISDIR);
        }
        *node.opened.entry(client).or_default() += 1;
        let handle = Handle {
            id: 0,
            client,
            file,
            sync: flags & O_DSYNC != 0,
            direct: flags & O_DIRECT != 0,
            readable: access != O_WRONLY,
            writable: access == O_WRONLY || access == O_RDWR,
        };
        if flags & O_TRUNC != 0 && handle.writable {
            self.set_len_everywhere(client, file, 0)?;
        }
        Ok(handle)
    }

    /// Creates a file, or opens it where it exists unless O_EXCL is set.
    pub fn create_file(
        &mut self,
        now: Moment,
        verdict: &Verdict,
        client: ClientId,
        path: &str,
        (flags, mode): (i32, u32),
    ) -> Result<Handle, Errno> {
        let result = self.admit(verdict).and_then(|_| {
            self.check_quorum()?;
            match self.find(path) {
                Ok(_) if flags & O_EXCL != 0 => return Err(Errno::EEXIST),
                Ok(_) => {}
                Err(Errno::ENOENT) => self.add(path, false, mode)?,
                Err(errno) => return Err(errno),
            }
            self.try_open(client, path, flags)
        });
        self.answer_name(
            now,
            OpKind::Creat,
            client,
            path,
            result.map(|handle| handle.file.0),
        );
        result
    }

    /// A handle on the root directory, which nobody has to close.
    pub fn root_handle(&self, client: ClientId) -> Handle {
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

    /// One more handle like this one.
    pub fn duplicate(&mut self, handle: Handle) -> Result<Handle, Errno> {
        self.check_handle(handle)?;
        let node = self.nodes.get_mut(&handle.file).ok_or(Errno::EBADF)?;
        *node.opened.entry(handle.client).or_default() += 1;
        Ok(handle)
    }

    /// Gives a handle back; cached writes are passed on, and a failure of theirs is told here.
    pub fn close(&mut self, now: Moment, verdict: &Verdict, handle: Handle) -> Result<(), Errno> {
        let admitted = self.admit(verdict);
        if self.check_handle(handle).is_err() {
            return Err(Errno::EBADF);
        }
        self.pass_on(handle.client, handle.file);
        let client = self.clients.get_mut(&handle.client);
        let error = client.and_then(|client| client.behind(handle.file).error.take());
        let node = self.nodes.get_mut(&handle.file).ok_or(Errno::EBADF)?;
        if let Some(count) = node.opened.get_mut(&handle.client) {
            *count -= 1;
            if *count == 0 {
                node.opened.remove(&handle.client);
            }
        }
        if node.opened.is_empty() && !node.named {
            self.forget(handle.file);
        }
        let result = admitted.and(error.map_or(Ok(0), Err));
        self.answer(
            now,
            OpKind::Close,
            handle.client,
            handle.file,
            (0, 0),
            &result,
        );
        result.map(|_| ())
    }

    /// A new directory.
    pub fn make_directory(
        &mut self,
        now: Moment,
        verdict: &Verdict,
        client: ClientId,
        path: &str,
        mode: u32,
    ) -> Result<(), Errno> {
        let result = self.admit(verdict).and_then(|_| {
            self.check_quorum()?;
            match self.find(path) {
                Ok(_) => Err(Errno::EEXIST),
                Err(Errno::ENOENT) => self.add(path, true, mode),
                Err(errno) => Err(errno),
            }
        });
        self.answer_name(now, OpKind::Mkdir, client, path, result.map(|()| 0));
        result
    }

    /// Takes a name away: a file's, or an empty directory's.
    pub fn remove(
        &mut self,
        now: Moment,
        verdict: &Verdict,
        client: ClientId,
        path: &str,
        directory: bool,
    ) -> Result<(), Errno> {
        let kind = if directory {
            OpKind::Rmdir
        } else {
            OpKind::Unlink
        };
        let result = self.admit(verdict).and_then(|_| {
            self.check_quorum()?;
            self.drop_name(path, directory)
        });
        self.answer_name(now, kind, client, path, result.map(|()| 0));
        result
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
        if node.opened.is_empty() && !named {
            self.forget(file);
        }
        Ok(())
    }

    /// One more name for a file.
    pub fn link(
        &mut self,
        now: Moment,
        verdict: &Verdict,
        client: ClientId,
        from: &str,
        to: &str,
    ) -> Result<(), Errno> {
        let result = self.admit(verdict).and_then(|_| self.try_link(from, to));
        self.answer_name(now, OpKind::Link, client, from, result.map(|()| 0));
        result
    }

    fn try_link(&mut self, from: &str, to: &str) -> Result<(), Errno> {
        self.check_quorum()?;
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
    pub fn rename(
        &mut self,
        now: Moment,
        verdict: &Verdict,
        client: ClientId,
        from: &str,
        to: &str,
    ) -> Result<(), Errno> {
        let result = self.admit(verdict).and_then(|_| self.try_rename(from, to));
        self.answer_name(now, OpKind::Rename, client, from, result.map(|()| 0));
        result
    }

    fn try_rename(&mut self, from: &str, to: &str) -> Result<(), Errno> {
        self.check_quorum()?;
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
    pub fn list(&mut self, path: &str) -> Result<Vec<(String, Attributes)>, Errno> {
        self.check_quorum()?;
        if !self.attributes_of(self.find(path)?)?.directory {
            return Err(Errno::ENOTDIR);
        }
        let children = self.children(path).into_iter();
        children
            .map(|(name, file)| Ok((name, self.attributes_of(file)?)))
            .collect()
    }

    /// What a path names.
    pub fn stat(&self, path: &str) -> Result<Attributes, Errno> {
        self.check_quorum()?;
        self.attributes_of(self.find(path)?)
    }

    /// What a client sees of a file, its own cached writes included.
    pub fn stat_handle(&self, handle: Handle) -> Result<Attributes, Errno> {
        self.check_quorum()?;
        self.check_handle(handle)?;
        let mut attributes = self.attributes_of(handle.file)?;
        if let Some(client) = self.clients.get(&handle.client) {
            attributes.size = attributes.size.max(client.end(handle.file));
        }
        Ok(attributes)
    }

    /// The extended attributes of a file.
    pub fn xattrs(&self, file: Ino) -> Result<&BTreeMap<String, Vec<u8>>, Errno> {
        self.check_quorum()?;
        Ok(&self.nodes.get(&file).ok_or(Errno::ENOENT)?.entry.xattrs)
    }

    /// Sets one.
    pub fn set_xattr(
        &mut self,
        file: Ino,
        name: &str,
        value: &[u8],
        mode: XattrMode,
    ) -> Result<(), Errno> {
        if name == GFID {
            return Err(Errno::EPERM);
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
    pub fn remove_xattr(&mut self, file: Ino, name: &str) -> Result<(), Errno> {
        self.check_quorum()?;
        if name == GFID {
            return Err(Errno::EPERM);
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
    pub fn find(&self, path: &str) -> Result<Ino, Errno> {
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
        let brick = self
            .bricks
            .iter()
            .find(|brick| brick.up && !brick.stale.contains(&file));
        let brick = brick.ok_or(Errno::ENOTCONN)?;
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
            opened: BTreeMap::new(),
            named: true,
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

    fn answer_name(
        &mut self,
        now: Moment,
        kind: OpKind,
        client: ClientId,
        path: &str,
        result: Result<u64, Errno>,
    ) {
        let file = self.names.get(path).copied().unwrap_or(Ino(0));
        self.answer(now, kind, client, file, (0, path.len() as u64), &result);
    }
}

/// The number of the root directory, which is no entry of any other.
pub(crate) const ROOT: Ino = Ino(0);
