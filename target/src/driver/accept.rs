//! New connections: named, bounded, given a task each.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use engine::Moment;
use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};

use super::Shell;
use super::directory::{LoginInbox, SessionMail};
use super::login::{Outcome, run_login};
use super::session::run_session;
use super::socket::Socket;

/// How long to leave the listener alone when the system has no descriptor or memory for us.
const EXHAUSTED_WAIT: Duration = Duration::from_millis(50);

/// How long an evicted login takes to let go of its descriptor: one poll of its task.
const EVICTED_WAIT: Duration = Duration::from_millis(1);

/// How often at most to say so: every connection can be one too many.
const EXHAUSTED_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Accepts until it is aborted.
pub(crate) async fn accept(shell: Arc<Shell>, listener: TcpListener) {
    let mut silent_until = Moment::default();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => welcome(&shell, stream, peer),
            Err(why) if is_exhausted(&why) => {
                let evicted = shell.directory.evict_login();
                let now = shell.clock.now();
                if now >= silent_until {
                    silent_until = now.plus(EXHAUSTED_LOG_INTERVAL);
                    let then = if evicted {
                        "; the oldest login is dropped"
                    } else {
                        ""
                    };
                    tracing::warn!("cannot accept a connection: {why}{then}");
                }
                tokio::time::sleep(if evicted {
                    EVICTED_WAIT
                } else {
                    EXHAUSTED_WAIT
                })
                .await;
            }
            // The peer was gone before we looked (RFC 793): nothing to be done for it.
            Err(why) => tracing::debug!("a connection was lost while being accepted: {why}"),
        }
    }
}

fn is_exhausted(why: &io::Error) -> bool {
    let errno = Errno::from_io_error(why);
    matches!(
        errno,
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}

fn welcome(shell: &Arc<Shell>, stream: TcpStream, peer: SocketAddr) {
    // Responses are written as a whole; Nagle would only hold the last one back.
    let ready = stream.set_nodelay(true).and_then(|()| stream.local_addr());
    let local = match ready {
        Ok(local) => local,
        Err(why) => return tracing::debug!("connection from {peer} was lost at once: {why}"),
    };
    // Named here and not in its task: eviction goes by age, and tasks start in any order.
    let (conn, inbox) = shell.directory.add_login();
    let socket = Socket::new(conn, stream, peer, shell.config().session_memory_bytes);
    tokio::spawn(serve(Arc::clone(shell), socket, local, inbox));
}

/// The life of one connection: a login, then perhaps a session.
async fn serve(shell: Arc<Shell>, socket: Socket, local: SocketAddr, inbox: LoginInbox) {
    match run_login(&shell, socket, local, inbox).await {
        Outcome::Over => {}
        Outcome::Session(handover, socket) => run_session(shell, handover, socket).await,
        Outcome::Joins(handover, socket) => {
            let session = handover.session;
            let mail = SessionMail::Arrived(handover, Box::new(socket));
            shell.directory.post_session(session, mail);
        }
    }
}
