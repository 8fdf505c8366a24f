//! What the disk scenarios judge by: patterns, senses with their names, and the questions asked
//! again and again. Each answers with the finding to report.

use std::fmt::Display;

use initiator_sim::{LoginOptions, Outcome, Sense, Session};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

use crate::context::Context;
use crate::scenario::{Finding, expect};

/// ILLEGAL REQUEST, INVALID COMMAND OPERATION CODE.
pub(super) const INVALID_OPCODE: Sense = sense(0x05, 0x20, 0x00);
/// ILLEGAL REQUEST, LOGICAL BLOCK ADDRESS OUT OF RANGE.
pub(super) const LBA_OUT_OF_RANGE: Sense = sense(0x05, 0x21, 0x00);
/// ILLEGAL REQUEST, INVALID FIELD IN CDB.
pub(super) const INVALID_FIELD_IN_CDB: Sense = sense(0x05, 0x24, 0x00);
/// ILLEGAL REQUEST, LOGICAL UNIT NOT SUPPORTED.
pub(super) const LUN_NOT_SUPPORTED: Sense = sense(0x05, 0x25, 0x00);
/// ABORTED COMMAND, WRITE ERROR - UNEXPECTED UNSOLICITED DATA.
pub(super) const UNEXPECTED_UNSOLICITED_DATA: Sense = sense(0x0b, 0x0c, 0x0c);
/// ABORTED COMMAND, WRITE ERROR - NOT ENOUGH UNSOLICITED DATA: RFC 7143 calls the condition
/// "incorrect amount of data".
pub(super) const INCORRECT_AMOUNT_OF_DATA: Sense = sense(0x0b, 0x0c, 0x0d);
/// ABORTED COMMAND, PROTOCOL SERVICE CRC ERROR.
pub(super) const PROTOCOL_SERVICE_CRC_ERROR: Sense = sense(0x0b, 0x47, 0x05);

const fn sense(key: u8, asc: u8, ascq: u8) -> Sense {
    Sense { key, asc, ascq }
}

/// A session of another I_T nexus than [`Context::session`] opens.
pub(super) async fn witness(ctx: &Context) -> Result<Session, Finding> {
    ctx.session_with(ctx.login_options().qualifier(0x7717))
        .await
}

/// A login that makes bursts short, so that a few blocks exercise all of them.
pub(super) fn short_bursts(ctx: &Context, immediate_data: bool, initial_r2t: bool) -> LoginOptions {
    ctx.login_options()
        .write_mode(immediate_data, initial_r2t)
        .key("FirstBurstLength", "8192")
        .key("MaxBurstLength", "16384")
}

/// `len` bytes that repeat nowhere and are the same for the same `seed`.
pub(super) fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

/// As [`pattern`], in whole blocks of this session's disk.
pub(super) fn blocks_of(session: &Session, seed: u64, blocks: u32) -> Vec<u8> {
    pattern(seed, (blocks * session.block_size) as usize)
}

/// The last block, when a ten byte CDB can name it.
pub(super) fn last_lba(ctx: &Context) -> Result<u32, Finding> {
    u32::try_from(ctx.blocks() - 1)
        .map_err(|_| Finding::Skip("the disk has more blocks than a ten byte CDB can name".into()))
}

/// The command ended GOOD.
pub(super) fn good(what: &str, outcome: &Outcome) -> Result<(), Finding> {
    expect(outcome.is_good(), &format!("{what}: GOOD"), outcome)
}

/// The command ended in CHECK CONDITION with this sense, and with sense data worth the name.
pub(super) fn refused(what: &str, outcome: &Outcome, sense: Sense) -> Result<(), Finding> {
    let is_check = outcome.response == 0 && outcome.status == Outcome::CHECK_CONDITION;
    let expected = format!("{what}: CHECK CONDITION, {sense}");
    expect(is_check && outcome.sense == Some(sense), &expected, outcome)
}

/// The disk holds `expected` from `lba` on, seen through this session.
pub(super) async fn holds(
    session: &mut Session,
    ctx: &Context,
    lba: u64,
    expected: &[u8],
) -> Result<(), Finding> {
    let block = session.block_size as usize;
    let stride = (128 * 1024 / block).max(1) * block;
    for (index, piece) in expected.chunks(stride).enumerate() {
        let at = lba + (index * stride / block) as u64;
        let blocks = u32::try_from(piece.len() / block).expect("a stride is short");
        let outcome = session.read16(ctx.lun(), at, blocks).await?;
        good("READ(16) to compare", &outcome)?;
        same(
            &format!("the disk from block {at} on"),
            piece,
            &outcome.data,
            block,
        )?;
    }
    Ok(())
}

/// As `expect_eq`, for values that say their own names.
pub(super) fn expect_named<T: PartialEq + Display>(
    what: &str,
    due: T,
    actual: T,
) -> Result<(), Finding> {
    expect(actual == due, &format!("{what}: {due}"), actual)
}

/// Both are the same bytes; otherwise where they part, in blocks of `block` bytes.
pub(super) fn same(
    what: &str,
    expected: &[u8],
    actual: &[u8],
    block: usize,
) -> Result<(), Finding> {
    if expected == actual {
        return Ok(());
    }
    if expected.len() != actual.len() {
        let expected = format!("{what}: {} bytes", expected.len());
        return Err(Finding::fail(expected, format!("{} bytes", actual.len())));
    }
    let at = expected
        .iter()
        .zip(actual)
        .position(|(left, right)| left != right)
        .unwrap_or(0);
    let zero = actual[at..].iter().take(block).all(|byte| *byte == 0);
    Err(Finding::fail(
        format!("{what}: what was written"),
        format!(
            "{} from byte {at} on (block {})",
            if zero { "zeros" } else { "other bytes" },
            at / block
        ),
    ))
}
