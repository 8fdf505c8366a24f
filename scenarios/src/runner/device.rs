//! A device that is started again when it dies, so that one crash costs the scenarios it hits and
//! no others.

use std::sync::{Arc, Mutex, PoisonError};

use crate::dut::{Dut, DutError, Running};
use crate::scenario::Scenario;

/// A device under test through all its lives.
pub struct Device {
    dut: Box<dyn Dut>,
    scenarios: Vec<Scenario>,
    shared: bool,
    current: Mutex<Option<Arc<dyn Running>>>,
}

impl Device {
    /// Starts `dut` for `scenarios`. Blocks; call it where that is allowed, within a tokio runtime.
    pub fn start(dut: Box<dyn Dut>, scenarios: &[Scenario]) -> Result<Self, DutError> {
        let running: Arc<dyn Running> = Arc::from(dut.start(scenarios)?);
        Ok(Self {
            dut,
            scenarios: scenarios.to_vec(),
            shared: running.is_shared(),
            current: Mutex::new(Some(running)),
        })
    }

    /// How it is called.
    pub fn name(&self) -> &'static str {
        self.dut.name()
    }

    /// Whether scenarios must take turns.
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// The device alive, started anew if need be. May block for as long as a start takes.
    pub fn alive(&self) -> Result<Arc<dyn Running>, DutError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = current.as_ref()
            && running.death().is_none()
        {
            return Ok(Arc::clone(running));
        }
        *current = None;
        let running: Arc<dyn Running> = Arc::from(self.dut.start(&self.scenarios)?);
        Ok(Arc::clone(current.insert(running)))
    }

    /// Ends it in order; says what went wrong with that.
    pub fn end(&self) -> Result<(), String> {
        let current = self
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        current.map_or(Ok(()), |running| running.end())
    }
}
