//! The observer that hangs a conversation on a live connection.

use std::time::SystemTime;

use initiator_sim::{Flow, Observer, Seen};
use iscsi::Digests;

use super::*;
use crate::monitor::Monitor;

fn show(monitor: &Monitor, flow: Flow, bhs: &Bhs) {
    let at = SystemTime::now();
    let digests = Digests::default();
    monitor.pdu(&Seen {
        conn: 1,
        flow,
        at,
        bhs,
        ahs: &[],
        data: &[],
        digests,
    });
}

#[test]
fn pdus_sent_byte_by_byte_are_understood() {
    let monitor = Monitor::new();
    for byte in nop_out(5).encode().0 {
        monitor.raw(1, SystemTime::now(), &[byte]);
    }
    show(&monitor, Flow::Received, &nop_in(Itt(5)).encode());
    assert_eq!(monitor.breaches(), []);
    show(&monitor, Flow::Received, &nop_in(Itt(6)).encode());
    assert_eq!(
        monitor.breaches().len(),
        2,
        "StatSN stands still, and nobody asked"
    );
}

#[test]
fn garbage_makes_it_cautious() {
    let monitor = Monitor::new();
    monitor.raw(1, SystemTime::now(), &[0xff; 20]);
    show(&monitor, Flow::Sent, &nop_out(5).encode());
    show(&monitor, Flow::Received, &nop_in(Itt(6)).encode());
    assert_eq!(monitor.breaches(), []);
}
