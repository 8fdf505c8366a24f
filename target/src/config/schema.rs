//! The file as it is written: every key there is, nothing interpreted.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

pub(super) type Text = Spanned<String>;
pub(super) type Number = Spanned<i64>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) node: Node,
    #[serde(default)]
    pub(super) target: Vec<Spanned<Target>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Node {
    pub(super) listen: Option<Spanned<Vec<Text>>>,
    pub(super) workers: Option<Number>,
    pub(super) queue_depth: Option<Number>,
    pub(super) session_memory: Option<Text>,
    pub(super) sessions_max: Option<Number>,
    pub(super) half_open_max: Option<Number>,
    pub(super) login_timeout: Option<Text>,
    pub(super) ping_interval: Option<Text>,
    pub(super) ping_timeout: Option<Text>,
    pub(super) shutdown_grace: Option<Text>,
    pub(super) header_digest: Option<Spanned<Vec<Text>>>,
    pub(super) data_digest: Option<Spanned<Vec<Text>>>,
    pub(super) discovery: Option<Discovery>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Discovery {
    pub(super) chap: Option<Spanned<OneOrMore>>,
    pub(super) mutual: Option<Spanned<Chap>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    pub(super) name: Option<Text>,
    pub(super) alias: Option<Text>,
    pub(super) initiators: Option<Spanned<Vec<Text>>>,
    pub(super) chap: Option<Spanned<OneOrMore>>,
    pub(super) mutual: Option<Spanned<Chap>>,
    #[serde(default)]
    pub(super) lun: Vec<Spanned<Lun>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lun {
    pub(super) lun: Option<Number>,
    pub(super) store: Option<Text>,
    pub(super) cache: Option<Text>,
    pub(super) block_size: Option<Number>,
    pub(super) serial: Option<Text>,
    pub(super) storage_timeout: Option<Text>,
    #[serde(default)]
    pub(super) read_only: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Chap {
    pub(super) user: Option<Text>,
    pub(super) secret: Option<Spanned<Secret>>,
}

/// A string that no error message quotes.
pub(super) struct Secret(pub(super) String);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => Ok(Self(text)),
            _ => Err(serde::de::Error::custom("a secret is a string in quotes")),
        }
    }
}

/// `chap = { … }` or `chap = [{ … }, { … }]`.
pub(super) struct OneOrMore(pub(super) Vec<Chap>);

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tables;
        impl<'de> Visitor<'de> for Tables {
            type Value = Vec<Chap>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table with user and secret, or a list of such tables")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Ok(vec![Chap::deserialize(MapAccessDeserializer::new(map))?])
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq))
            }
        }
        deserializer.deserialize_any(Tables).map(Self)
    }
}
