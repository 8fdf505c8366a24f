//! Negotiation at login, key by key: result functions, bounds, and what a peer may say
//! (RFC 7143 6.2, 13). What follows from the results on the wire is in `terms`.

use initiator_sim::{LoginError, LoginOptions, Session};
use iscsi::{LoginStatus, Stage, keys};

use super::exchange::{Exchange, Heard, best_status, closes, text};
use crate::context::Context;
use crate::scenario;
use crate::scenario::{Finding, Scenario, expect, expect_eq};

/// All of this family.
pub fn scenarios() -> Vec<Scenario> {
    SCENARIOS.to_vec()
}

static SCENARIOS: &[Scenario] = &[
    scenario! {
        "keys.digest.order", "RFC 7143 6.2.1",
        "Of a list the target takes the first value it supports: None before CRC32C means None.",
        needs [];
        async |ctx| { digest_order(ctx).await }
    },
    scenario! {
        "keys.digest.unsupported", "RFC 7143 6.2.1",
        "A list without any supported value is answered with Reject, or ends the negotiation.",
        needs [];
        async |ctx| { unsupported_digest(ctx).await }
    },
    scenario! {
        "keys.max-connections", "RFC 7143 13.2",
        "MaxConnections is the minimum of both sides.",
        needs [];
        async |ctx| { number(ctx, "MaxConnections", Pick::Minimum, [1, 3, 65535]).await }
    },
    scenario! {
        "keys.initial-r2t", "RFC 7143 13.10",
        "InitialR2T is Yes if either side says so.",
        needs [];
        async |ctx| { boolean(ctx, "InitialR2T", Combine::Or).await }
    },
    scenario! {
        "keys.immediate-data", "RFC 7143 13.11",
        "ImmediateData is Yes only if both sides say so.",
        needs [];
        async |ctx| { boolean(ctx, "ImmediateData", Combine::And).await }
    },
    scenario! {
        "keys.max-recv-data-segment-length.declared", "RFC 7143 13.12",
        "MaxRecvDataSegmentLength is each side's own: from 512 to 16777215, and not negotiated.",
        needs [];
        async |ctx| { segment_declared(ctx).await }
    },
    scenario! {
        "keys.max-burst-length", "RFC 7143 13.13",
        "MaxBurstLength is the minimum of both sides.",
        needs [];
        async |ctx| {
            number(ctx, "MaxBurstLength", Pick::Minimum, [512, 66_000, 16_777_215]).await
        }
    },
    scenario! {
        "keys.first-burst-length", "RFC 7143 13.14",
        "FirstBurstLength is the minimum of both sides.",
        needs [];
        async |ctx| { number(ctx, "FirstBurstLength", Pick::Minimum, [512, 5_000, 65_536]).await }
    },
    scenario! {
        "keys.first-burst-length.not-above-max-burst", "RFC 7143 13.14",
        "FirstBurstLength does not exceed MaxBurstLength.",
        needs [];
        async |ctx| { first_burst_below_max_burst(ctx).await }
    },
    scenario! {
        "keys.first-burst-length.irrelevant", "RFC 7143 13.14",
        "With InitialR2T=Yes and ImmediateData=No, FirstBurstLength is irrelevant.",
        needs [];
        async |ctx| { irrelevant_first_burst(ctx).await }
    },
    scenario! {
        "keys.default-time2wait", "RFC 7143 13.15",
        "DefaultTime2Wait is the maximum of both sides.",
        needs [];
        async |ctx| { number(ctx, "DefaultTime2Wait", Pick::Maximum, [0, 40, 3600]).await }
    },
    scenario! {
        "keys.default-time2retain", "RFC 7143 13.16",
        "DefaultTime2Retain is the minimum of both sides.",
        needs [];
        async |ctx| { number(ctx, "DefaultTime2Retain", Pick::Minimum, [0, 40, 3600]).await }
    },
    scenario! {
        "keys.max-outstanding-r2t", "RFC 7143 13.17",
        "MaxOutstandingR2T is the minimum of both sides.",
        needs [];
        async |ctx| { number(ctx, "MaxOutstandingR2T", Pick::Minimum, [1, 3, 65535]).await }
    },
    scenario! {
        "keys.data-pdu-in-order", "RFC 7143 13.18",
        "DataPDUInOrder is Yes if either side says so.",
        needs [];
        async |ctx| { boolean(ctx, "DataPDUInOrder", Combine::Or).await }
    },
    scenario! {
        "keys.data-sequence-in-order", "RFC 7143 13.19",
        "DataSequenceInOrder is Yes if either side says so.",
        needs [];
        async |ctx| { boolean(ctx, "DataSequenceInOrder", Combine::Or).await }
    },
    scenario! {
        "keys.error-recovery-level", "RFC 7143 13.20",
        "ErrorRecoveryLevel is the minimum of both sides.",
        needs [];
        async |ctx| { number(ctx, "ErrorRecoveryLevel", Pick::Minimum, [0, 1, 2]).await }
    },
    scenario! {
        "keys.task-reporting", "RFC 7143 13.23",
        "TaskReporting is understood and answered with one of the values offered, or Reject.",
        needs [];
        async |ctx| { one_of(ctx, "TaskReporting", "FastAbort,ResponseFence,RFC3720").await }
    },
    scenario! {
        "keys.protocol-level", "RFC 7143 13.24",
        "iSCSIProtocolLevel is understood and is the minimum of both sides.",
        needs [];
        async |ctx| { number(ctx, "iSCSIProtocolLevel", Pick::Minimum, [0, 1, 31]).await }
    },
    scenario! {
        "keys.obsolete.markers", "RFC 7143 13.25",
        "The marker keys of RFC 3720 are turned down, but never with NotUnderstood.",
        needs [];
        async |ctx| { markers(ctx).await }
    },
    scenario! {
        "keys.node-architecture", "RFC 7143 13.26",
        "X#NodeArchitecture and InitiatorAlias are declarations that disturb no login.",
        needs [];
        async |ctx| { declarations(ctx).await }
    },
    scenario! {
        "keys.unknown", "RFC 7143 6.2",
        "A key that is not known is answered with NotUnderstood, and the login goes on.",
        needs [];
        async |ctx| { unknown_keys(ctx).await }
    },
    scenario! {
        "keys.out-of-range", "RFC 7143 6.2.2",
        "A value out of bounds is answered with Reject or with a value that is in bounds.",
        needs [];
        async |ctx| { out_of_range(ctx).await }
    },
    scenario! {
        "keys.hexadecimal", "RFC 7143 6.1",
        "A number may be written in decimal or in hexadecimal, with the same result.",
        needs [];
        async |ctx| { hexadecimal(ctx).await }
    },
    scenario! {
        "keys.twice.same-request", "RFC 7143 6.3",
        "A key offered twice in one request makes the target refuse the login.",
        needs [];
        async |ctx| { twice(ctx, true).await }
    },
    scenario! {
        "keys.twice.later-request", "RFC 7143 6.3",
        "A key offered again in a later request makes the target refuse the login.",
        needs [];
        async |ctx| { twice(ctx, false).await }
    },
    scenario! {
        "keys.answers.once", "RFC 7143 6.3",
        "The target itself says every key at most once, and no key that only initiators send.",
        needs [];
        async |ctx| { answers_once(ctx).await }
    },
    scenario! {
        "keys.answers.all", "RFC 7143 6.2.2",
        "Every number and every list offered is answered with the same key.",
        needs [];
        async |ctx| { answers_all(ctx).await }
    },
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pick {
    Minimum,
    Maximum,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Combine {
    And,
    Or,
}

/// A login that offers just this.
async fn offer(ctx: &Context, keys: &[(&str, &str)]) -> Result<Session, Finding> {
    let options: LoginOptions = ctx.login_options().only_keys(keys);
    Ok(Session::login(ctx.addr(), &options).await?)
}

/// Offers the lower bound, something inside, and the upper bound.
async fn number(
    ctx: Context,
    key: &str,
    pick: Pick,
    [low, inside, high]: [u64; 3],
) -> Result<(), Finding> {
    for offered in [low, inside, high] {
        let session = offer(&ctx, &[(key, &offered.to_string())]).await?;
        let answer = session.answer(key).unwrap_or("no answer").to_owned();
        let (from, to) = match pick {
            Pick::Minimum => (low, offered),
            Pick::Maximum => (offered, high),
        };
        expect(
            keys::number(&answer).is_some_and(|answer| (from..=to).contains(&answer)),
            &format!("{key} from {from} to {to} in answer to {offered}"),
            answer,
        )?;
        session.logout().await?;
    }
    Ok(())
}

/// An answer is optional where the offer alone decides (RFC 7143 6.2.2).
async fn boolean(ctx: Context, key: &str, combine: Combine) -> Result<(), Finding> {
    let (deciding, open) = match combine {
        Combine::And => ("No", "Yes"),
        Combine::Or => ("Yes", "No"),
    };
    let session = offer(&ctx, &[(key, deciding)]).await?;
    let answer = session.answer(key).map(str::to_owned);
    expect(
        answer.as_deref().is_none_or(|answer| answer == deciding),
        &format!("{key}={deciding}, which was offered and decides"),
        format!("{answer:?}"),
    )?;
    session.logout().await?;
    let session = offer(&ctx, &[(key, open)]).await?;
    let answer = session.answer(key).map(str::to_owned);
    expect(
        matches!(answer.as_deref(), Some("Yes" | "No")),
        &format!("{key} answered with Yes or No"),
        format!("{answer:?}"),
    )?;
    session.logout().await.map(drop).map_err(Finding::from)
}

async fn one_of(ctx: Context, key: &str, offered: &str) -> Result<(), Finding> {
    let session = offer(&ctx, &[(key, offered)]).await?;
    let answer = session.answer(key).unwrap_or("no answer").to_owned();
    let fits = answer == "Reject" || offered.split(',').any(|one| one == answer);
    expect(fits, &format!("one of {offered}, or Reject"), answer)
}

async fn digest_order(ctx: Context) -> Result<(), Finding> {
    for key in ["HeaderDigest", "DataDigest"] {
        let session = offer(&ctx, &[(key, "None,CRC32C")]).await?;
        expect_eq(key, Some("None"), session.answer(key))?;
        session.logout().await?;
        let mut session = offer(&ctx, &[(key, "CRC32C,None")]).await?;
        let answer = session.answer(key).map(str::to_owned);
        let one = matches!(answer.as_deref(), Some("CRC32C" | "None"));
        expect(one, &format!("{key} CRC32C or None"), format!("{answer:?}"))?;
        // Whatever was agreed on holds from here.
        session.nop(b"under the digest agreed on").await?;
    }
    Ok(())
}

async fn unsupported_digest(ctx: Context) -> Result<(), Finding> {
    let options = ctx
        .login_options()
        .only_keys(&[("HeaderDigest", "Y-com.example.sum")]);
    match Session::login(ctx.addr(), &options).await {
        Ok(mut session) => {
            expect_eq(
                "HeaderDigest",
                Some("Reject"),
                session.answer("HeaderDigest"),
            )?;
            // A rejected key keeps its value: no digest.
            Ok(session.nop(b"without a digest").await?)
        }
        Err(LoginError {
            status: Some(status),
            ..
        }) => expect(status.class() == 2, "Reject, or Status-Class 2", status),
        Err(error) => Err(error.into()),
    }
}

async fn segment_declared(ctx: Context) -> Result<(), Finding> {
    const KEY: &str = "MaxRecvDataSegmentLength";
    let mut said = Vec::new();
    for own in ["512", "16777215"] {
        let session = offer(&ctx, &[(KEY, own)]).await?;
        let declared = session.answer(KEY).map(str::to_owned);
        let bytes = declared
            .as_deref()
            .map(|value| keys::number(value).unwrap_or(0));
        let fits = bytes.is_none_or(|bytes| (512..=16_777_215).contains(&bytes));
        expect(
            fits,
            &format!("{KEY} from 512 to 16777215"),
            format!("{declared:?}"),
        )?;
        said.push(declared);
        session.logout().await?;
    }
    // The answer is no function of the offer: a target that "agrees" to our 512 misread the key.
    expect_eq(
        "the target's own length, whatever ours is",
        &said[1],
        &said[0],
    )
}

/// The last pair cannot both be granted; a wrong target grants each for itself.
async fn first_burst_below_max_burst(ctx: Context) -> Result<(), Finding> {
    const OFFERS: [(&str, &str); 3] = [
        ("16777215", "16777215"),
        ("4096", "4096"),
        ("4096", "65536"),
    ];
    for (max_burst, first_burst) in OFFERS {
        let options = ctx.login_options().only_keys(&[
            ("MaxBurstLength", max_burst),
            ("FirstBurstLength", first_burst),
        ]);
        let session = match Session::login(ctx.addr(), &options).await {
            Ok(session) => session,
            // An offer that contradicts itself may be turned down.
            Err(LoginError {
                status: Some(status),
                ..
            }) if status.class() == 2 && max_burst != first_burst => {
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let (first, max) = (
            session.answer("FirstBurstLength"),
            session.answer("MaxBurstLength"),
        );
        let numbers = (first.and_then(keys::number), max.and_then(keys::number));
        let fits = match numbers {
            (Some(first), Some(max)) => first <= max,
            _ => max_burst != first_burst && (first == Some("Reject") || max == Some("Reject")),
        };
        expect(
            fits,
            "FirstBurstLength ≤ MaxBurstLength",
            format!("{first:?}, {max:?}"),
        )?;
        session.logout().await?;
    }
    Ok(())
}

async fn irrelevant_first_burst(ctx: Context) -> Result<(), Finding> {
    const KEY: &str = "FirstBurstLength";
    let offered = [
        ("InitialR2T", "Yes"),
        ("ImmediateData", "No"),
        (KEY, "4096"),
    ];
    let session = offer(&ctx, &offered).await?;
    match session.answer(KEY) {
        Some("Irrelevant") => Ok(()),
        Some("Reject") => Err(Finding::weak("FirstBurstLength=Irrelevant", "Reject")),
        Some(value) if keys::number(value).is_some_and(|value| value <= 4096) => {
            Err(Finding::weak("FirstBurstLength=Irrelevant", value))
        }
        other => Err(Finding::fail(
            "FirstBurstLength=Irrelevant",
            format!("{other:?}"),
        )),
    }
}

async fn markers(ctx: Context) -> Result<(), Finding> {
    let offered = [
        ("IFMarker", "No"),
        ("OFMarker", "Yes"),
        ("IFMarkInt", "2048~4096"),
        ("OFMarkInt", "2048~4096"),
    ];
    let session = offer(&ctx, &offered).await?;
    for (key, _) in offered {
        let answer = session.answer(key);
        let fits = match key {
            // "No" decides AND, so that it needs no answer.
            "IFMarker" => matches!(answer, None | Some("Reject" | "No")),
            "OFMarker" => matches!(answer, Some("Reject" | "No")),
            _ => matches!(answer, Some("Reject" | "Irrelevant")),
        };
        expect(
            fits,
            &format!("{key} turned down, and understood"),
            format!("{answer:?}"),
        )?;
    }
    Ok(())
}

async fn declarations(ctx: Context) -> Result<(), Finding> {
    let mut options = ctx
        .login_options()
        .key("X#NodeArchitecture", "glint scenarios, any");
    options.initiator_alias = Some("the scenarios' initiator".to_owned());
    let mut session = Session::login(ctx.addr(), &options).await?;
    let answer = session.answer("InitiatorAlias");
    expect(
        answer.is_none(),
        "no answer to InitiatorAlias",
        format!("{answer:?}"),
    )?;
    Ok(session.nop(b"undisturbed").await?)
}

async fn unknown_keys(ctx: Context) -> Result<(), Finding> {
    let keys = ["X-com.example.unknown", "X#Unheard", "TheNextBigThing"];
    let offered = keys.map(|key| (key, "1"));
    let mut session = offer(&ctx, &offered).await?;
    for key in keys {
        expect_eq(key, Some("NotUnderstood"), session.answer(key))?;
    }
    Ok(session.nop(b"all the same").await?)
}

async fn out_of_range(ctx: Context) -> Result<(), Finding> {
    const OFFERS: [(&str, &str, u64, u64); 9] = [
        ("MaxConnections", "0", 1, 65535),
        ("MaxBurstLength", "511", 512, 16_777_215),
        ("MaxBurstLength", "16777216", 512, 16_777_215),
        ("FirstBurstLength", "511", 512, 16_777_215),
        ("MaxOutstandingR2T", "0", 1, 65535),
        ("DefaultTime2Wait", "3601", 0, 3600),
        ("DefaultTime2Retain", "3601", 0, 3600),
        ("ErrorRecoveryLevel", "3", 0, 2),
        ("ErrorRecoveryLevel", "18446744073709551616", 0, 2),
    ];
    for (key, value, from, to) in OFFERS {
        let options = ctx.login_options().only_keys(&[(key, value)]);
        match Session::login(ctx.addr(), &options).await {
            Ok(session) => {
                let answer = session.answer(key);
                let number = answer.and_then(keys::number);
                let fits = number.is_some_and(|number| (from..=to).contains(&number));
                expect(
                    fits || answer == Some("Reject"),
                    &format!("Reject, or {from} to {to}, in answer to {key}={value}"),
                    format!("{answer:?}"),
                )?;
                session.logout().await?;
            }
            Err(LoginError {
                status: Some(status),
                ..
            }) if status.class() == 2 => {
                let said = format!("{status} because of {key}={value}");
                return Err(Finding::weak("an answer to the key", said));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn hexadecimal(ctx: Context) -> Result<(), Finding> {
    let mut results = Vec::new();
    for written in ["16384", "0x4000", "0X4000"] {
        let session = offer(&ctx, &[("MaxBurstLength", written)]).await?;
        let answer = session.answer("MaxBurstLength").map(str::to_owned);
        let number = answer.as_deref().and_then(keys::number);
        let fits = number.is_some_and(|number| (512..=16384).contains(&number));
        expect(
            fits,
            &format!("an answer to {written}"),
            format!("{answer:?}"),
        )?;
        results.push(number);
        session.logout().await?;
    }
    expect_eq("the same result", vec![results[0]; 3], results)
}

async fn twice(ctx: Context, same_request: bool) -> Result<(), Finding> {
    const FIRST: (&str, &str) = ("MaxBurstLength", "65536");
    const AGAIN: (&str, &str) = ("MaxBurstLength", "32768");
    let mut exchange = Exchange::open(&ctx, &ctx.login_options()).await?;
    if same_request {
        let text = exchange.named(&[FIRST, ("MaxConnections", "1"), AGAIN]);
        exchange.send(Stage::OPERATIONAL, None, &text).await?;
    } else {
        let first = exchange.named(&[FIRST]);
        exchange.ask(Stage::OPERATIONAL, None, &first).await?;
        exchange
            .send(Stage::OPERATIONAL, None, &text([AGAIN]))
            .await?;
    }
    match exchange.hear().await? {
        Heard::Refusal(response) => {
            closes(&mut exchange.conn).await?;
            best_status(LoginStatus::INITIATOR_ERROR, response.status)
        }
        Heard::Answer(answer) => {
            let text = String::from_utf8_lossy(&answer.text).into_owned();
            Err(Finding::fail("a login reject (initiator error)", text))
        }
        Heard::Closed => Err(Finding::fail("a login reject", "closed without a word")),
    }
}

async fn answers_once(ctx: Context) -> Result<(), Finding> {
    const ONLY_INITIATORS: [&str; 4] = [
        "InitiatorName",
        "InitiatorAlias",
        "SessionType",
        "SendTargets",
    ];
    let session = Session::login(ctx.addr(), &ctx.login_options()).await?;
    let said = session.answered();
    for (place, (key, _)) in said.iter().enumerate() {
        let before = said[..place].iter().any(|(earlier, _)| earlier == key);
        // TargetAddress may come once per portal.
        expect(
            !before || key == "TargetAddress",
            "every key once",
            format!("{key} twice"),
        )?;
        expect(
            !ONLY_INITIATORS.contains(&key.as_str()),
            "keys of a target",
            key,
        )?;
    }
    Ok(())
}

async fn answers_all(ctx: Context) -> Result<(), Finding> {
    const DUE: [&str; 9] = [
        "HeaderDigest",
        "DataDigest",
        "MaxConnections",
        "MaxBurstLength",
        "FirstBurstLength",
        "DefaultTime2Wait",
        "DefaultTime2Retain",
        "MaxOutstandingR2T",
        "ErrorRecoveryLevel",
    ];
    let session = Session::login(ctx.addr(), &ctx.login_options()).await?;
    for key in DUE {
        let answer = session.answer(key);
        let fits = answer.is_some_and(|answer| answer != "NotUnderstood");
        expect(fits, &format!("an answer to {key}"), format!("{answer:?}"))?;
    }
    let objections = &session.record().objections;
    expect(
        objections.is_empty(),
        "answers that fit the offers",
        objections.join("; "),
    )
}
