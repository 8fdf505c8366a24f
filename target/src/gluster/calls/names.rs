//! What a volume is asked by path: who it is, what is there, names given and taken.

use std::ffi::{CStr, CString};
use std::io;
use std::ptr::{self, NonNull};

use glfs_sys::types::{Dirent, GlfsFd};

use super::{Found, Fs, blank_stat, check, count};

/// Permissions of a folder we make: nobody but the owner.
const FOLDER_MODE: u32 = 0o700;

impl Fs {
    /// The volume's identifier, the same from every server and for good.
    pub(in crate::gluster) fn id(&self) -> io::Result<[u8; 16]> {
        let mut id = [0_u8; 16];
        // SAFETY: the glfs_t lives and is connected; the library writes no more than it is told.
        let told = unsafe {
            (self.api.glfs_get_volumeid)(self.raw.as_ptr(), id.as_mut_ptr().cast(), id.len())
        };
        match count(told as isize)? {
            16 => Ok(id),
            told => Err(io::Error::other(format!("an identifier of {told} bytes"))),
        }
    }

    /// What has this name, itself and not what a link points to.
    pub(in crate::gluster) fn look(&self, path: &CStr) -> io::Result<Found> {
        let mut stat = blank_stat();
        // SAFETY: the glfs_t lives and is connected; the path is a C string that is not kept; the
        // library writes one struct stat.
        check(unsafe { (self.api.glfs_lstat)(self.raw.as_ptr(), path.as_ptr(), &raw mut stat) })?;
        Ok(Found::from_stat(&stat))
    }

    /// The names in a folder, in order, without `.` and `..`.
    pub(in crate::gluster) fn list(&self, path: &CStr) -> io::Result<Vec<CString>> {
        let folder = Folder::open(self, path)?;
        let mut names = Vec::new();
        while let Some(name) = folder.next()? {
            if ![c".", c".."].contains(&&*name) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Makes a folder, where nothing has its name.
    pub(in crate::gluster) fn make_folder(&self, path: &CStr) -> io::Result<()> {
        // SAFETY: the glfs_t lives and is connected; the path is a C string that is not kept.
        check(unsafe { (self.api.glfs_mkdir)(self.raw.as_ptr(), path.as_ptr(), FOLDER_MODE) })
    }

    /// Gives a file one more name, where nothing has that name: at once and for all clients.
    pub(in crate::gluster) fn link(&self, from: &CStr, to: &CStr) -> io::Result<()> {
        // SAFETY: the glfs_t lives and is connected; both are C strings that are not kept.
        check(unsafe { (self.api.glfs_link)(self.raw.as_ptr(), from.as_ptr(), to.as_ptr()) })
    }

    /// Gives a file another name; a file that had that name is gone.
    pub(in crate::gluster) fn replace(&self, from: &CStr, to: &CStr) -> io::Result<()> {
        // SAFETY: the glfs_t lives and is connected; both are C strings that are not kept.
        check(unsafe { (self.api.glfs_rename)(self.raw.as_ptr(), from.as_ptr(), to.as_ptr()) })
    }

    /// Takes a file's name away, and with its last one the file.
    pub(in crate::gluster) fn remove(&self, path: &CStr) -> io::Result<()> {
        // SAFETY: the glfs_t lives and is connected; the path is a C string that is not kept.
        check(unsafe { (self.api.glfs_unlink)(self.raw.as_ptr(), path.as_ptr()) })
    }
}

/// A folder that is being read.
struct Folder<'a> {
    fs: &'a Fs,
    raw: NonNull<GlfsFd>,
}

impl<'a> Folder<'a> {
    fn open(fs: &'a Fs, path: &CStr) -> io::Result<Self> {
        // SAFETY: the glfs_t lives and is connected; the path is a C string that is not kept.
        let raw = unsafe { (fs.api.glfs_opendir)(fs.raw.as_ptr(), path.as_ptr()) };
        let raw = NonNull::new(raw).ok_or_else(io::Error::last_os_error)?;
        Ok(Self { fs, raw })
    }

    fn next(&self) -> io::Result<Option<CString>> {
        // SAFETY: struct dirent is plain numbers, of which zero is one.
        let mut entry: Dirent = unsafe { std::mem::zeroed() };
        let mut found = ptr::null_mut();
        // SAFETY: the folder is open; the library writes one entry and where it is.
        check(unsafe {
            (self.fs.api.glfs_readdir_r)(self.raw.as_ptr(), &raw mut entry, &raw mut found)
        })?;
        if found.is_null() {
            return Ok(None);
        }
        // SAFETY: the library ends the name with a zero within the entry, which is ours.
        let name = unsafe { CStr::from_ptr(entry.d_name.as_ptr()) };
        Ok(Some(name.to_owned()))
    }
}

impl Drop for Folder<'_> {
    fn drop(&mut self) {
        // SAFETY: the folder is open and nobody else has it.
        if let Err(why) = check(unsafe { (self.fs.api.glfs_closedir)(self.raw.as_ptr()) }) {
            tracing::debug!("glfs_closedir: {why}");
        }
    }
}
