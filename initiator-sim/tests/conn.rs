//! A connection at PDU level, against a peer that is a plain socket.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use initiator_sim::{Conn, ConnError, ConnOptions, CorruptDigest, Flow, Observer, Seen};
use iscsi::pdu::{NopIn, NopOut, Response};
use iscsi::{Digests, Itt, Lun, Opcode, Serial, Ttt};

const BRIEF: Duration = Duration::from_millis(50);

fn ping() -> NopOut {
    NopOut {
        immediate: true,
        lun: Lun(0),
        itt: Itt(0x0102_0304),
        ttt: Ttt::RESERVED,
        cmd_sn: Serial(7),
        exp_stat_sn: Serial(8),
    }
}

fn answer(stat_sn: u32) -> Vec<u8> {
    let pdu = NopIn {
        lun: Lun(0),
        itt: Itt(0x0102_0304),
        ttt: Ttt::RESERVED,
        stat_sn: Serial(stat_sn),
        exp_cmd_sn: Serial(7),
        max_cmd_sn: Serial(9),
    };
    pdu.encode().0.to_vec()
}

/// A peer that plays `script` on the one connection it gets.
fn peer<T: Send + 'static>(
    script: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (std::net::SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    (
        addr,
        std::thread::spawn(move || script(listener.accept().unwrap().0)),
    )
}

#[tokio::test]
async fn bytes_on_the_wire() {
    let (addr, peer) = peer(|mut stream| {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let mut conn = Conn::connect(addr).await.unwrap();
    conn.send(&ping().into(), b"abcde").await.unwrap();
    conn.send_raw(b"raw").await.unwrap();
    conn.shutdown().unwrap();
    let bytes = peer.join().unwrap();
    // NOP-Out, immediate; DataSegmentLength 5 without padding; padded to 8 (RFC 7143 §11.1).
    assert_eq!(bytes[..8], [0x40, 0x80, 0, 0, 0, 0, 0, 5]);
    assert_eq!(
        bytes[16..28],
        [1, 2, 3, 4, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 7]
    );
    assert_eq!(bytes[48..], *b"abcde\0\0\0raw");
}

#[tokio::test]
async fn a_corrupted_digest_differs_in_nothing_else() {
    let (addr, peer) = peer(|mut stream| {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let mut conn = Conn::connect(addr).await.unwrap();
    conn.set_digests(Digests {
        header: true,
        data: true,
    });
    conn.send(&ping().into(), b"abcd").await.unwrap();
    conn.send_corrupt(&ping().into(), b"abcd", CorruptDigest::Header)
        .await
        .unwrap();
    conn.send_corrupt(&ping().into(), b"abcd", CorruptDigest::Data)
        .await
        .unwrap();
    drop(conn);
    let bytes = peer.join().unwrap();
    let pdus: Vec<&[u8]> = bytes.chunks(60).collect();
    let differing =
        |pdu: &[u8]| -> Vec<usize> { (0..60).filter(|at| pdu[*at] != pdus[0][*at]).collect() };
    assert_eq!(pdus.len(), 3);
    assert!(differing(pdus[1]).iter().all(|at| (48..52).contains(at)));
    assert!(differing(pdus[2]).iter().all(|at| (56..60).contains(at)));
    assert!(!differing(pdus[1]).is_empty() && !differing(pdus[2]).is_empty());
}

#[tokio::test]
async fn pdus_in_any_pieces() {
    let (addr, _peer) = peer(|mut stream| {
        stream.set_nodelay(true).unwrap();
        for byte in answer(1) {
            stream.write_all(&[byte]).unwrap();
        }
        stream.write_all(&[answer(2), answer(3)].concat()).unwrap();
    });
    let mut conn = Conn::connect(addr).await.unwrap();
    for stat_sn in 1..=3 {
        let received = conn.recv().await.unwrap();
        assert_eq!(received.header.stat_sn, Serial(stat_sn));
        assert!(matches!(received.response, Response::NopIn(_)));
    }
    assert!(matches!(conn.recv().await, Err(ConnError::Closed)));
}

#[tokio::test]
async fn nothing_waits_for_ever() {
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let (addr, peer) = peer(move |stream| {
        wait.recv().unwrap_err();
        drop(stream);
    });
    let mut conn = Conn::connect(addr).await.unwrap();
    assert!(matches!(
        conn.recv_timeout(BRIEF).await,
        Err(ConnError::Timeout(_))
    ));
    assert!(matches!(
        conn.expect_close(BRIEF).await,
        Err(ConnError::StillOpen(_))
    ));
    assert!(matches!(conn.expect_silence(BRIEF).await, Ok(None)));
    // A peer that reads nothing: the socket fills up and sending gives up.
    conn.set_timeout(BRIEF);
    let flood = vec![0; 64 << 20];
    assert!(matches!(
        conn.send_raw(&flood).await,
        Err(ConnError::Timeout(_))
    ));
    drop(done);
    peer.join().unwrap();
}

#[tokio::test]
async fn closing_is_seen_however_it_is_done() {
    let (addr, _peer) = peer(|mut stream| stream.write_all(&answer(5)).unwrap());
    let mut conn = Conn::connect(addr).await.unwrap();
    let before = conn.expect_close(Duration::from_secs(5)).await.unwrap();
    assert_eq!(before.len(), 1, "what came before the FIN is shown");
    let (addr, _peer) = peer(|mut stream| {
        stream.read_exact(&mut [0]).unwrap();
        socket2::SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    });
    let mut conn = Conn::connect(addr).await.unwrap();
    conn.send_raw(b"x").await.unwrap();
    let before = conn.expect_close(Duration::from_secs(5)).await.unwrap();
    assert!(before.is_empty(), "RST");
}

#[tokio::test]
async fn our_reset_is_a_reset() {
    let (addr, peer) = peer(|mut stream| stream.read(&mut [0]).map_err(|error| error.kind()));
    Conn::connect(addr).await.unwrap().reset().unwrap();
    assert_eq!(
        peer.join().unwrap(),
        Err(std::io::ErrorKind::ConnectionReset)
    );
}

/// A peer that sends 32 MiB before it reads a byte: sending must read meanwhile, or both stall.
#[tokio::test]
async fn two_talkers_do_not_block_each_other() {
    const PINGS: usize = 8;
    let (addr, peer) = peer(|mut stream| {
        let mut pdu = answer(1);
        pdu[5..8].copy_from_slice(&[0x40, 0, 0]);
        pdu.resize(48 + 0x40_0000, 9);
        for _ in 0..PINGS {
            stream.write_all(&pdu).unwrap();
        }
        let mut total = 0;
        let mut buffer = vec![0; 1 << 20];
        while total < 32 << 20 {
            total += stream.read(&mut buffer).unwrap();
        }
    });
    let mut conn = Conn::connect(addr).await.unwrap();
    conn.set_timeout(Duration::from_secs(20));
    conn.send_raw(&vec![1; 32 << 20]).await.unwrap();
    for _ in 0..PINGS {
        assert_eq!(conn.recv().await.unwrap().data.len(), 0x40_0000);
    }
    peer.join().unwrap();
}

#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Log {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl Observer for Log {
    fn opened(&self, _: u64, _: SystemTime, _: std::net::SocketAddr, _: std::net::SocketAddr) {
        self.note("opened".to_owned());
    }

    fn pdu(&self, seen: &Seen<'_>) {
        let opcode = seen.bhs.opcode();
        assert_eq!(seen.bhs.data_segment_len() as usize, seen.data.len());
        let way = if seen.flow == Flow::Sent { ">" } else { "<" };
        self.note(format!("{way} {} {}", opcode.name(), seen.data.len()));
    }

    fn raw(&self, _: u64, _: SystemTime, bytes: &[u8]) {
        self.note(format!("raw {}", bytes.len()));
    }

    fn closed(&self, _: u64, _: SystemTime) {
        self.note("closed".to_owned());
    }
}

#[tokio::test]
async fn an_observer_sees_everything() {
    let (addr, peer) = peer(|mut stream| {
        stream.write_all(&answer(1)).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let log = Arc::new(Log::default());
    let options = ConnOptions {
        observer: Some(log.clone()),
        ..ConnOptions::default()
    };
    let mut conn = Conn::connect_with(addr, &options).await.unwrap();
    conn.send(&ping().into(), b"abc").await.unwrap();
    conn.send_raw(b"junk").await.unwrap();
    conn.recv().await.unwrap();
    drop(conn);
    peer.join().unwrap();
    let out = format!("> {} 3", Opcode::NOP_OUT.name());
    let back = format!("< {} 0", Opcode::NOP_IN.name());
    assert_eq!(
        *log.0.lock().unwrap(),
        ["opened", &out, "raw 4", &back, "closed"]
    );
}
