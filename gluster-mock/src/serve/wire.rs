//! What clients and the server say to each other: frames, each a length and one value in postcard's
//! format. The first frame of a connection says what it is for.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::server::Daemon;
use crate::call::{Answer, Call};

/// The server's socket in the cluster's folder.
pub(crate) const SOCKET: &str = "socket";

/// Both sides must be of one build as far as these values go.
const VERSION: u32 = 1;

/// The longest transfer libgfapi lets through, and what is around it.
const FRAME_MAX: usize = (1 << 30) + (1 << 16);

/// The first frame.
#[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Hello {
    version: u32,
    pub(crate) purpose: Purpose,
}

/// What a connection is for.
#[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Purpose {
    /// One `glfs_t` on the volume of that name: [`Request`]s and [`Response`]s follow.
    Mount(String),
    /// One order from outside: its answer follows, and that is all.
    Control(Order),
}

impl Hello {
    pub(crate) fn new(purpose: Purpose) -> Self {
        let version = VERSION;
        Self { version, purpose }
    }

    /// What the other side wants, if it is of our kind.
    pub(crate) fn receive(stream: &mut impl Read) -> io::Result<Purpose> {
        let hello: Self = receive(stream)?;
        match hello.version {
            VERSION => Ok(hello.purpose),
            other => Err(garbage(format!("version {other}"))),
        }
    }
}

/// A call, or a question, by a number that its answer has too.
#[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) what: What,
}

/// What a mount may want.
#[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum What {
    Call(Call),
    /// The volume's description; the answer is its bytes.
    Describe,
}

/// The answer to the request of that number; they come in any order.
#[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Response {
    pub(crate) id: u64,
    pub(crate) answer: Answer,
}

/// What is ordered of a volume from outside.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Order {
    /// The volume's name.
    pub volume: String,
    /// What.
    pub ask: Ask,
}

/// The orders there are.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Ask {
    /// One line as [`crate::command::Command::parse`] reads it.
    Command(String),
    /// All bricks die, and nobody may mount it (`gluster volume stop`).
    Stop,
    /// All bricks come back, and mounts are welcome.
    Start,
    /// Whether it is started.
    IsStarted,
    /// What becomes of glusterd; the volume's name does not count.
    Daemon(Daemon),
}

/// What an order earns: words for people.
pub(crate) type Told = Result<String, String>;

/// A value as a frame.
pub(crate) fn frame(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = postcard::to_extend(value, vec![0; 4]).map_err(garbage)?;
    let len = frame.len() - 4;
    if len > FRAME_MAX {
        return Err(garbage(format!("a frame of {len} bytes")));
    }
    frame[..4].copy_from_slice(&(len as u32).to_be_bytes());
    Ok(frame)
}

/// Says a value.
pub(crate) fn send(stream: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    stream.write_all(&frame(value)?)
}

/// Hears a value: all of a frame and nothing else. What a peer only announces takes no memory.
pub(crate) fn receive<T: DeserializeOwned>(stream: &mut impl Read) -> io::Result<T> {
    let mut len = [0; 4];
    stream.read_exact(&mut len)?;
    let len = u32::from_be_bytes(len) as usize;
    if len > FRAME_MAX {
        return Err(garbage(format!("a frame of {len} bytes")));
    }
    let mut frame = Vec::new();
    stream.take(len as u64).read_to_end(&mut frame)?;
    if frame.len() < len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let (value, rest) = postcard::take_from_bytes(&frame).map_err(garbage)?;
    match rest {
        [] => Ok(value),
        _ => Err(garbage("bytes after the value")),
    }
}

fn garbage(why: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{ClientId, Handle, Ino, Place, Reply};
    use crate::errno::Errno;

    const HANDLE: Handle = Handle {
        id: 300,
        client: ClientId(2),
        file: Ino(7),
        sync: true,
        direct: false,
        readable: true,
        writable: true,
    };

    fn there_and_back<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: T) {
        let frame = frame(&value).expect("a frame");
        let mut stream = &frame[..];
        assert_eq!(receive::<T>(&mut stream).expect("a value"), value);
        assert!(stream.is_empty());
    }

    #[test]
    fn values_arrive_as_they_were_sent() {
        let write = Call::Write {
            handle: HANDLE,
            at: 1 << 40,
            flags: 0o10000,
            bytes: (0..=255).collect(),
            owner: Some(vec![0, 0xff]),
        };
        let place = Place::Path("/ä".to_owned());
        for call in [write, Call::Stat { place }, Call::Fini] {
            let what = What::Call(call);
            there_and_back(Request { id: u64::MAX, what });
        }
        for answer in [
            Ok(Reply::Bytes(vec![1; 1 << 20])),
            Ok(Reply::Handle(HANDLE)),
            Err(Errno::ENOTCONN),
        ] {
            there_and_back(Response { id: 0, answer });
        }
        there_and_back(Hello::new(Purpose::Mount("vol".to_owned())));
    }

    #[test]
    fn bytes_cost_hardly_more_than_themselves() {
        let answer = Ok(Reply::Bytes(vec![0xff; 4096]));
        let frame = frame(&Response { id: 1, answer }).expect("a frame");
        assert!(frame.len() < 4096 + 16, "{}", frame.len());
    }

    #[test]
    fn garbage_is_refused() {
        let good = frame(&Request {
            id: 1,
            what: What::Describe,
        });
        let good = good.expect("a frame");
        let hear = |bytes: &[u8]| receive::<Request>(&mut &bytes[..]).map_err(|why| why.kind());
        assert_eq!(
            hear(&good[..good.len() - 1]),
            Err(io::ErrorKind::UnexpectedEof)
        );
        let mut longer = good.clone();
        longer[3] += 1;
        longer.push(0);
        assert_eq!(hear(&longer), Err(io::ErrorKind::InvalidData));
        assert_eq!(hear(&[0xff; 64]), Err(io::ErrorKind::InvalidData));
        assert_eq!(hear(&[0, 0, 0, 2, 1, 99]), Err(io::ErrorKind::InvalidData));
        // Announced and never sent.
        assert_eq!(hear(&[0x40, 0, 0, 0]), Err(io::ErrorKind::UnexpectedEof));
        let purpose = Purpose::Mount("vol".to_owned());
        let stranger = Hello {
            version: 2,
            purpose,
        };
        let stranger = frame(&stranger).expect("a frame");
        assert!(Hello::receive(&mut &stranger[..]).is_err());
    }
}
