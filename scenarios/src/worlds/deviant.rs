//! A hostile peer: connections that send what no initiator would, some of them after an honest login,
//! to a target of their own beside the honest one.
//!
//! It is judged by what becomes of the others: no panic, nobody else's data, everything finished.

use std::time::Duration;

use initiator_sim::deviant::{Context, Generator};
use initiator_sim::machine::{Login, LoginOptions, Outgoing};
use iscsi::{Data, Digests, Framer, Isid, Outbox, Response, Serial, Tsih};

use super::agenda::Due;
use super::around::Around;
use super::host::target_name;
use super::marks::Mark;
use super::plan::{Deviant as Setting, Way};
use super::wire::Caller;

const NAME: &str = "iqn.2026-11.org.glint:hostile";

/// What it sends on one connection.
const SAMPLES: u32 = 12;

/// Between two of them.
const PAUSE: Duration = Duration::from_micros(150);

pub(super) struct Deviant {
    setting: Setting,
    generator: Generator,
    line: Option<Line>,
    made: u8,
    gone: bool,
}

struct Line {
    wire: usize,
    login: Option<Box<Login>>,
    framer: Framer<Vec<u8>>,
    context: Context,
    sent: u32,
}

impl Deviant {
    pub(super) fn new(setting: Setting) -> Self {
        Self {
            setting,
            generator: Generator::new(setting.seed, 0),
            line: None,
            made: 0,
            gone: false,
        }
    }

    pub(super) fn host(&self) -> u8 {
        self.setting.target
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone
    }

    /// The next thing it does.
    pub(super) fn go_on(
        &mut self,
        around: &mut Around,
        number: u8,
        life: Option<u32>,
        healed: bool,
    ) {
        if self.gone {
            return;
        }
        let spent = self.line.as_ref().is_some_and(|line| line.sent >= SAMPLES);
        if (spent || healed)
            && let Some(line) = self.line.take()
        {
            around.close(line.wire, Way::In);
            around.journal.closed(line.wire, around.now);
        }
        if healed || (self.line.is_none() && self.made >= self.setting.connections) {
            self.gone = true;
            return;
        }
        match (&mut self.line, life) {
            (Some(line), _) if line.login.is_none() => {
                let sample = self.generator.sample(&mut line.context);
                line.sent += 1;
                around.marks.hit(Mark::Hostile);
                around.journal.raw(line.wire, around.now, &sample.bytes);
                let room = around.room(line.wire, Way::In);
                let count = sample.bytes.len().min(room);
                around.send_raw(line.wire, Way::In, &sample.bytes[..count]);
            }
            (None, Some(life)) => self.connect(around, number, life),
            _ => {}
        }
        let at = around.now.plus(PAUSE);
        around.agenda.enter(at, Due::Deviant(number));
    }

    fn connect(&mut self, around: &mut Around, number: u8, life: u32) {
        let wire = around.connect(Caller::Deviant(number), self.setting.target, life);
        around.new_wires.push(wire);
        let target = target_name(self.setting.target, true);
        let isid = Isid([0x80, 0x44, 0x45, 0x56, number, self.made]);
        let context = Context {
            logged_in: false,
            initiator: NAME.to_owned(),
            target: target.clone(),
            isid,
            tsih: Tsih(0),
            cmd_sn: Serial(1),
            exp_stat_sn: Serial(0),
            ttt: None,
            r2t_itt: None,
            max_data_segment: 8192,
        };
        let mut login = None;
        if self.made % 2 == 1 {
            let mut options = LoginOptions::new(&target);
            options.initiator_name = NAME.to_owned();
            options.isid = isid;
            let mut honest = Login::new(&options, [3; 33]);
            let bytes = said(|out| honest.start(out));
            around.send_raw(wire, Way::In, &bytes);
            login = Some(Box::new(honest));
        }
        self.made += 1;
        self.line = Some(Line {
            wire,
            login,
            framer: Framer::new(0x00ff_ffff, 4096),
            context,
            sent: 0,
        });
    }

    /// What the target says is read; a login goes on.
    pub(super) fn arrive(&mut self, around: &mut Around, wire: usize) {
        let Some(line) = self.line.as_mut().filter(|line| line.wire == wire) else {
            return;
        };
        loop {
            let count = around.read(wire, Way::Out, line.framer.space());
            if count == 0 {
                break;
            }
            line.framer.filled(count);
            if let Some(bytes) = line.hear() {
                around.send_raw(wire, Way::In, &bytes);
            }
        }
        if around.is_at_end(wire, Way::Out) {
            around.journal.closed(wire, around.now);
            self.line = None;
        }
    }
}

impl Line {
    /// Takes what came; what an honest login says to it.
    fn hear(&mut self) -> Option<Vec<u8>> {
        let mut answer = Vec::new();
        while let Ok(Some(frame)) = self.framer.next(|_| None) {
            let Data::Inline(data) = frame.data else {
                continue;
            };
            match Response::decode(&frame.bhs) {
                Ok(Response::Login(response)) => {
                    let Some(login) = &mut self.login else {
                        continue;
                    };
                    let mut done = None;
                    answer.extend(said(|out| done = Some(login.receive(&response, data, out))));
                    match done {
                        Some(Ok(None)) => {}
                        Some(Ok(Some(established))) => {
                            self.context.logged_in = true;
                            self.context.tsih = established.tsih;
                            self.context.cmd_sn = established.numbering.cmd_sn;
                            self.context.exp_stat_sn = established.numbering.exp_stat_sn;
                            self.login = None;
                        }
                        // Refused: then it goes on without.
                        _ => self.login = None,
                    }
                }
                Ok(Response::R2t(r2t)) => {
                    (self.context.ttt, self.context.r2t_itt) = (Some(r2t.ttt), Some(r2t.itt));
                }
                _ => {}
            }
        }
        (!answer.is_empty()).then_some(answer)
    }
}

/// The bytes of what is said to a sink.
fn said(say: impl FnOnce(&mut Outgoing)) -> Vec<u8> {
    let mut out = Outgoing {
        outbox: Outbox::new(),
        digests: Digests::default(),
    };
    say(&mut out);
    let mut slices = Vec::new();
    out.outbox.slices(&mut slices);
    slices.iter().flat_map(|slice| slice.to_vec()).collect()
}
