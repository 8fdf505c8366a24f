//! From the file as written to a configuration that means something. The first thing that is wrong
//! ends it, with the place, the key and what would be right.

mod chap;
mod target;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use iscsi::keys::DigestChoice;
use toml::Spanned;

use super::refusal::{Refusal, Unfit};
use super::schema::{self, Number, Text};
use super::source::Source;
use super::{ServerConfig, quantity, values};

type Checked<T> = Result<T, Refusal>;

struct Checker<'a> {
    source: &'a Source<'a>,
    /// The key of everything that must not occur twice, by what it is.
    seen: BTreeMap<String, String>,
    /// Secrets by direction, with the key and place they were first seen at.
    secrets: Vec<(Direction, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    InitiatorProves,
    TargetProves,
}

pub(super) fn check(source: &Source<'_>) -> Checked<ServerConfig> {
    let file: schema::File = toml::from_str(source.text).map_err(|why| no_toml(source, &why))?;
    let mut checker = Checker {
        source,
        seen: BTreeMap::new(),
        secrets: Vec::new(),
    };
    let mut config = ServerConfig::default();
    checker.node(&file.node, &mut config)?;
    for (index, target) in file.target.iter().enumerate() {
        let target = checker.target(&format!("target[{index}]"), target)?;
        config.targets.push(target);
    }
    if config.targets.is_empty() {
        let end = source.text.len();
        return checker.refuse(
            end..end,
            "target",
            "there is no target",
            "one [[target]] or more",
        );
    }
    Ok(config)
}

/// What TOML or the schema says, without the values it quotes or the line holds: one could be a
/// misplaced secret.
fn no_toml(source: &Source<'_>, why: &toml::de::Error) -> Refusal {
    let span = why.span().unwrap_or(0..0);
    let message = why.message().trim().replace('\n', ", ");
    let (what, allowed) = message
        .split_once(", expected ")
        .unwrap_or((&message, TOML_ALLOWED));
    let allowed = match allowed {
        "i64" => "a whole number",
        "literal string" => "a string in quotes, a number, true or false",
        other => other,
    };
    let (what, key) = match what.starts_with("unknown field") {
        true => (what, source.text.get(span.clone()).unwrap_or("")),
        false => (what.split(['"', '`']).next().unwrap_or(what).trim_end(), ""),
    };
    let source = source.with_unknown_keys();
    Refusal::new(&source, span, key, Unfit::new(what, allowed))
}

const TOML_ALLOWED: &str = "TOML with the keys of docs/operating.md";

impl Checker<'_> {
    fn refuse<T>(&self, span: Range<usize>, key: &str, what: &str, allowed: &str) -> Checked<T> {
        Err(Refusal::new(
            self.source,
            span,
            key,
            Unfit::new(what, allowed),
        ))
    }

    /// Attaches place and key to what a value's parser says.
    fn fits<T>(&self, span: Range<usize>, key: &str, result: Result<T, Unfit>) -> Checked<T> {
        result.map_err(|unfit| Refusal::new(self.source, span, key, unfit))
    }

    fn value<T>(
        &self,
        text: &Text,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, Unfit>,
    ) -> Checked<T> {
        self.fits(text.span(), key, parse(text.get_ref()))
    }

    /// Refuses what is there already.
    fn once(&mut self, span: Range<usize>, key: &str, what: String, allowed: &str) -> Checked<()> {
        match self.seen.insert(what.clone(), key.to_owned()) {
            None => Ok(()),
            Some(first) => self.refuse(
                span,
                key,
                &format!("{what} is there already, as {first}"),
                allowed,
            ),
        }
    }

    fn node(&mut self, node: &schema::Node, config: &mut ServerConfig) -> Checked<()> {
        config.listen = self.listen(node.listen.as_ref())?;
        let limits = &mut config.node;
        self.number(&node.workers, "node.workers", 1..=64, &mut config.workers)?;
        self.number(
            &node.half_open_max,
            "node.half_open_max",
            16..=65536,
            &mut config.half_open_max,
        )?;
        self.number(
            &node.queue_depth,
            "node.queue_depth",
            1..=4096,
            &mut limits.queue_depth,
        )?;
        self.number(
            &node.sessions_max,
            "node.sessions_max",
            1..=65535,
            &mut limits.sessions_max,
        )?;
        if let Some(text) = &node.session_memory {
            let bytes = self.value(text, "node.session_memory", values::session_memory)?;
            limits.session_memory_bytes = bytes;
        }
        self.times(node, config)?;
        let limits = &mut config.node;
        let offer = &mut limits.offer;
        self.digests(
            &node.header_digest,
            "node.header_digest",
            &mut offer.header_digest,
        )?;
        self.digests(
            &node.data_digest,
            "node.data_digest",
            &mut offer.data_digest,
        )?;
        if let Some(discovery) = &node.discovery {
            let at = "node.discovery";
            limits.discovery_chap = self.users(at, discovery.chap.as_ref())?;
            limits.discovery_mutual = self.mutual(
                at,
                discovery.mutual.as_ref(),
                !limits.discovery_chap.is_empty(),
            )?;
        }
        Ok(())
    }

    fn times(&self, node: &schema::Node, config: &mut ServerConfig) -> Checked<()> {
        let limits = &mut config.node;
        let hour = Duration::from_secs(3600);
        let second = Duration::from_secs(1);
        self.time(
            &node.login_timeout,
            "node.login_timeout",
            second..=hour,
            &mut limits.login_timeout,
        )?;
        self.time(
            &node.ping_timeout,
            "node.ping_timeout",
            second..=hour,
            &mut limits.ping_timeout,
        )?;
        // Zero: never.
        let any = Duration::ZERO..=hour;
        self.time(
            &node.ping_interval,
            "node.ping_interval",
            any.clone(),
            &mut limits.ping_interval,
        )?;
        self.time(
            &node.shutdown_grace,
            "node.shutdown_grace",
            any,
            &mut config.shutdown_grace,
        )
    }

    fn listen(&mut self, listen: Option<&Spanned<Vec<Text>>>) -> Checked<Vec<SocketAddr>> {
        const KEY: &str = "node.listen";
        const ALLOWED: &str = "addresses with ports, for example [\"0.0.0.0:3260\", \"[::]:3260\"]";
        let Some(listen) = listen else {
            return Ok(vec![([0, 0, 0, 0], 3260).into()]);
        };
        if listen.get_ref().is_empty() {
            return self.refuse(listen.span(), KEY, "there is no address", ALLOWED);
        }
        let mut addresses = Vec::new();
        for text in listen.get_ref() {
            let Ok(address) = text.get_ref().parse::<SocketAddr>() else {
                let what = format!("\"{}\" is no address with a port", text.get_ref());
                return self.refuse(text.span(), KEY, &what, ALLOWED);
            };
            if address.port() != 0 {
                self.once(
                    text.span(),
                    KEY,
                    format!("address {address}"),
                    "each address once",
                )?;
            }
            addresses.push(address);
        }
        Ok(addresses)
    }

    /// The digests the target accepts; an initiator that offers none of them is refused.
    fn digests(
        &self,
        digests: &Option<Spanned<Vec<Text>>>,
        key: &str,
        into: &mut Vec<DigestChoice>,
    ) -> Checked<()> {
        const ALLOWED: &str = "a list of \"None\" and \"CRC32C\", at least one of them";
        let Some(digests) = digests else {
            return Ok(());
        };
        let mut chosen = Vec::new();
        for text in digests.get_ref() {
            chosen.push(match text.get_ref().as_str() {
                "None" => DigestChoice::None,
                "CRC32C" => DigestChoice::Crc32c,
                other => {
                    let what = format!("\"{other}\" is no digest");
                    return self.refuse(text.span(), key, &what, ALLOWED);
                }
            });
        }
        if chosen.is_empty() {
            return self.refuse(digests.span(), key, "nobody could log in", ALLOWED);
        }
        *into = chosen;
        Ok(())
    }

    fn number<T: TryFrom<i64>>(
        &self,
        number: &Option<Number>,
        key: &str,
        range: RangeInclusive<i64>,
        into: &mut T,
    ) -> Checked<()> {
        let Some(number) = number else { return Ok(()) };
        let value = *number.get_ref();
        match T::try_from(value) {
            Ok(fits) if range.contains(&value) => *into = fits,
            _ => {
                let allowed = format!("a number from {} to {}", range.start(), range.end());
                return self.refuse(
                    number.span(),
                    key,
                    &format!("{value} is out of range"),
                    &allowed,
                );
            }
        }
        Ok(())
    }

    fn time(
        &self,
        text: &Option<Text>,
        key: &str,
        range: RangeInclusive<Duration>,
        into: &mut Duration,
    ) -> Checked<()> {
        let Some(text) = text else { return Ok(()) };
        let value = self.value(text, key, quantity::duration)?;
        if !range.contains(&value) {
            let (from, to) = (range.start().as_secs(), range.end().as_secs());
            let what = format!("\"{}\" is out of range", text.get_ref());
            return self.refuse(text.span(), key, &what, &format!("from {from}s to {to}s"));
        }
        *into = value;
        Ok(())
    }
}
