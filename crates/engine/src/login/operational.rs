//! LoginOperationalNegotiation: the keys of RFC 7143 13.

use iscsi::keys::{self, Offer, Phase, Responder, TextBuffer, Use};

use super::Refusal;

/// Answers each pair in order.
pub(super) fn negotiate(
    responder: &mut Responder,
    pairs: &[(&str, &str)],
    discovery: bool,
    answer: &mut TextBuffer,
) -> Result<(), Refusal> {
    let phase = if discovery {
        Phase::DiscoveryLogin
    } else {
        Phase::LeadingLogin
    };
    for (key, value) in pairs {
        match responder.receive(key, value, phase) {
            Ok(Some(reply)) => answer.push(key, &reply),
            Ok(None) => {}
            Err(_) => {
                return Err(Refusal::initiator_error(
                    "a key that may not come now, or twice",
                ));
            }
        }
    }
    Ok(())
}

/// RFC 7143 13: whether there are keys that only the leading connection may negotiate.
pub(super) fn has_leading_keys(pairs: &[(&str, &str)]) -> bool {
    let leading = |key: &str| keys::find(key).is_some_and(|row| row.usage == Use::LeadingOnly);
    pairs.iter().any(|(key, _)| leading(key))
}

/// What we tell unasked, once.
pub(super) fn declare(offer: &Offer, alias: Option<&str>, answer: &mut TextBuffer) {
    if let Some(alias) = alias {
        answer.push("TargetAlias", alias);
    }
    answer.push(
        "MaxRecvDataSegmentLength",
        &offer.max_recv_data_segment.to_string(),
    );
}
