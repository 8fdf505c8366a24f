//! The volumes this process is connected to: each once, however many images of it are served.

use std::ffi::{CStr, CString};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use glfs_sys::Api;

use super::calls::Fs;
use super::doctor::{self, Finding};
use super::volfile::{self, Nature};
use super::{GlusterError, Place, VolfileServer};

/// How long a volume nobody uses stays connected: connecting and leaving take seconds, and the
/// next configuration probably wants it again. At the end of the process this never runs out:
/// leaving would take ten seconds and make nothing safer than closed images already are.
const LINGER: Duration = Duration::from_secs(30);

/// The client's own caches. Write-behind answers writes that no brick has seen, also when fenced, and
/// forgets them after it has failed one fsync; the others answer reads with what another client has
/// written over (seen with io-cache: 18 of 20). Passed through, every answer is the bricks' own.
const PASSED_THROUGH: [&CStr; 7] = [
    c"*-write-behind",
    c"*-io-cache",
    c"*-read-ahead",
    c"*-quick-read",
    c"*-open-behind",
    c"*-md-cache",
    c"*-nl-cache",
];

/// Replication notes on the bricks which of them was away for a write; by default it takes a second
/// after the last one for that. Bricks that die, or come back, before the note can make an answer a
/// lie: docs/decisions/009-blame-at-once.md.
const BLAME_DELAY: (&CStr, &CStr, &CStr) = (c"*-replicate-*", c"post-op-delay-secs", c"0");

/// A connected volume and how it was reached.
struct Connected {
    servers: Vec<VolfileServer>,
    volume: String,
    fs: Weak<Fs>,
}

static CONNECTED: Mutex<Vec<Connected>> = Mutex::new(Vec::new());

/// The volume of `place`, connected. Blocks, without end where a server hangs.
pub(super) fn open(place: &Place) -> Result<Arc<Fs>, GlusterError> {
    if let Some(fs) = find(place) {
        return Ok(fs);
    }
    // Images are opened one after the other. Were they not, the worst is a second connection.
    let (fs, findings) = connect(place)?;
    let fs = Arc::new(fs);
    if let Some(refusal) = doctor::refusal(place, &findings) {
        // Left now, the volume would hold up the refusal for ten seconds.
        leave(fs);
        return Err(refusal);
    }
    for finding in findings {
        tracing::warn!("{finding}");
    }
    let mut connected = CONNECTED.lock().unwrap_or_else(PoisonError::into_inner);
    connected.retain(|each| each.fs.strong_count() > 0);
    connected.push(Connected {
        servers: place.servers.clone(),
        volume: place.volume.clone(),
        fs: Arc::downgrade(&fs),
    });
    Ok(fs)
}

/// Gives a volume up: it is left for good if nobody asks for it in a while.
pub(super) fn leave(fs: Arc<Fs>) {
    let lingering = std::thread::Builder::new()
        .name("glintd-linger".to_owned())
        .spawn(move || {
            std::thread::sleep(LINGER);
            drop(fs);
        });
    if let Err(why) = lingering {
        tracing::warn!("no thread to leave a volume with, so it is left at once: {why}");
    }
}

fn find(place: &Place) -> Option<Arc<Fs>> {
    let connected = CONNECTED.lock().unwrap_or_else(PoisonError::into_inner);
    let same = |each: &&Connected| each.servers == place.servers && each.volume == place.volume;
    connected.iter().find(same)?.fs.upgrade()
}

/// The volume of `place`, whatever there is to say about it.
pub(super) fn connect(place: &Place) -> Result<(Fs, Vec<Finding>), GlusterError> {
    let api = Api::load()?;
    let failed = |why| GlusterError::io(place, "libgfapi takes no such volume", why);
    let mut fs = Fs::new(api, &text(&place.volume, place)?).map_err(failed)?;
    for server in &place.servers {
        fs.add_server(&text(&server.host, place)?, server.port)
            .map_err(failed)?;
    }
    for translator in PASSED_THROUGH {
        fs.set_option(translator, c"pass-through", c"true")
            .map_err(failed)?;
    }
    // A brick that has yet to open a file again refuses a write to it, and is healed; otherwise it
    // would take it through a handle of its own, without O_DSYNC.
    fs.set_option(c"*-client-*", c"strict-locks", c"on")
        .map_err(failed)?;
    let (translator, key, value) = BLAME_DELAY;
    fs.set_option(translator, key, value).map_err(failed)?;
    fs.connect()
        .map_err(|why| GlusterError::connect(place, why))?;
    let description = fs
        .volfile()
        .map_err(|why| GlusterError::io(place, "its options are not to be had", why))?;
    let translators = volfile::parse(&description);
    let client = doctor::client_version();
    fs.nature = Nature::of(&translators, client);
    let findings = doctor::findings(&place.volume, &translators, client);
    Ok((fs, findings))
}

fn text(text: &str, place: &Place) -> Result<CString, GlusterError> {
    CString::new(text).map_err(|why| GlusterError::io(place, "a zero byte in it", why.into()))
}
