//! Captured traffic: a pcapng file as TCP conversations and those as iSCSI PDUs.
//!
//! It listens and never speaks: what a peer should have done is for others to judge. Bytes that
//! were captured but make no sense are kept and told, not dropped.
//!
//! A file goes through three steps: [`pcapng`] gives frames, [`stream`] puts the two byte streams
//! of each TCP connection together, and [`conversation`] cuts those into PDUs, in the order in
//! which they were complete on the wire.

pub mod conversation;
mod packet;
pub mod pcapng;
pub mod stream;

use std::path::{Path, PathBuf};

pub use conversation::{Conversation, Lost, Pdu};
pub use pcapng::Frame;
pub use stream::{Connection, Direction, Ending, Stream};

/// A capture that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file cannot be opened.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no pcapng file, or ends in the middle of a block.
    #[error("{}: frame {after} is followed by no pcapng block: {source}", path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// The last frame that could be read.
        after: u32,
        /// Why.
        source: pcap_file::PcapError,
    },
}

/// The TCP connections of a pcapng file, in the order of their first frames.
pub fn connections(path: &Path) -> Result<Vec<Connection>, CaptureError> {
    let mut tracker = stream::Tracker::default();
    pcapng::read(path, |frame| {
        if let Some(segment) = packet::segment(&frame) {
            tracker.take(&frame, &segment);
        }
    })?;
    Ok(tracker.into_connections())
}

/// The iSCSI conversations of a pcapng file, in the order of their first frames.
pub fn conversations(path: &Path) -> Result<Vec<Conversation>, CaptureError> {
    Ok(connections(path)?
        .into_iter()
        .map(Conversation::read)
        .collect())
}
