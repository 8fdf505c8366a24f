//! What a scenario is handed: where the device is, a LUN of its own, and watched connections.
//!
//! Knows nothing of how the device was started. Every connection made through it is shown to the
//! monitor and the recorder of this scenario.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use initiator_sim::{
    Conn, ConnError, ConnOptions, LoginCause, LoginError, LoginOptions, Observer, Session,
    SessionError,
};
use iscsi::Lun;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::dut::{BLOCK_SIZE, DutError, LUN_BYTES};
use crate::rig::{Rig, Setup, Workshop};
use crate::scenario::Finding;

/// The part of a device that one scenario plays on.
#[derive(Clone, Debug)]
pub struct Ground {
    /// Where the device listens.
    pub portal: SocketAddr,
    /// The target that lets everybody in (or everybody who has `credentials`).
    pub target: String,
    /// The name to log in under, so that scenarios played at the same time are different nexuses.
    pub initiator: String,
    /// CHAP name and secret for `target`, when it asks for them.
    pub credentials: Option<(String, String)>,
    /// The logical unit to play with.
    pub lun: Lun,
    /// A logical unit that does not exist.
    pub absent_lun: Lun,
    /// Its number of blocks.
    pub blocks: u64,
    /// Bytes per block.
    pub block_size: u32,
    /// A target that asks for CHAP.
    pub chap: Option<ChapTarget>,
    /// A target that lets only one initiator in.
    pub closed: Option<ClosedTarget>,
    /// Where a device for this scenario alone is made.
    pub workshop: Option<Workshop>,
}

/// A target that asks for CHAP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChapTarget {
    /// Its iSCSI name.
    pub name: String,
    /// The name an initiator answers with.
    pub user: String,
    /// The secret an initiator proves to know.
    pub secret: String,
    /// The name the target answers with when it is challenged.
    pub mutual_user: String,
    /// The secret the target proves to know.
    pub mutual_secret: String,
}

/// A target with an access list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedTarget {
    /// Its iSCSI name.
    pub name: String,
    /// The only initiator that is let in.
    pub admitted: String,
}

/// Everything a scenario needs to hold its conversation.
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
}

struct Inner {
    id: &'static str,
    ground: Ground,
    observer: Arc<dyn Observer>,
    /// Devices of this scenario alone, for as long as anybody may ask how they died.
    rigs: Arc<Mutex<Vec<Rig>>>,
}

impl Context {
    /// The context of scenario `id` on `ground`; `observer` is shown every PDU.
    pub fn new(id: &'static str, ground: Ground, observer: Arc<dyn Observer>) -> Self {
        Self {
            inner: Arc::new(Inner {
                id,
                ground,
                observer,
                rigs: Arc::default(),
            }),
        }
    }

    /// A device for this scenario alone, to cut off, kill and start again, and the context in which
    /// it is the one that is played on.
    ///
    /// # Panics
    /// In a scenario that declares none of [`crate::scenario::Need::Restart`],
    /// [`crate::scenario::Need::PowerCut`] and [`crate::scenario::Need::Faults`].
    pub async fn rig(&self, setup: Setup) -> Result<(Rig, Self), Finding> {
        let workshop = self.inner.ground.workshop.clone();
        let workshop = workshop.expect("the scenario declares what it needs a device for");
        let target = self.target().to_owned();
        let rig = workshop.make(self.inner.id, target, setup).await?;
        let mut rigs = self
            .inner
            .rigs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        rigs.push(rig.clone());
        let ground = Ground {
            portal: rig.portal(),
            lun: Lun::from_number(0),
            blocks: LUN_BYTES / u64::from(BLOCK_SIZE),
            block_size: BLOCK_SIZE,
            chap: None,
            closed: None,
            workshop: None,
            ..self.inner.ground.clone()
        };
        let inner = Inner {
            id: self.inner.id,
            ground,
            observer: Arc::clone(&self.inner.observer),
            rigs: Arc::clone(&self.inner.rigs),
        };
        Ok((
            rig,
            Self {
                inner: Arc::new(inner),
            },
        ))
    }

    /// How a device of this scenario alone died, if one did that nobody killed.
    pub fn rig_death(&self) -> Option<String> {
        let rigs = self
            .inner
            .rigs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        rigs.iter().find_map(Rig::death)
    }

    /// The portal of the device.
    pub fn addr(&self) -> SocketAddr {
        self.inner.ground.portal
    }

    /// The name of the target to play with.
    pub fn target(&self) -> &str {
        &self.inner.ground.target
    }

    /// The logical unit of [`Context::target`] that this scenario alone plays with.
    pub fn lun(&self) -> Lun {
        self.inner.ground.lun
    }

    /// A logical unit that [`Context::target`] does not have.
    pub fn absent_lun(&self) -> Lun {
        self.inner.ground.absent_lun
    }

    /// Blocks of [`Context::lun`].
    pub fn blocks(&self) -> u64 {
        self.inner.ground.blocks
    }

    /// Bytes per block of [`Context::lun`].
    pub fn block_size(&self) -> u32 {
        self.inner.ground.block_size
    }

    /// The target that asks for CHAP.
    ///
    /// # Panics
    /// In a scenario that does not declare [`crate::scenario::Need::Chap`].
    pub fn chap_target(&self) -> &ChapTarget {
        self.inner
            .ground
            .chap
            .as_ref()
            .expect("the scenario declares Need::Chap")
    }

    /// The target with an access list.
    ///
    /// # Panics
    /// In a scenario that does not declare [`crate::scenario::Need::AccessList`].
    pub fn closed_target(&self) -> &ClosedTarget {
        self.inner
            .ground
            .closed
            .as_ref()
            .expect("the scenario declares Need::AccessList")
    }

    /// A normal login to [`Context::target`].
    pub fn login_options(&self) -> LoginOptions {
        let options = self.login_options_for(self.target());
        match &self.inner.ground.credentials {
            Some((user, secret)) => options.chap(user, secret),
            None => options,
        }
    }

    /// A normal login, without credentials, to any target.
    pub fn login_options_for(&self, target: &str) -> LoginOptions {
        self.ours(LoginOptions::new(target))
    }

    /// A discovery login.
    pub fn discovery_options(&self) -> LoginOptions {
        self.ours(LoginOptions::discovery())
    }

    fn ours(&self, options: LoginOptions) -> LoginOptions {
        options
            .initiator(&self.inner.ground.initiator)
            .observer(Arc::clone(&self.inner.observer))
    }

    /// Options of a watched connection.
    pub fn conn_options(&self) -> ConnOptions {
        ConnOptions {
            observer: Some(Arc::clone(&self.inner.observer)),
            ..ConnOptions::default()
        }
    }

    /// A connection on which nothing was said yet.
    pub async fn connect(&self) -> Result<Conn, Finding> {
        Ok(Conn::connect_with(self.addr(), &self.conn_options()).await?)
    }

    /// A session to [`Context::target`] with the unit attentions of a new nexus out of the way and
    /// the block size known.
    pub async fn session(&self) -> Result<Session, Finding> {
        self.session_with(self.login_options()).await
    }

    /// The same with login options of one's own.
    pub async fn session_with(&self, options: LoginOptions) -> Result<Session, Finding> {
        let mut session = Session::login(self.addr(), &options).await?;
        session.clear_attention(self.lun()).await?;
        session.read_capacity(self.lun()).await?;
        Ok(session)
    }

    /// Dice that fall the same way every time this scenario is played.
    pub fn rng(&self) -> StdRng {
        StdRng::seed_from_u64(fnv1a(self.inner.id))
    }
}

/// FNV-1a: stable over releases of the compiler and of every crate, unlike the standard hasher.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// What a conversation that breaks off tells about the device.
fn broken_off(error: &ConnError, text: String) -> Finding {
    match error {
        ConnError::Timeout(_) => Finding::Hang(text),
        _ => Finding::fail("the conversation goes on", text),
    }
}

impl From<ConnError> for Finding {
    fn from(error: ConnError) -> Self {
        broken_off(&error, error.to_string())
    }
}

impl From<DutError> for Finding {
    fn from(error: DutError) -> Self {
        Self::fail(
            "a device that can be started, killed and put under faults",
            error,
        )
    }
}

impl From<SessionError> for Finding {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Conn(conn) => conn.into(),
            SessionError::Login(login) => (*login).into(),
            error => Self::fail("the conversation goes on", error),
        }
    }
}

impl From<LoginError> for Finding {
    fn from(error: LoginError) -> Self {
        let text = format!("login: {error}");
        match &error.cause {
            LoginCause::Conn(conn) => broken_off(conn, text),
            LoginCause::Refusal(_) => Self::fail("the conversation goes on", text),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn silence_is_a_hang_and_all_else_a_failure() {
        let silence = SessionError::Conn(ConnError::Timeout(Duration::from_secs(5)));
        assert!(matches!(Finding::from(silence), Finding::Hang(_)));
        assert!(matches!(
            Finding::from(ConnError::Closed),
            Finding::Fail { .. }
        ));
        assert!(matches!(
            Finding::from(SessionError::Aborted),
            Finding::Fail { .. }
        ));
    }

    #[test]
    fn the_seed_of_an_id_never_changes() {
        // Test vectors of the FNV authors.
        assert_eq!(fnv1a(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a("foobar"), 0x8594_4171_f739_67e8);
    }
}
