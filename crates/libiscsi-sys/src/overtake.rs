//! A LOGICAL UNIT RESET on the heels of a write: both are on their way before either is answered.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::thread;
use std::time::{Duration, Instant};

use crate::initiator::{Initiator, Lun, Refused};
use crate::types::{Context, SCSI_STATUS_CANCELLED, ScsiStatus};

/// Until the reset must have been answered.
const LIMIT: Duration = Duration::from_secs(20);

/// What the target answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Overtaken {
    /// The write's status; `None` when it was aborted, which goes without an answer.
    pub write: Option<ScsiStatus>,
    /// The reset's response: 0 is "function complete".
    pub reset: Option<u32>,
}

impl Initiator {
    /// Sends WRITE(10) and, without waiting, LOGICAL UNIT RESET; waits for the reset's answer. The
    /// connection ends with it, as an aborted write is never answered.
    pub fn write_and_reset(
        self,
        lun: Lun,
        lba: u32,
        data: &[u8],
        block: u16,
    ) -> Result<Overtaken, Refused> {
        let mut data = data.to_vec();
        let bytes = u32::try_from(data.len()).expect("one command moves less than 4 GiB");
        let answers: *mut Overtaken = Box::into_raw(Box::default());
        let (api, context, own) = (self.api, self.context, answers.cast::<c_void>());
        // SAFETY: `data` and `answers` stay until the context, and with it the last call of
        // `on_write`, is gone.
        let task = unsafe {
            (api.iscsi_write10_task)(
                context,
                lun.into(),
                lba,
                data.as_mut_ptr(),
                bytes,
                block.into(),
                0,
                0,
                0,
                0,
                0,
                on_write,
                own,
            )
        };
        // SAFETY: as above, for `on_reset`.
        let queued = !task.is_null()
            && unsafe { (api.iscsi_task_mgmt_lun_reset_async)(context, lun.into(), on_reset, own) }
                == 0;
        let mut outcome = if queued {
            Ok(())
        } else {
            Err(self.refused("queue"))
        };
        let deadline = Instant::now() + LIMIT;
        // SAFETY: only this thread serves the context, so nobody else writes the answers.
        while outcome.is_ok() && unsafe { ptr::read(answers) }.reset.is_none() {
            // SAFETY: the socket does not block; asking for more than is ready does nothing.
            let served = unsafe { (api.iscsi_service)(context, (api.iscsi_which_events)(context)) };
            if served != 0 || Instant::now() > deadline {
                outcome = Err(self.refused("LOGICAL UNIT RESET after WRITE(10)"));
            }
            thread::sleep(Duration::from_micros(200));
        }
        drop(self);
        // SAFETY: made by `Box::into_raw` above; the context that knew it is gone.
        let answers = unsafe { Box::from_raw(answers) };
        if !task.is_null() {
            // SAFETY: the task was handed to us, and the context that used it is gone.
            unsafe { (api.scsi_free_scsi_task)(task) };
        }
        outcome.map(|()| *answers)
    }
}

unsafe extern "C" fn on_write(_: *mut Context, status: c_int, _: *mut c_void, own: *mut c_void) {
    if status != SCSI_STATUS_CANCELLED {
        // SAFETY: `own` is the `Overtaken` of `write_and_reset`, which outlives the context.
        unsafe { (*own.cast::<Overtaken>()).write = Some(status) };
    }
}

unsafe extern "C" fn on_reset(_: *mut Context, _: c_int, data: *mut c_void, own: *mut c_void) {
    // Without data there was no answer: the context is being closed.
    if !data.is_null() {
        // SAFETY: libiscsi points to the 32-bit response; `own` is as in `on_write`.
        unsafe { (*own.cast::<Overtaken>()).reset = Some(*data.cast::<u32>()) };
    }
}
