//! From `glfs_new` to `glfs_fini`.

use std::ffi::{c_char, c_int, c_void};
use std::hash::Hasher;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use glfs_sys::types::Glfs;

use crate::call::{Call, ClientId, Reply};
use crate::client::Client;
use crate::errno::Errno;

use super::boundary::{bytes_mut, guard, text};
use super::door;
use super::mount::{self, Live, Mount, Setup};

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_new(volume: *const c_char) -> *mut Glfs {
    guard(|| {
        Ok(mount::add_mount(Mount {
            volume: text(volume)?.trim_start_matches('/').to_owned(),
            setup: Mutex::default(),
            live: Mutex::default(),
        }))
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_set_volfile_server(
    fs: *mut Glfs,
    _transport: *const c_char,
    host: *const c_char,
    port: c_int,
) -> c_int {
    guard(|| {
        let server = (text(host)?, port);
        with_setup(fs, |setup| setup.servers.push(server))
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_unset_volfile_server(
    fs: *mut Glfs,
    _transport: *const c_char,
    host: *const c_char,
    _port: c_int,
) -> c_int {
    guard(|| {
        let host = text(host)?;
        with_setup(fs, |setup| {
            setup.servers.retain(|(server, _)| *server != host)
        })
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_set_volfile(_fs: *mut Glfs, _volfile: *const c_char) -> c_int {
    guard(|| Err(Errno::EOPNOTSUPP))
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_set_logging(
    fs: *mut Glfs,
    _file: *const c_char,
    _level: c_int,
) -> c_int {
    guard(|| mount::mount(fs).map(|_| 0))
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_set_statedump_path(fs: *mut Glfs, _path: *const c_char) -> c_int {
    guard(|| mount::mount(fs).map(|_| 0))
}

/// As the real one: without room enough it tells the length as a negative number, and else how much
/// room there was.
#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_get_volfile(
    fs: *mut Glfs,
    buffer: *mut c_void,
    size: usize,
) -> isize {
    guard(|| {
        let mount = mount::mount(fs)?;
        let text = mount.live()?.door.describe()?;
        if size < text.len() {
            return Ok(-(text.len() as isize));
        }
        bytes_mut(buffer, text.len())?.copy_from_slice(text.as_bytes());
        Ok(size as isize)
    })
}

/// Takes any option, as Gluster does; after `glfs_init` it comes too late.
#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_set_xlator_option(
    fs: *mut Glfs,
    xlator: *const c_char,
    key: *const c_char,
    value: *const c_char,
) -> c_int {
    guard(|| {
        let option = [text(xlator)?, text(key)?, text(value)?];
        with_setup(fs, |setup| setup.options.push(option))
    })
}

fn with_setup(fs: *mut Glfs, change: impl FnOnce(&mut Setup)) -> Result<c_int, Errno> {
    let mount = mount::mount(fs)?;
    change(&mut *mount.setup.lock().map_err(|_| Errno::EIO)?);
    Ok(0)
}

/// Tries the servers in turn; the answer of the last is the answer.
#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_init(fs: *mut Glfs) -> c_int {
    guard(|| {
        let mount = mount::mount(fs)?;
        let setup = mount.setup.lock().map_err(|_| Errno::EIO)?;
        let mut answer = Err(Errno::EINVAL);
        for (index, (server, port)) in setup.servers.iter().enumerate() {
            if index > 0 {
                thread::sleep(NEXT_SERVER);
            }
            answer = match server.starts_with('/') && !PORTS.contains(port) {
                true => Err(Errno::ENOTCONN),
                false => connect(server, &mount.volume, &setup.options),
            };
            // Only a server that does not answer makes the next one worth a try.
            if answer.as_ref().err() != Some(&Errno::ENOTCONN) {
                break;
            }
        }
        *mount.live.lock().map_err(|_| Errno::EIO)? = Some(answer?);
        Ok(0)
    })
}

/// Where a cluster in a folder is found: at the port that is meant when none is said, and at
/// glusterd's.
const PORTS: [c_int; 2] = [0, 24007];

/// From a server that is not there to the next one (rpc-transport's reconnect timer).
const NEXT_SERVER: Duration = Duration::from_secs(3);

fn connect(server: &str, volume: &str, options: &[[String; 3]]) -> Result<Live, Errno> {
    let door = door::find(server, volume)?;
    let options = options.to_vec();
    let mut client = Client::default();
    for [xlator, key, value] in &options {
        client.set_option(xlator, key, value);
    }
    // Nobody yet: the number is in the answer.
    let Reply::Client(number) = door.call(ClientId(0), Call::Init { options })? else {
        return Err(Errno::EIO);
    };
    let graph = door.describe()?;
    let has = |translator| graph.contains(&format!("type {translator}\n"));
    let caches = has("performance/write-behind") && !client.pass_through;
    Ok(Live {
        door,
        client: number,
        tells_stat: !caches && !has("features/shard"),
    })
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_fini(fs: *mut Glfs) -> c_int {
    guard(|| {
        let mount = mount::remove_mount(fs)?;
        let live = mount.live.lock().map_err(|_| Errno::EIO)?.take();
        if let Some(live) = live {
            live.door.leave(live.client)?;
        }
        Ok(0)
    })
}

/// Sixteen bytes that are the same whenever this volume is opened.
#[unsafe(no_mangle)]
pub(super) extern "C" fn glfs_get_volumeid(fs: *mut Glfs, id: *mut c_char, size: usize) -> c_int {
    guard(|| {
        let mount = mount::mount(fs)?;
        mount.live()?;
        if id.is_null() || size == 0 {
            return Ok(16);
        }
        if size < 16 {
            return Err(Errno::ERANGE);
        }
        let place = bytes_mut(id.cast(), 16)?;
        for (half, place) in place.chunks_mut(8).enumerate() {
            let mut hasher = Fnv(0xcbf2_9ce4_8422_2325 ^ half as u64);
            hasher.write(mount.volume.as_bytes());
            place.copy_from_slice(&hasher.finish().to_be_bytes());
        }
        Ok(16)
    })
}

/// FNV-1a, the same in every build.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
