//! A line of a conversation, taken apart; and a PDU of the target, as such a line would say it.

use iscsi::pdu::Response;
use iscsi::{Itt, Ttt};

use crate::wire::Heard;

/// `verb FLAG field=value Key=Text …`
pub(crate) struct Words<'a> {
    pub(crate) verb: &'a str,
    rest: Vec<&'a str>,
}

impl<'a> Words<'a> {
    pub(crate) fn of(line: &'a str) -> Self {
        let mut words = line.split_whitespace();
        let verb = words.next().unwrap_or_default();
        Self {
            verb,
            rest: words.collect(),
        }
    }

    pub(crate) fn all(&self) -> &[&'a str] {
        &self.rest
    }

    pub(crate) fn has(&self, flag: &str) -> bool {
        self.rest.contains(&flag)
    }

    pub(crate) fn field(&self, name: &str) -> Option<&'a str> {
        self.rest.iter().find_map(|word| {
            let (key, value) = word.split_once('=')?;
            (key == name).then_some(value)
        })
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.field(name).map(number)
    }

    pub(crate) fn u32(&self, name: &str, default: u32) -> u32 {
        self.number(name).map_or(default, |value| value as u32)
    }

    /// The words that are text keys: those that begin with a capital.
    pub(crate) fn text(&self) -> Vec<u8> {
        let is_key = |word: &&&str| {
            word.contains('=') && word.starts_with(|first: char| first.is_ascii_uppercase())
        };
        let keys = self.rest.iter().filter(is_key);
        keys.flat_map(|key| [key.as_bytes(), b"\0"].concat())
            .collect()
    }
}

/// `12`, `0x1f`, `64k`, `1m`.
pub(crate) fn number(text: &str) -> u64 {
    let parsed = if let Some(hex) = text.strip_prefix("0x") {
        u64::from_str_radix(hex, 16)
    } else if let Some(kibi) = text.strip_suffix('k') {
        kibi.parse().map(|n: u64| n << 10)
    } else if let Some(mebi) = text.strip_suffix('m') {
        mebi.parse().map(|n: u64| n << 20)
    } else {
        text.parse()
    };
    parsed.unwrap_or_else(|_| panic!("{text} is no number"))
}

fn status(code: u8) -> String {
    scsi::Status(code)
        .to_string()
        .to_lowercase()
        .replace(' ', "-")
}

/// Words for what is set only.
#[derive(Default)]
struct Line(Vec<String>);

impl Line {
    fn word(mut self, word: impl Into<String>) -> Self {
        self.0.push(word.into());
        self
    }

    fn field(self, name: &str, value: impl std::fmt::Display) -> Self {
        self.word(format!("{name}={value}"))
    }

    fn flag(self, set: bool, name: &str) -> Self {
        if set { self.word(name) } else { self }
    }

    fn itt(self, itt: Itt) -> Self {
        match itt {
            Itt::RESERVED => self.word("itt=none"),
            Itt(itt) => self.field("itt", itt),
        }
    }

    fn ttt(self, ttt: Ttt) -> Self {
        self.flag(ttt == Ttt::RESERVED, "ttt=none")
            .flag(ttt != Ttt::RESERVED, "ttt=some")
    }

    fn residual(self, overflow: bool, underflow: bool, count: u32) -> Self {
        match (overflow, underflow) {
            (true, false) => self.field("O", count),
            (false, true) => self.field("U", count),
            (false, false) => self.word("exact"),
            (true, true) => panic!("overflow and underflow"),
        }
    }

    fn text(mut self, data: &[u8]) -> Self {
        let text = std::str::from_utf8(data).expect("text");
        self.0
            .extend(text.split_terminator('\0').map(str::to_owned));
        self
    }
}

/// What the target said, in words.
pub(crate) fn tell(heard: &Heard) -> Vec<String> {
    let line = Line::default();
    let Heard { pdu, data } = heard;
    match pdu {
        Response::Login(p) => line
            .word("login")
            .itt(p.itt)
            .flag(p.transit, "T")
            .flag(p.cont, "C")
            .field("csg", p.csg.0)
            .field("nsg", p.nsg.0)
            .field("tsih", p.tsih.0)
            .field("exp", p.exp_cmd_sn)
            .field("max", p.max_cmd_sn)
            .field("status", format!("{:04x}", p.status.0))
            .text(data),
        Response::NopIn(p) => line
            .word("nop-in")
            .itt(p.itt)
            .ttt(p.ttt)
            .field("exp", p.exp_cmd_sn)
            .field("max", p.max_cmd_sn)
            .field("len", data.len()),
        Response::Text(p) => line
            .word("text")
            .itt(p.itt)
            .ttt(p.ttt)
            .flag(p.is_final, "F")
            .flag(p.cont, "C")
            .field("len", data.len())
            .text(data),
        Response::Logout(p) => line
            .word("logout")
            .itt(p.itt)
            .field("result", p.result.0)
            .field("wait", p.time2wait)
            .field("retain", p.time2retain),
        Response::Async(p) => line
            .word("async")
            .field("event", p.event.0)
            .field("seconds", p.parameter3),
        Response::Reject(p) => {
            assert_eq!(data.len(), 48, "a Reject holds the header");
            line.word("reject")
                .field("reason", format!("{:02x}", p.reason.0))
                .field("exp", p.exp_cmd_sn)
        }
        _ => tell_task(line, heard),
    }
    .0
}

/// What concerns one SCSI command.
fn tell_task(line: Line, Heard { pdu, data }: &Heard) -> Line {
    match pdu {
        Response::ScsiResponse(p) => {
            let line = line
                .word("status")
                .itt(p.itt)
                .word(status(p.status))
                .field("pdus", p.exp_data_sn)
                .residual(p.overflow, p.underflow, p.residual);
            if data.is_empty() {
                return line;
            }
            assert_eq!(data[..2], 18_u16.to_be_bytes(), "SenseLength");
            assert_eq!(data.len(), 20);
            let (key, asc, ascq) = (data[4], data[14], data[15]);
            line.word(format!("sense={key:02x}/{asc:02x}/{ascq:02x}"))
        }
        Response::DataIn(p) => line
            .word("data-in")
            .itt(p.itt)
            .field("sn", p.data_sn)
            .field("off", p.buffer_offset)
            .field("len", data.len())
            .field("exp", p.exp_cmd_sn)
            .field("max", p.max_cmd_sn)
            .flag(p.is_final, "F")
            .flag(p.has_status, "S")
            .residual(p.overflow, p.underflow, p.residual),
        Response::R2t(p) => line
            .word("r2t")
            .itt(p.itt)
            .field("sn", p.r2t_sn)
            .field("off", p.buffer_offset)
            .field("len", p.desired_len),
        Response::TaskManagement(p) => line.word("tmf").itt(p.itt).field("response", p.response.0),
        other => panic!("no words for {other:?}"),
    }
}
