//! The initiator's end of one connection: the protocol machine, what is in flight, the monitor.

use std::collections::BTreeMap;

use bytes::Bytes;
use initiator_sim::Flow;
use initiator_sim::machine::{Client, Event, Login, LoginOptions, Outgoing, PduSink, Refusal};
use iscsi::keys::Params;
use iscsi::{
    Bhs, Cid, Data, Digests, Framer, Itt, LoginStatus, LogoutReason, Outbox, Response, Serial, Tsih,
};

use super::super::Oracle;
use super::super::around::Around;
use super::super::journal::Journal;
use super::super::plan::{Moment, Way};
use super::command::Flying;
use super::management::Managed;
use super::{COMMAND_WAIT, LOGIN_WAIT, MANAGE_WAIT};
use crate::monitor::Conversation;

/// Receive buffer; it grows for a PDU that does not fit.
const RECEIVE_BYTES: usize = 4 << 10;

pub(super) struct Link {
    wire: usize,
    pub(super) phase: Phase,
    framer: Framer<Vec<u8>>,
    outgoing: Outgoing,
    monitor: Conversation,
    session: Option<Params>,
    pub(super) flying: BTreeMap<Itt, Flying>,
    pub(super) managing: BTreeMap<Itt, Managed>,
    /// When it was made.
    since: Moment,
    /// It brings a connection to a session that exists.
    pub(super) joins: bool,
    /// It was asked to log out, or asked itself.
    pub(super) leaving: bool,
    pub(super) texts: bool,
    /// Nothing it says is listened to any more.
    broken: bool,
}

pub(super) enum Phase {
    Login(Box<Login>),
    Full(Box<Client>),
}

/// What a connection brought.
pub(super) enum News {
    LoggedIn(Tsih),
    Refused(LoginStatus),
    Event(Event),
}

/// Where PDUs go: into the outbox, past the monitor and the journal.
pub(super) struct Sink<'a> {
    outgoing: &'a mut Outgoing,
    monitor: &'a mut Conversation,
    journal: &'a mut Journal,
    place: (usize, Moment),
}

impl PduSink for Sink<'_> {
    fn pdu(&mut self, bhs: Bhs, ahs: &[u8], data: Bytes) {
        let mut whole = bhs;
        whole.set_data_segment_len(data.len() as u32);
        self.monitor.sent(&whole, &data);
        let digests = self.outgoing.digests;
        self.journal
            .pdu(self.place, Flow::Sent, &whole, &data, digests);
        self.outgoing.pdu(bhs, ahs, data);
    }
}

impl Link {
    /// A login; `session` is what the session has that a connection is brought to.
    pub(super) fn start(
        around: &mut Around,
        wire: usize,
        options: &LoginOptions,
        session: Option<Params>,
    ) -> Self {
        let mut login = Login::new(options, [7; 33]);
        let mut outgoing = Outgoing {
            outbox: Outbox::new(),
            digests: Digests::default(),
        };
        let mut monitor = session
            .clone()
            .map_or_else(Conversation::default, Conversation::joining);
        login.start(&mut Sink {
            outgoing: &mut outgoing,
            monitor: &mut monitor,
            journal: &mut around.journal,
            place: (wire, around.now),
        });
        let mut link = Self {
            wire,
            // The default until something else is declared (RFC 7143 13.12).
            framer: Framer::new(8192, RECEIVE_BYTES),
            outgoing,
            monitor,
            session,
            flying: BTreeMap::new(),
            managing: BTreeMap::new(),
            since: around.now,
            joins: options.tsih != Tsih(0),
            leaving: false,
            texts: false,
            broken: false,
            phase: Phase::Login(Box::new(login)),
        };
        link.flush(around);
        link
    }

    pub(super) fn wire(&self) -> usize {
        self.wire
    }

    /// Whether commands may be sent.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Full(_)) && !self.leaving && !self.broken
    }

    /// Whether something is in flight.
    pub(super) fn is_busy(&self) -> bool {
        let logging_in = matches!(self.phase, Phase::Login(_));
        logging_in || !self.flying.is_empty() || !self.managing.is_empty() || self.leaving
    }

    /// It is not listened to any more; its initiator begins anew.
    pub(super) fn give_up(&mut self) {
        self.broken = true;
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// When it was made, or asked to end.
    pub(super) fn since(&self) -> Moment {
        self.since
    }

    /// The next command that the target expects, as far as it said.
    pub(super) fn exp_cmd_sn(&self) -> Option<Serial> {
        match &self.phase {
            Phase::Full(client) => Some(client.numbering.exp_cmd_sn),
            Phase::Login(_) => None,
        }
    }

    pub(super) fn params(&self) -> Option<&Params> {
        match &self.phase {
            Phase::Full(client) => Some(client.params()),
            Phase::Login(_) => None,
        }
    }

    pub(super) fn describe(&self) -> String {
        match &self.phase {
            Phase::Login(_) => "is logging in".to_owned(),
            Phase::Full(_) if self.leaving => "is logging out".to_owned(),
            Phase::Full(_) => format!(
                "waits for {} commands and {} functions",
                self.flying.len(),
                self.managing.len()
            ),
        }
    }

    pub(super) fn take_flying(&mut self) -> Vec<Flying> {
        std::mem::take(&mut self.flying).into_values().collect()
    }

    /// When somebody waits too long.
    pub(super) fn deadline(&self) -> Option<Moment> {
        let login = match &self.phase {
            Phase::Login(_) => Some(self.since.plus(LOGIN_WAIT)),
            Phase::Full(_) if self.leaving => Some(self.since.plus(LOGIN_WAIT)),
            Phase::Full(_) => None,
        };
        let commands = self.flying.values().filter(|flying| !flying.aborting);
        let commands = commands.map(|flying| flying.sent.plus(COMMAND_WAIT));
        let functions = self.managing.values();
        let functions = functions.map(|managed| managed.sent.plus(MANAGE_WAIT));
        login.into_iter().chain(commands).chain(functions).min()
    }

    /// The machine and where it puts its PDUs.
    pub(super) fn client<'a>(
        &'a mut self,
        around: &'a mut Around,
    ) -> Option<(&'a mut Client, Sink<'a>)> {
        let Phase::Full(client) = &mut self.phase else {
            return None;
        };
        let sink = Sink {
            outgoing: &mut self.outgoing,
            monitor: &mut self.monitor,
            journal: &mut around.journal,
            place: (self.wire, around.now),
        };
        Some((client, sink))
    }

    pub(super) fn logout(&mut self, around: &mut Around, reason: LogoutReason) {
        self.leaving = true;
        self.since = around.now;
        if let Some((client, mut sink)) = self.client(around) {
            client.logout(reason, Cid(0), &mut sink);
        }
        self.flush(around);
    }

    /// Sends what goes; false where nobody is there any more.
    pub(super) fn flush(&mut self, around: &mut Around) -> bool {
        let outbox = &mut self.outgoing.outbox;
        while !outbox.is_empty() {
            if around.wires[self.wire].pipe(Way::In).is_dead() {
                return false;
            }
            let room = around.room(self.wire, Way::In);
            if room == 0 {
                return true;
            }
            let mut slices = Vec::new();
            outbox.slices(&mut slices);
            let count = around.send(self.wire, Way::In, &slices, room);
            drop(slices);
            outbox.advance(count, drop);
        }
        true
    }

    /// Reads all there is; false where the connection is over.
    pub(super) fn read(&mut self, around: &mut Around, news: &mut Vec<News>) -> bool {
        loop {
            let space = self.framer.space();
            let count = around.read(self.wire, Way::Out, space);
            if count == 0 {
                return !self.broken && !around.is_at_end(self.wire, Way::Out);
            }
            self.framer.filled(count);
            if let Err(why) = self.parse(around, news) {
                around.complain(Oracle::Protocol, why);
                self.broken = true;
            }
            if self.broken {
                around.reset(self.wire);
                return false;
            }
        }
    }

    fn parse(&mut self, around: &mut Around, news: &mut Vec<News>) -> Result<(), String> {
        loop {
            let frame = match self.framer.next(|_| None) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(why) => return Err(format!("the target sent what is no iSCSI: {why}")),
            };
            let bhs = frame.bhs;
            if !frame.data_digest_ok {
                return Err(format!("{} with a wrong data digest", bhs.opcode()));
            }
            let Data::Inline(data) = frame.data else {
                return Err("nothing was to be placed".to_owned());
            };
            let digests = self.outgoing.digests;
            let place = (self.wire, around.now);
            around
                .journal
                .pdu(place, Flow::Received, &bhs, data, digests);
            if let Some(breach) = self.monitor.received(&bhs, data).first() {
                return Err(breach.to_string());
            }
            let mut sink = Sink {
                outgoing: &mut self.outgoing,
                monitor: &mut self.monitor,
                journal: &mut around.journal,
                place,
            };
            match &mut self.phase {
                Phase::Full(client) => {
                    let heard = client.receive(&bhs, data, &mut sink);
                    heard.map_err(|why| why.to_string())?;
                    while let Some(event) = client.next_event() {
                        news.push(News::Event(event));
                    }
                }
                Phase::Login(login) => {
                    let response = match Response::decode(&bhs) {
                        Ok(Response::Login(response)) => response,
                        _ => return Err(format!("{} during login", bhs.opcode())),
                    };
                    match login.receive(&response, data, &mut sink) {
                        Ok(None) => {}
                        Ok(Some(mut established)) => {
                            if let Some(session) = self.session.take() {
                                established.params = joined(session, &established.params);
                            }
                            let params = &established.params;
                            self.framer.set_digests(params.digests);
                            self.framer
                                .set_max_data_segment(params.own_max_recv_data_segment);
                            self.outgoing.digests = params.digests;
                            let tsih = established.tsih;
                            let mut client = Client::new(established);
                            if self.joins {
                                // What was lost with the old connection is not sent again.
                                client.numbering.cmd_sn = client.numbering.exp_cmd_sn;
                            }
                            self.phase = Phase::Full(Box::new(client));
                            news.push(News::LoggedIn(tsih));
                        }
                        Err(Refusal::Status(status)) => news.push(News::Refused(status)),
                        Err(why) => return Err(format!("login: {why}")),
                    }
                }
            }
        }
    }
}

/// What holds on a connection that was brought to a session: of its own are the digests and how much
/// either side takes at a time (RFC 7143 13).
fn joined(session: Params, connection: &Params) -> Params {
    Params {
        digests: connection.digests,
        peer_max_recv_data_segment: connection.peer_max_recv_data_segment,
        own_max_recv_data_segment: connection.own_max_recv_data_segment,
        ..session
    }
}
