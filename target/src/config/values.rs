//! What single values may be, wherever they come from.

use std::time::Duration;

use block::BlockSize;
use engine::ChapCredential;
use iscsi::IscsiName;

use super::{Unfit, quantity};

/// What an iSCSI name looks like, for messages.
pub(super) const NAME_ALLOWED: &str =
    "a name like iqn.2026-01.com.example:disk, eui.02004567a425678d or naa.…, at most 223 bytes";

/// A node's name (RFC 7143 4.2.7).
pub fn name(text: &str) -> Result<IscsiName, Unfit> {
    IscsiName::parse(text)
        .map_err(|_| Unfit::new(format!("\"{text}\" is no iSCSI name"), NAME_ALLOWED))
}

pub(super) const USER_ALLOWED: &str = "a CHAP user name of 1 to 255 bytes";
pub(super) const SECRET_ALLOWED: &str = "a secret of 12 to 255 bytes";

/// A CHAP name (CHAP_N) that fits a text value.
pub fn chap_user(name: &str) -> Result<(), Unfit> {
    match (1..=255).contains(&name.len()) && !name.contains('\0') {
        true => Ok(()),
        false => Err(Unfit::new("the user name does not fit", USER_ALLOWED)),
    }
}

/// A secret of 96 bits or more (RFC 7143 9.2.1).
pub fn chap_secret(secret: &str) -> Result<(), Unfit> {
    match secret.len() {
        12..=255 => Ok(()),
        len => Err(Unfit::new(
            format!("the secret has {len} bytes"),
            SECRET_ALLOWED,
        )),
    }
}

/// Refuses one secret for both directions (RFC 7143 9.2.1).
pub fn secrets_differ(one: &ChapCredential, other: &ChapCredential) -> Result<(), Unfit> {
    if one.secret == other.secret {
        Err(same_secret())
    } else {
        Ok(())
    }
}

pub(super) fn same_secret() -> Unfit {
    Unfit::new(
        "the same secret serves both directions",
        "different secrets for chap and mutual (RFC 7143 9.2.1)",
    )
}

/// A serial number that fits VPD page 80h.
pub(super) fn serial(text: &str) -> Result<String, Unfit> {
    let graphic = text.bytes().all(|byte| byte.is_ascii_graphic());
    match graphic && (1..=scsi::SERIAL_CHARS_MAX).contains(&text.len()) {
        true => Ok(text.to_owned()),
        false => Err(Unfit::new(
            format!("\"{text}\" is no serial number"),
            format!(
                "1 to {} letters, digits or signs, no space",
                scsi::SERIAL_CHARS_MAX
            ),
        )),
    }
}

/// Whether plain writes may be cached.
pub(super) fn cache(text: &str) -> Result<bool, Unfit> {
    match text {
        "write-through" => Ok(false),
        "write-back" => Ok(true),
        _ => Err(Unfit::new(
            format!("\"{text}\" is no cache mode"),
            "\"write-through\" (every write that is answered is durable) or \"write-back\"",
        )),
    }
}

/// Bytes per logical block.
pub(super) fn block_size(bytes: i64) -> Result<BlockSize, Unfit> {
    u32::try_from(bytes)
        .ok()
        .and_then(BlockSize::new)
        .ok_or_else(|| Unfit::new(format!("{bytes} is no block size"), "512 or 4096"))
}

/// Above a hiccup of the network, below the 30 s after which initiators abort commands.
pub fn storage_timeout(text: &str) -> Result<Duration, Unfit> {
    let range = Duration::from_secs(1)..=Duration::from_secs(28);
    let timeout = quantity::duration(text)?;
    match range.contains(&timeout) {
        true => Ok(timeout),
        false => Err(Unfit::new(
            format!("\"{text}\" is out of range"),
            "from 1s to 28s, below the 30 s after which initiators abort commands",
        )),
    }
}

/// At least one largest command, so that every command can be served.
pub(super) fn session_memory(text: &str) -> Result<usize, Unfit> {
    let bytes = quantity::bytes(text)?;
    let range = u64::from(scsi::TRANSFER_BYTES_MAX)..=4 << 30;
    match usize::try_from(bytes) {
        Ok(fits) if range.contains(&bytes) => Ok(fits),
        _ => Err(Unfit::new(
            format!("\"{text}\" is out of range"),
            format!(
                "from {} to {}",
                quantity::Bytes(*range.start()),
                quantity::Bytes(*range.end())
            ),
        )),
    }
}

/// A target's name for people (TargetAlias).
pub(super) fn alias(text: &str) -> Result<String, Unfit> {
    match (1..=255).contains(&text.len()) && !text.contains('\0') {
        true => Ok(text.to_owned()),
        false => Err(Unfit::new("the text does not fit", "1 to 255 bytes")),
    }
}
