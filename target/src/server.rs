//! A whole target: its images, its node, its listeners; from start to the last flush.

mod images;
mod plan;
mod reload;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::config::{LunSpec, ServerConfig};
use crate::driver::{self, Directory, Shell};
use crate::identity::{Known, Twin};
use crate::store::{OpenError, Store};
use crate::units::UnitTable;

use images::{Served, Wanted};
use reload::Closing;
pub use reload::{Reloaded, Unchanged};

/// Connections the system holds for us while we are busy accepting.
const BACKLOG: i32 = 4096;

/// How long flushing all images at the end may take before we give up on it.
const FLUSH_WAIT: Duration = Duration::from_secs(30);

/// How long images may take to close: they wait for operations nobody waits for any more.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// How long tasks that were told to stop may take: they are a poll away from it.
const STOP_WAIT: Duration = Duration::from_secs(2);

/// A target that runs. Dropped, it abandons its sessions at once, as a crash would; see
/// [`Server::shutdown`].
#[derive(Debug)]
pub struct Server {
    shell: Arc<Shell>,
    portals: Vec<SocketAddr>,
    listeners: Vec<JoinHandle<()>>,
    node: JoinHandle<()>,
    /// What it was told to serve, with the listeners and threads it started with.
    config: ServerConfig,
    served: Vec<Served>,
    /// Of the configuration the node was told last.
    version: u64,
    closing: Vec<Closing>,
}

/// Why a target does not start. The operator must act.
#[derive(Debug, thiserror::Error)]
pub enum Startup {
    /// An image cannot be served.
    #[error("LUN {lun} of {target}: {why}")]
    Image {
        /// Of which target.
        target: String,
        /// Its number.
        lun: u16,
        /// Why.
        why: OpenError,
    },
    /// A disk that is another one's double.
    #[error("LUN {lun} of {target}: {why}")]
    Twin {
        /// Of which target.
        target: String,
        /// Its number.
        lun: u16,
        /// Why.
        why: Twin,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {why}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        why: io::Error,
    },
    /// The function was called outside a tokio runtime.
    #[error("no tokio runtime to run in")]
    NoRuntime,
}

impl Server {
    /// Opens every image, listens on every portal and serves, on the current tokio runtime.
    ///
    /// # Errors
    /// When an image or an address is not to be had; nothing runs then.
    pub fn start(config: ServerConfig) -> Result<Self, Startup> {
        Self::start_with(config, |lun| lun.store.open(&lun.settings()))
    }

    /// As [`Server::start`], with images from elsewhere: `open` is asked for the store of every
    /// disk.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_with(
        config: ServerConfig,
        open: impl FnMut(&LunSpec) -> Result<Arc<dyn Store>, OpenError>,
    ) -> Result<Self, Startup> {
        let runtime = Handle::try_current().map_err(|_| Startup::NoRuntime)?;
        let units = UnitTable::new();
        let opened = images::open_all(Wanted::all(&config), Known::default(), open)?;
        let served = images::serve(&units, opened);
        let listeners = config
            .listen
            .iter()
            .map(|&address| listen(address).map_err(|why| Startup::Listen { address, why }))
            .collect::<Result<Vec<_>, _>>()?;
        let portals: Vec<_> = listeners.iter().map(|(_, address)| *address).collect();
        let node = images::node_config(&config, &served, &[], &portals, 0);
        let directory = Directory::new(half_open_max(&config));
        let shell = Arc::new(Shell::new(node, units, directory));
        let node = runtime.spawn(driver::run_node(Arc::clone(&shell)));
        let accept = |(listener, _)| runtime.spawn(driver::accept(Arc::clone(&shell), listener));
        let listeners = listeners.into_iter().map(accept).collect();
        Ok(Self {
            shell,
            portals,
            listeners,
            node,
            config,
            served,
            version: 0,
            closing: Vec::new(),
        })
    }

    /// Where it listens, in the order of the configuration, with the ports it got.
    pub fn portals(&self) -> &[SocketAddr] {
        &self.portals
    }

    /// Stops in order: accepts nothing more, asks every initiator to log out and waits for them,
    /// ends what is left, and makes everything durable.
    ///
    /// # Errors
    /// Names the images whose last flush failed.
    pub async fn shutdown(mut self) -> Result<(), Vec<String>> {
        for listener in &mut self.listeners {
            listener.abort();
            // Over it is only now: no connection comes after those that are told to leave.
            listener.await.ok();
        }
        let grace = self.config.shutdown_grace;
        let directory = &self.shell.directory;
        directory.leave(grace);
        // A session ends at the latest when its connection is given up, after what is in flight.
        let bound = grace + engine::limits::CLOSE_WAIT + engine::limits::TMF_DEADLINE;
        if tokio::time::timeout(bound, directory.emptied())
            .await
            .is_err()
        {
            tracing::warn!("some sessions did not end in time and are abandoned");
        }
        // Nobody writes any more, so the flush covers everything.
        self.stop_tasks().await;
        let slots = self.shell.units.slots();
        let flush = tokio::task::spawn_blocking(move || {
            let failed = slots.iter().filter_map(|slot| match slot.store().sync() {
                Ok(()) => None,
                Err(why) => Some(format!("{}: {why}", slot.name())),
            });
            failed.collect::<Vec<_>>()
        });
        let failed = match tokio::time::timeout(FLUSH_WAIT, flush).await {
            Ok(Ok(failed)) => failed,
            Ok(Err(_)) | Err(_) => vec!["the last flush did not end".to_owned()],
        };
        self.close().await;
        match failed.is_empty() {
            true => Ok(()),
            false => Err(failed),
        }
    }

    /// Closes the images, so that they can be opened again. One waits for its operations, which must
    /// not hold up the caller: storage may hang.
    async fn close(self) {
        let shell = Arc::clone(&self.shell);
        drop(self);
        let closed = tokio::task::spawn_blocking(move || drop(shell));
        if tokio::time::timeout(CLOSE_WAIT, closed).await.is_err() {
            tracing::warn!("storage does not answer: an image is left open");
        }
    }

    /// Ends all tasks; images close when none of them holds them.
    async fn stop_tasks(&mut self) {
        self.abandon();
        for closing in self.closing.drain(..) {
            closing.give_up().await;
        }
        let stopped = async {
            while Arc::strong_count(&self.shell) > 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        if tokio::time::timeout(STOP_WAIT, stopped).await.is_err() {
            tracing::warn!("some tasks did not stop in time");
        }
    }

    fn abandon(&self) {
        for listener in &self.listeners {
            listener.abort();
        }
        self.shell.directory.abandon();
        self.node.abort();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.abandon();
    }
}

/// Logins must not use up the descriptors of sessions.
fn half_open_max(config: &ServerConfig) -> usize {
    config.half_open_max.min(descriptors() / 2)
}

/// Files this process may have open, by its limit.
fn descriptors() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX)
}

/// An IPv6 address takes IPv6 only, so that `0.0.0.0` and `[::]` can both be listened on.
fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from_std(socket.into())?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
