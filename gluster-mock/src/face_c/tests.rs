//! The face as a program sees it, with a folder of its own for every test.

use std::ffi::{CStr, CString, c_char};
use std::fs;
use std::path::Path;

use glfs_sys::types::{Glfs, GlfsFd};
use tempfile::TempDir;

use super::data::*;
use super::lifecycle::*;
use super::names::*;
use super::xattr::*;
use crate::errno::Errno;

fn cluster(settings: &str, plan: &str) -> TempDir {
    let cluster = tempfile::tempdir().expect("a folder");
    let volume = cluster.path().join("vol");
    fs::create_dir(&volume).expect("a volume");
    fs::write(volume.join("settings"), settings).expect("settings");
    fs::write(volume.join("plan"), plan).expect("a plan");
    cluster
}

fn c(text: &str) -> CString {
    CString::new(text).expect("no zero in it")
}

fn last() -> Errno {
    Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
}

/// Mounts with write-behind passed through, as glintd does.
fn mount(cluster: &Path) -> *mut Glfs {
    let fs = glfs_new(c("vol").as_ptr());
    let server = c(cluster.to_str().expect("a name"));
    assert_eq!(
        glfs_set_volfile_server(fs, c("unix").as_ptr(), server.as_ptr(), 0),
        0
    );
    let option = ["*-write-behind", "pass-through", "true"].map(c);
    let [xlator, key, value] = option.each_ref().map(|text| text.as_ptr());
    assert_eq!(glfs_set_xlator_option(fs, xlator, key, value), 0);
    assert_eq!(glfs_init(fs), 0, "{}", last());
    fs
}

fn write(fd: *mut GlfsFd, at: i64, bytes: &[u8]) -> isize {
    let none = std::ptr::null_mut();
    glfs_pwrite(fd, bytes.as_ptr().cast(), bytes.len(), at, 0, none, none)
}

fn read(fd: *mut GlfsFd, at: i64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0xAA; len];
    let done = glfs_pread(
        fd,
        bytes.as_mut_ptr().cast(),
        len,
        at,
        0,
        std::ptr::null_mut(),
    );
    assert!(done >= 0, "{}", last());
    bytes.truncate(done as usize);
    bytes
}

fn sync(fd: *mut GlfsFd) -> i32 {
    glfs_fdatasync(fd, std::ptr::null_mut(), std::ptr::null_mut())
}

fn creat(fs: *mut Glfs, path: &str) -> *mut GlfsFd {
    let fd = glfs_creat(fs, c(path).as_ptr(), libc::O_RDWR | libc::O_EXCL, 0o600);
    assert!(!fd.is_null(), "{}", last());
    fd
}

#[test]
fn what_is_synced_is_in_the_folder_and_what_is_not_may_be_lost() {
    let cluster = cluster("lost = 100\ntorn = 0", "");
    let fs = mount(cluster.path());
    let fd = creat(fs, "/disk.img");
    assert_eq!(write(fd, 0, &[1; 4096]), 4096);
    assert_eq!(sync(fd), 0);
    assert_eq!(write(fd, 0, &[2; 4096]), 4096);
    assert_eq!(write(fd, 4096, &[3; 512]), 512);
    assert_eq!(read(fd, 0, 8192).len(), 4608);
    let stable = fs::read(cluster.path().join("vol/bricks/0/disk.img")).expect("the brick's file");
    assert_eq!(stable, [1; 4096]);
    assert_eq!(sync(fd), 0);
    let stable = fs::read(cluster.path().join("vol/bricks/0/disk.img")).expect("the brick's file");
    assert_eq!(stable, [vec![2; 4096], vec![3; 512]].concat());
    assert_eq!((glfs_close(fd), glfs_fini(fs)), (0, 0));
}

#[test]
fn bricks_outlive_an_orderly_client() {
    let cluster = cluster("lost = 100\ntorn = 0", "");
    let fs = mount(cluster.path());
    let fd = creat(fs, "/disk.img");
    assert_eq!(write(fd, 0, &[2; 4096]), 4096);
    let stable = cluster.path().join("vol/bricks/0/disk.img");
    assert_eq!(fs::read(&stable).expect("the brick's file"), []);
    assert_eq!((glfs_close(fd), glfs_fini(fs)), (0, 0));
    assert_eq!(fs::read(&stable).expect("the brick's file"), [2; 4096]);
}

#[test]
fn a_second_life_finds_names_bytes_and_attributes() {
    let cluster = cluster("", "");
    let fs = mount(cluster.path());
    assert_eq!(glfs_mkdir(fs, c("/.glint").as_ptr(), 0o700), 0);
    let fd = creat(fs, "/.glint/id");
    assert_eq!(write(fd, 0, b"epoch 7"), 7);
    assert_eq!(sync(fd), 0);
    let (name, value) = (c("user.glint"), b"seven");
    let set = |flags| glfs_fsetxattr(fd, name.as_ptr(), value.as_ptr().cast(), 5, flags);
    assert_eq!(set(libc::XATTR_CREATE), 0);
    assert_eq!((set(libc::XATTR_CREATE), last()), (-1, Errno::EEXIST));
    assert_eq!((glfs_close(fd), glfs_fini(fs)), (0, 0));

    let fs = mount(cluster.path());
    let fd = glfs_open(fs, c("//.glint/./id").as_ptr(), libc::O_RDONLY);
    assert_eq!(read(fd, 0, 100), b"epoch 7");
    let mut held = [0_u8; 5];
    assert_eq!(
        glfs_fgetxattr(fd, name.as_ptr(), held.as_mut_ptr().cast(), 5),
        5
    );
    assert_eq!(&held, value);
    assert_eq!((write(fd, 0, b"x"), last()), (-1, Errno::EBADF));
    assert_eq!((glfs_close(fd), glfs_fini(fs)), (0, 0));
}

#[test]
fn init_says_what_is_wrong() {
    let cluster = cluster("", "init 10.0.0.1 errno=ENOTCONN");
    let init = |volume: &str, servers: &[&str]| {
        let fs = glfs_new(c(volume).as_ptr());
        for server in servers {
            assert_eq!(
                glfs_set_volfile_server(fs, std::ptr::null(), c(server).as_ptr(), 0),
                0
            );
        }
        let answer = (glfs_init(fs) == 0).then_some(()).ok_or_else(last);
        glfs_fini(fs);
        answer
    };
    let here = cluster.path().to_str().expect("a name");
    assert_eq!(init("vol", &[here]), Ok(()));
    assert_eq!(init("other", &[here]), Err(Errno::ENOENT));
    assert_eq!(init("vol", &["/nowhere"]), Err(Errno::ENOTCONN));
    assert_eq!(
        init("vol", &["/nowhere", here]),
        Ok(()),
        "the next server is tried"
    );
    assert_eq!(init("vol", &[]), Err(Errno::EINVAL));
}

#[test]
fn faults_follow_the_plan_while_it_changes() {
    let cluster = cluster("", "write /a nth=2 errno=ENOSPC\nwrite /a nth=3 short=512");
    let fs = mount(cluster.path());
    let fd = creat(fs, "/a");
    assert_eq!(write(fd, 0, &[1; 4096]), 4096);
    assert_eq!((write(fd, 0, &[1; 4096]), last()), (-1, Errno::ENOSPC));
    assert_eq!(write(fd, 0, &[1; 4096]), 512);
    let plan = cluster.path().join("vol/plan");
    fs::write(&plan, "read * hang\nfsync * nth=1 lose").expect("a plan");
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(write(fd, 0, &[2; 4096]), 4096);
    assert_eq!((sync(fd), last()), (-1, Errno::EIO));
    assert_eq!(sync(fd), 0, "a lost fsync is told once");
    let number = fd.addr();
    let (told, heard) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let bytes = read(std::ptr::without_provenance_mut(number), 0, 512);
        told.send(()).expect("somebody hears");
        bytes
    });
    let pause = std::time::Duration::from_millis(100);
    assert!(heard.recv_timeout(pause).is_err(), "the read should hang");
    fs::write(&plan, "# healed").expect("a plan");
    reader
        .join()
        .expect("the read returns when the rule is gone");
    assert_eq!((glfs_close(fd), glfs_fini(fs)), (0, 0));
}

#[test]
fn stale_handles_are_refused() {
    let cluster = cluster("", "");
    let fs = mount(cluster.path());
    let fd = creat(fs, "/a");
    assert_eq!(glfs_close(fd), 0);
    assert_eq!((glfs_close(fd), last()), (-1, Errno::EBADF));
    let fd = creat(fs, "/b");
    assert_eq!(glfs_fini(fs), 0);
    assert_eq!((write(fd, 0, b"x"), last()), (-1, Errno::EBADF));
    assert_eq!((glfs_fini(fs), last()), (-1, Errno::EINVAL));
    assert!(glfs_open(std::ptr::null_mut(), c("/a").as_ptr(), 0).is_null());
}

#[test]
fn directories_are_read_to_their_end() {
    use super::directory::*;
    let cluster = cluster("", "");
    let fs = mount(cluster.path());
    for path in ["/b", "/a"] {
        assert_eq!(glfs_close(creat(fs, path)), 0);
    }
    assert_eq!(glfs_mkdir(fs, c("/c").as_ptr(), 0o755), 0);
    assert_eq!(glfs_close(creat(fs, "/c/inner")), 0);
    let root = glfs_opendir(fs, c("/").as_ptr());
    assert!(!root.is_null(), "{}", last());
    let mut names = Vec::new();
    loop {
        let entry = glfs_readdir(root);
        if entry.is_null() {
            break;
        }
        // SAFETY: valid until the next glfs_readdir, and the name ends within its field.
        let name = unsafe { CStr::from_ptr((&raw const (*entry).d_name).cast::<c_char>()) };
        names.push(name.to_str().expect("text").to_owned());
    }
    assert_eq!(names, [".", "..", "a", "b", "c"]);
    assert_eq!(glfs_closedir(root), 0);
    assert_eq!(
        (glfs_rmdir(fs, c("/c").as_ptr()), last()),
        (-1, Errno::ENOTEMPTY)
    );
    assert_eq!(glfs_fini(fs), 0);
}

fn number(fs: *mut Glfs, path: &str) -> (u64, u64) {
    // SAFETY: plain numbers, for all of which zero is a value.
    let mut found: libc::stat = unsafe { std::mem::zeroed() };
    assert_eq!(
        glfs_stat(fs, c(path).as_ptr(), &raw mut found),
        0,
        "{path}: {}",
        last()
    );
    (found.st_ino, found.st_nlink)
}

/// What a file is lasts for as long as the file, whatever it is called; a copy is another.
#[test]
fn a_file_keeps_its_number_and_a_copy_gets_its_own() {
    let cluster = cluster("", "");
    let fs = mount(cluster.path());
    for path in ["/b", "/c"] {
        assert_eq!(glfs_close(creat(fs, path)), 0);
    }
    let (b, c_number) = (number(fs, "/b").0, number(fs, "/c").0);
    assert_ne!(b, c_number);
    assert_eq!(glfs_rename(fs, c("/b").as_ptr(), c("/z").as_ptr()), 0);
    assert_eq!(number(fs, "/z").0, b);
    assert_eq!(glfs_fini(fs), 0);
    // From outside, onto the first brick, and before the others in the alphabet.
    let brick = cluster.path().join("vol/bricks/0");
    fs::copy(brick.join("z"), brick.join("a")).expect("copied");
    let fs = mount(cluster.path());
    assert_eq!((number(fs, "/z").0, number(fs, "/c").0), (b, c_number));
    let copy = number(fs, "/a").0;
    assert!(copy != b && copy != c_number);
    assert_eq!(glfs_fini(fs), 0);
    let fs = mount(cluster.path());
    assert_eq!(number(fs, "/a").0, copy);
    // One that is removed is not followed by another of its number.
    assert_eq!(glfs_unlink(fs, c("/a").as_ptr()), 0);
    assert_eq!(glfs_close(creat(fs, "/a")), 0);
    assert_ne!(number(fs, "/a").0, copy);
    let gfid = glfs_getxattr(
        fs,
        c("/a").as_ptr(),
        c("trusted.gfid").as_ptr(),
        std::ptr::null_mut(),
        0,
    );
    assert_eq!((gfid, last()), (-1, Errno::ENODATA));
    assert_eq!(glfs_fini(fs), 0);
}

/// A name is given once, and the file is there until its last name goes, also over a restart.
#[test]
fn a_file_of_two_names_is_one_file() {
    let cluster = cluster("", "");
    let fs = mount(cluster.path());
    let fd = creat(fs, "/one");
    assert_eq!(write(fd, 0, b"both"), 4);
    assert_eq!(sync(fd), 0);
    let link = |fs, from: &str, to: &str| glfs_link(fs, c(from).as_ptr(), c(to).as_ptr());
    assert_eq!(link(fs, "/one", "/two"), 0);
    assert_eq!((link(fs, "/one", "/two"), last()), (-1, Errno::EEXIST));
    assert_eq!((link(fs, "/none", "/three"), last()), (-1, Errno::ENOENT));
    assert_eq!((link(fs, "/one", "/no/two"), last()), (-1, Errno::ENOENT));
    assert_eq!(number(fs, "/one"), number(fs, "/two"));
    assert_eq!(number(fs, "/one").1, 2);
    let before = number(fs, "/one").0;
    assert_eq!((glfs_close(fd), glfs_fini(fs)), (0, 0));
    let fs = mount(cluster.path());
    assert_eq!(
        (number(fs, "/one"), number(fs, "/two")),
        ((before, 2), (before, 2))
    );
    assert_eq!(glfs_unlink(fs, c("/one").as_ptr()), 0);
    assert_eq!(number(fs, "/two"), (before, 1));
    let fd = glfs_open(fs, c("/two").as_ptr(), libc::O_RDWR);
    assert_eq!(read(fd, 0, 4), b"both");
    assert_eq!((glfs_close(fd), glfs_fini(fs)), (0, 0));
}
