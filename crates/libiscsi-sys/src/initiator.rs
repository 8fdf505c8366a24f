//! A safe handle on one libiscsi context: what a test says to a target, and what came back.

use std::ffi::{CStr, CString, c_int};

use crate::api::{Api, LoadError};
use crate::types::{
    Context, HeaderDigest, ISCSI_SESSION_DISCOVERY, ISCSI_SESSION_NORMAL, SCSI_STATUS_GOOD,
    ScsiStatus, Task,
};

/// Long enough for a busy machine, short enough that a silent target is a failed test.
const TIMEOUT_SECONDS: c_int = 20;

/// A logical unit number.
pub type Lun = u8;

/// libiscsi said no; the text is its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{verb}: {reason}")]
pub struct Refused {
    /// What was asked of it.
    pub verb: &'static str,
    /// Why it did not happen.
    pub reason: String,
}

/// One answer to SendTargets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFound {
    /// The target's iSCSI name.
    pub name: String,
    /// Its portals, `address:port,group`.
    pub portals: Vec<String>,
}

/// How a SCSI command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// SAM status, or one of libiscsi's own above 0xff.
    pub status: ScsiStatus,
    /// Sense key, additional sense code and qualifier; zero without CHECK CONDITION.
    pub sense: (u8, u8, u8),
    /// Data-In.
    pub data: Vec<u8>,
}

impl Outcome {
    /// The data of a command that ended GOOD; anything else is an error that says what it was.
    pub fn good(self) -> Result<Vec<u8>, Refused> {
        if self.status == SCSI_STATUS_GOOD {
            return Ok(self.data);
        }
        let (key, asc, ascq) = self.sense;
        let reason = format!(
            "status {:#x}, sense {key:x}/{asc:02x}/{ascq:02x}",
            self.status
        );
        Err(Refused {
            verb: "command",
            reason,
        })
    }
}

/// One libiscsi context. Dropping it closes the connection without a logout.
pub struct Initiator {
    pub(crate) api: &'static Api,
    pub(crate) context: *mut Context,
}

impl Initiator {
    /// A new initiator of that name; it does not reconnect by itself and every verb is bounded.
    pub fn new(name: &str) -> Result<Self, LoadError> {
        let api = Api::load()?;
        let name = c_string(name);
        // SAFETY: `name` is a terminated string that libiscsi copies.
        let context = unsafe { (api.iscsi_create_context)(name.as_ptr()) };
        assert!(
            !context.is_null(),
            "iscsi_create_context fails only without memory"
        );
        // SAFETY: `context` was just made and is ours alone.
        unsafe {
            (api.iscsi_set_timeout)(context, TIMEOUT_SECONDS);
            (api.iscsi_set_noautoreconnect)(context, 1);
        }
        Ok(Self { api, context })
    }

    /// Which header digests to offer.
    pub fn header_digest(&mut self, digest: HeaderDigest) -> Result<(), Refused> {
        // SAFETY: `context` lives as long as `self`.
        let answer = unsafe { (self.api.iscsi_set_header_digest)(self.context, digest) };
        self.done("set the header digest", answer)
    }

    /// CHAP: how this initiator proves itself, and, if given, how the target must.
    pub fn chap(
        &mut self,
        ours: (&str, &str),
        theirs: Option<(&str, &str)>,
    ) -> Result<(), Refused> {
        let (user, secret) = (c_string(ours.0), c_string(ours.1));
        // SAFETY: both strings are terminated and copied by libiscsi.
        let answer = unsafe {
            (self.api.iscsi_set_initiator_username_pwd)(
                self.context,
                user.as_ptr(),
                secret.as_ptr(),
            )
        };
        self.done("set CHAP", answer)?;
        let Some(theirs) = theirs else { return Ok(()) };
        let (user, secret) = (c_string(theirs.0), c_string(theirs.1));
        // SAFETY: both strings are terminated and copied by libiscsi.
        let answer = unsafe {
            (self.api.iscsi_set_target_username_pwd)(self.context, user.as_ptr(), secret.as_ptr())
        };
        self.done("set mutual CHAP", answer)
    }

    /// A discovery session, SendTargets=All, and a logout.
    pub fn discover(&mut self, portal: &str) -> Result<Vec<TargetFound>, Refused> {
        self.session_type(ISCSI_SESSION_DISCOVERY)?;
        self.connect(portal)?;
        // SAFETY: `context` lives as long as `self`.
        let answer = unsafe { (self.api.iscsi_login_sync)(self.context) };
        self.done("discovery login", answer)?;
        // SAFETY: as above; the list is read before it is freed, and freed once.
        let list = unsafe { (self.api.iscsi_discovery_sync)(self.context) };
        if list.is_null() {
            return Err(self.refused("SendTargets"));
        }
        let mut found = Vec::new();
        let mut target = list;
        // SAFETY: libiscsi's lists end in null and their strings are terminated.
        while let Some(entry) = unsafe { target.as_ref() } {
            let mut portals = Vec::new();
            let mut portal = entry.portals;
            // SAFETY: as above.
            while let Some(entry) = unsafe { portal.as_ref() } {
                // SAFETY: as above.
                portals.push(unsafe { text(entry.portal) });
                portal = entry.next;
            }
            // SAFETY: as above.
            let name = unsafe { text(entry.target_name) };
            found.push(TargetFound { name, portals });
            target = entry.next;
        }
        // SAFETY: `list` came from this context and nothing points into it any more.
        unsafe { (self.api.iscsi_free_discovery_data)(self.context, list) };
        found.reverse(); // libiscsi puts each new answer in front
        self.logout()?;
        Ok(found)
    }

    /// Connects, logs in to `target` and waits until `lun` is ready (libiscsi consumes the unit
    /// attentions of a new nexus here).
    pub fn login(&mut self, portal: &str, target: &str, lun: Lun) -> Result<(), Refused> {
        self.session_type(ISCSI_SESSION_NORMAL)?;
        let (portal, target) = (c_string(portal), c_string(target));
        // SAFETY: terminated strings, copied by libiscsi.
        let answer = unsafe { (self.api.iscsi_set_targetname)(self.context, target.as_ptr()) };
        self.done("set the target name", answer)?;
        // SAFETY: as above.
        let answer = unsafe {
            (self.api.iscsi_full_connect_sync)(self.context, portal.as_ptr(), c_int::from(lun))
        };
        self.done("login", answer)
    }

    /// Logs out.
    pub fn logout(&mut self) -> Result<(), Refused> {
        // SAFETY: `context` lives as long as `self`.
        let answer = unsafe { (self.api.iscsi_logout_sync)(self.context) };
        self.done("logout", answer)
    }

    /// TEST UNIT READY.
    pub fn test_unit_ready(&mut self, lun: Lun) -> Result<Outcome, Refused> {
        // SAFETY: `context` lives as long as `self`; the task is taken over by `outcome`.
        let task = unsafe { (self.api.iscsi_testunitready_sync)(self.context, lun.into()) };
        self.outcome("TEST UNIT READY", task)
    }

    /// INQUIRY: standard data, or a vital product data page.
    pub fn inquiry(&mut self, lun: Lun, page: Option<u8>) -> Result<Outcome, Refused> {
        let (evpd, page) = page.map_or((0, 0), |page| (1, page.into()));
        // SAFETY: as in `test_unit_ready`.
        let task =
            unsafe { (self.api.iscsi_inquiry_sync)(self.context, lun.into(), evpd, page, 255) };
        self.outcome("INQUIRY", task)
    }

    /// READ CAPACITY(16).
    pub fn read_capacity_16(&mut self, lun: Lun) -> Result<Outcome, Refused> {
        // SAFETY: as in `test_unit_ready`.
        let task = unsafe { (self.api.iscsi_readcapacity16_sync)(self.context, lun.into()) };
        self.outcome("READ CAPACITY(16)", task)
    }

    /// READ(10) of `bytes` bytes.
    pub fn read_10(
        &mut self,
        lun: Lun,
        lba: u32,
        bytes: u32,
        block: u16,
    ) -> Result<Outcome, Refused> {
        let block = c_int::from(block);
        // SAFETY: as in `test_unit_ready`.
        let task = unsafe {
            (self.api.iscsi_read10_sync)(self.context, lun.into(), lba, bytes, block, 0, 0, 0, 0, 0)
        };
        self.outcome("READ(10)", task)
    }

    /// READ(16) of `bytes` bytes.
    pub fn read_16(
        &mut self,
        lun: Lun,
        lba: u64,
        bytes: u32,
        block: u16,
    ) -> Result<Outcome, Refused> {
        let block = c_int::from(block);
        // SAFETY: as in `test_unit_ready`.
        let task = unsafe {
            (self.api.iscsi_read16_sync)(self.context, lun.into(), lba, bytes, block, 0, 0, 0, 0, 0)
        };
        self.outcome("READ(16)", task)
    }

    /// WRITE(10) of all of `data`.
    pub fn write_10(
        &mut self,
        lun: Lun,
        lba: u32,
        data: &[u8],
        block: u16,
    ) -> Result<Outcome, Refused> {
        let mut copy = data.to_vec();
        let bytes = length(data);
        // SAFETY: as in `test_unit_ready`; `copy` outlives the call, which is over when it returns.
        let task = unsafe {
            (self.api.iscsi_write10_sync)(
                self.context,
                lun.into(),
                lba,
                copy.as_mut_ptr(),
                bytes,
                block.into(),
                0,
                0,
                0,
                0,
                0,
            )
        };
        self.outcome("WRITE(10)", task)
    }

    /// WRITE(16) of all of `data`.
    pub fn write_16(
        &mut self,
        lun: Lun,
        lba: u64,
        data: &[u8],
        block: u16,
    ) -> Result<Outcome, Refused> {
        let mut copy = data.to_vec();
        let bytes = length(data);
        // SAFETY: as in `write_10`.
        let task = unsafe {
            (self.api.iscsi_write16_sync)(
                self.context,
                lun.into(),
                lba,
                copy.as_mut_ptr(),
                bytes,
                block.into(),
                0,
                0,
                0,
                0,
                0,
            )
        };
        self.outcome("WRITE(16)", task)
    }

    /// SYNCHRONIZE CACHE(10) of the whole unit.
    pub fn synchronize_cache(&mut self, lun: Lun) -> Result<Outcome, Refused> {
        // SAFETY: as in `test_unit_ready`.
        let task = unsafe {
            (self.api.iscsi_synchronizecache10_sync)(self.context, lun.into(), 0, 0, 0, 0)
        };
        self.outcome("SYNCHRONIZE CACHE(10)", task)
    }

    /// LOGICAL UNIT RESET; `Ok` means "function complete".
    pub fn lun_reset(&mut self, lun: Lun) -> Result<(), Refused> {
        // SAFETY: `context` lives as long as `self`.
        let answer = unsafe { (self.api.iscsi_task_mgmt_lun_reset_sync)(self.context, lun.into()) };
        self.done("LOGICAL UNIT RESET", answer)
    }

    /// ABORT TASK SET; `Ok` means "function complete".
    pub fn abort_task_set(&mut self, lun: Lun) -> Result<(), Refused> {
        // SAFETY: `context` lives as long as `self`.
        let answer =
            unsafe { (self.api.iscsi_task_mgmt_abort_task_set_sync)(self.context, lun.into()) };
        self.done("ABORT TASK SET", answer)
    }

    fn session_type(&mut self, session_type: u32) -> Result<(), Refused> {
        // SAFETY: `context` lives as long as `self`.
        let answer = unsafe { (self.api.iscsi_set_session_type)(self.context, session_type) };
        self.done("set the session type", answer)
    }

    fn connect(&mut self, portal: &str) -> Result<(), Refused> {
        let portal = c_string(portal);
        // SAFETY: a terminated string, copied by libiscsi.
        let answer = unsafe { (self.api.iscsi_connect_sync)(self.context, portal.as_ptr()) };
        self.done("connect", answer)
    }

    /// Copies what a finished task says and frees it.
    fn outcome(&self, verb: &'static str, task: *mut Task) -> Result<Outcome, Refused> {
        // SAFETY: a task a sync call returned is finished, ours, and laid out as `Task` begins.
        let Some(finished) = (unsafe { task.as_ref() }) else {
            return Err(self.refused(verb));
        };
        let (size, bytes) = (finished.datain.size, finished.datain.data);
        let data = match usize::try_from(size) {
            Ok(size) if !bytes.is_null() => {
                // SAFETY: libiscsi gathered `size` bytes there; they live until the task is freed.
                unsafe { std::slice::from_raw_parts(bytes, size) }.to_vec()
            }
            _ => Vec::new(),
        };
        let [.., asc, ascq] = finished.sense.ascq.to_be_bytes();
        let [.., key] = finished.sense.key.to_be_bytes();
        let outcome = Outcome {
            status: finished.status,
            sense: (key, asc, ascq),
            data,
        };
        // SAFETY: the task is ours, finished, and nothing points into it any more.
        unsafe { (self.api.scsi_free_scsi_task)(task) };
        Ok(outcome)
    }

    fn done(&self, verb: &'static str, answer: c_int) -> Result<(), Refused> {
        if answer == 0 {
            Ok(())
        } else {
            Err(self.refused(verb))
        }
    }

    pub(crate) fn refused(&self, verb: &'static str) -> Refused {
        // SAFETY: the error text belongs to the context and is terminated; it is copied here.
        let reason = unsafe { text((self.api.iscsi_get_error)(self.context)) };
        Refused {
            verb,
            reason: reason.trim_end().to_owned(),
        }
    }
}

impl Drop for Initiator {
    fn drop(&mut self) {
        // SAFETY: the context is ours, and this is the last use of it.
        unsafe { (self.api.iscsi_destroy_context)(self.context) };
    }
}

fn c_string(text: &str) -> CString {
    CString::new(text).expect("names, addresses and secrets hold no NUL")
}

fn length(data: &[u8]) -> u32 {
    u32::try_from(data.len()).expect("one command moves less than 4 GiB")
}

/// # Safety
/// `text` is null or a terminated string.
unsafe fn text(text: *const std::ffi::c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}
