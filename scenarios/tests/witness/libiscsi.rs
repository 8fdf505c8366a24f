//! libiscsi, called as a library: what an initiator written by others makes of `glintd`.

use libiscsi_sys::types::{ISCSI_HEADER_DIGEST_CRC32C, ISCSI_HEADER_DIGEST_NONE_CRC32C};
use libiscsi_sys::{Initiator, Outcome};
use libtest_mimic::{Failed, Trial};

use crate::server::{Server, TARGET};
use crate::tools::{Tool, trial};

const INITIATOR: &str = "iqn.2026-11.example.glint:judge";

/// 64 MiB in blocks of 512 bytes.
const BLOCKS: u64 = 131_072;
const BLOCK: u16 = 512;

/// CHAP: a user, a secret of the length RFC 7143 asks for, and one that is wrong.
const USER: &str = "alice";
const SECRET: &str = "alice-secret-12";
const WRONG_SECRET: &str = "alice-secret-13";

type Body = fn() -> Result<(), Failed>;

pub(crate) fn trials() -> Vec<Trial> {
    let bodies: [(&str, Body); 9] = [
        ("discovery", discovery),
        ("login", login),
        ("login_with_header_digest", login_with_header_digest),
        ("login_with_chap", login_with_chap),
        ("write_read_compare", write_read_compare),
        ("two_sessions_see_one_disk", two_sessions_see_one_disk),
        ("beyond_the_end", beyond_the_end),
        ("lun_reset", lun_reset),
        ("lun_reset_overtakes_a_write", lun_reset_overtakes_a_write),
    ];
    let bodies = bodies.into_iter();
    bodies
        .map(|(name, body)| trial(format!("libiscsi::{name}"), &[Tool::Libiscsi], body))
        .collect()
}

fn discovery() -> Result<(), Failed> {
    let server = Server::start()?;
    let found = Initiator::new(INITIATOR)?.discover(&server.portal)?;
    let [target] = &found[..] else {
        return Err(format!("found {found:?}").into());
    };
    same("the target's name", &target.name.as_str(), &TARGET)?;
    same(
        "its portals",
        &target.portals,
        &vec![format!("{},1", server.portal)],
    )?;
    server.stop()
}

fn login() -> Result<(), Failed> {
    let server = Server::start()?;
    let mut initiator = connect(&server)?;
    initiator.test_unit_ready(0)?.good()?;
    initiator.logout()?;
    let unknown = "iqn.2026-11.example.glint:nobody";
    let refused = Initiator::new(INITIATOR)?.login(&server.portal, unknown, 0);
    refused
        .err()
        .ok_or("a target that does not exist let us in")?;
    server.stop()
}

fn login_with_header_digest() -> Result<(), Failed> {
    let server = Server::start()?;
    for digest in [ISCSI_HEADER_DIGEST_CRC32C, ISCSI_HEADER_DIGEST_NONE_CRC32C] {
        let mut initiator = Initiator::new(INITIATOR)?;
        initiator.header_digest(digest)?;
        initiator.login(&server.portal, TARGET, 0)?;
        let data = pattern(digest, 100 * usize::from(BLOCK));
        initiator.write_10(0, 0, &data, BLOCK)?.good()?;
        same(
            "the data",
            &initiator.read_10(0, 0, length(&data), BLOCK)?.good()?,
            &data,
        )?;
        initiator.logout()?;
    }
    server.stop()
}

fn login_with_chap() -> Result<(), Failed> {
    let chap = format!("{USER}:{SECRET}");
    let server = Server::start_with(&["--lun", "mem:64MiB", "--chap", &chap])?;
    let login = |credentials: Option<(&str, &str)>| {
        let mut initiator = Initiator::new(INITIATOR)?;
        if let Some(credentials) = credentials {
            initiator.chap(credentials, None)?;
        }
        initiator.login(&server.portal, TARGET, 0)?;
        initiator.test_unit_ready(0)?.good()?;
        initiator.logout()?;
        Ok::<(), Failed>(())
    };
    login(Some((USER, SECRET)))?;
    let strangers = [
        ("without CHAP", None),
        ("a wrong secret", Some((USER, WRONG_SECRET))),
        ("a wrong user", Some(("mallory", SECRET))),
    ];
    for (who, credentials) in strangers {
        login(credentials)
            .err()
            .ok_or(format!("{who} was let in"))?;
    }
    login(Some((USER, SECRET)))?;
    server.stop()
}

/// Lengths on both sides of every limit that is usually negotiated, at both ends of the disk.
fn write_read_compare() -> Result<(), Failed> {
    let server = Server::start()?;
    let mut initiator = connect(&server)?;
    let capacity = initiator.read_capacity_16(0)?.good()?;
    let last_lba = u64::from_be_bytes(capacity[..8].try_into()?);
    same("the last LBA", &last_lba, &(BLOCKS - 1))?;

    for (seed, blocks) in (1..).zip([1_u64, 15, 16, 17, 128, 129, 511, 512, 513, 2048, 4096]) {
        let data = pattern(seed, usize::try_from(blocks)? * usize::from(BLOCK));
        for lba in [0, 7, BLOCKS - blocks] {
            initiator
                .write_10(0, u32::try_from(lba)?, &data, BLOCK)?
                .good()?;
            let back = initiator.read_16(0, lba, length(&data), BLOCK)?.good()?;
            same("READ(16) after WRITE(10)", &back, &data)?;

            let data: Vec<u8> = data.iter().map(|byte| !byte).collect();
            initiator.write_16(0, lba, &data, BLOCK)?.good()?;
            let back = initiator
                .read_10(0, u32::try_from(lba)?, length(&data), BLOCK)?
                .good()?;
            same("READ(10) after WRITE(16)", &back, &data)?;
        }
    }
    initiator.synchronize_cache(0)?.good()?;
    initiator.logout()?;
    server.stop()
}

fn two_sessions_see_one_disk() -> Result<(), Failed> {
    let server = Server::start()?;
    let mut writer = connect(&server)?;
    let mut reader = Initiator::new("iqn.2026-11.example.glint:second-judge")?;
    reader.login(&server.portal, TARGET, 0)?;
    for seed in 1..20 {
        let data = pattern(seed, 300 * usize::from(BLOCK));
        writer.write_10(0, seed * 1000, &data, BLOCK)?.good()?;
        let back = reader
            .read_10(0, seed * 1000, length(&data), BLOCK)?
            .good()?;
        same("what the other session reads", &back, &data)?;
    }
    writer.logout()?;
    reader.logout()?;
    server.stop()
}

/// LOGICAL BLOCK ADDRESS OUT OF RANGE, and the session goes on.
fn beyond_the_end() -> Result<(), Failed> {
    let server = Server::start()?;
    let mut initiator = connect(&server)?;
    let outcome = initiator.read_16(0, BLOCKS - 1, 2 * u32::from(BLOCK), BLOCK)?;
    same(
        "the sense of READ(16)",
        &(outcome.status, outcome.sense),
        &(2, (0x05, 0x21, 0x00)),
    )?;
    let data = pattern(1, 2 * usize::from(BLOCK));
    let outcome = initiator.write_16(0, BLOCKS - 1, &data, BLOCK)?;
    same(
        "the sense of WRITE(16)",
        &(outcome.status, outcome.sense),
        &(2, (0x05, 0x21, 0x00)),
    )?;
    initiator
        .read_16(0, BLOCKS - 1, u32::from(BLOCK), BLOCK)?
        .good()?;
    initiator.logout()?;
    server.stop()
}

/// A reset is told to every nexus (SAM: a unit attention each) and loses no acknowledged data.
fn lun_reset() -> Result<(), Failed> {
    let server = Server::start()?;
    let mut resetter = connect(&server)?;
    let mut bystander = Initiator::new("iqn.2026-11.example.glint:bystander")?;
    bystander.login(&server.portal, TARGET, 0)?;
    let data = pattern(3, 64 * usize::from(BLOCK));
    resetter.write_10(0, 0, &data, BLOCK)?.good()?;

    resetter.lun_reset(0)?;

    let told = bystander.test_unit_ready(0)?;
    let (key, asc, _) = told.sense;
    same(
        "the bystander's unit attention",
        &(told.status, key, asc),
        &(2, 0x06, 0x29),
    )?;
    bystander.test_unit_ready(0)?.good()?;
    // Whether the one who asked is told too is the target's choice of wording, not of data.
    let _: Outcome = resetter.test_unit_ready(0)?;
    same(
        "the data",
        &resetter.read_10(0, 0, length(&data), BLOCK)?.good()?,
        &data,
    )?;
    resetter.abort_task_set(0)?;
    same(
        "the data",
        &bystander.read_10(0, 0, length(&data), BLOCK)?.good()?,
        &data,
    )?;
    resetter.logout()?;
    bystander.logout()?;
    server.stop()
}

/// "Function complete" means that the write has landed or never will. Its own answer, if any, came
/// before.
fn lun_reset_overtakes_a_write() -> Result<(), Failed> {
    let server = Server::start()?;
    let mut reader = Initiator::new("iqn.2026-11.example.glint:bystander")?;
    reader.login(&server.portal, TARGET, 0)?;
    let bytes = 512 * u32::from(BLOCK);
    let mut before = vec![0; usize::try_from(bytes)?];
    for seed in 1..=20 {
        let data = pattern(seed, before.len());
        let answers = connect(&server)?.write_and_reset(0, 0, &data, BLOCK)?;
        same("the reset's response", &answers.reset, &Some(0))?;
        let told = reader.test_unit_ready(0)?;
        same(
            "the bystander's unit attention",
            &(told.status, told.sense.0),
            &(2, 0x06),
        )?;
        let after = reader.read_10(0, 0, bytes, BLOCK)?.good()?;
        match answers.write {
            Some(status) => {
                same("the write's status", &status, &0)?;
                same("the data of an acknowledged write", &after, &data)?;
            }
            // Aborted: each block is as before or as written, and stays so.
            None => {
                let blocks = usize::from(BLOCK);
                let pairs = before.chunks(blocks).zip(data.chunks(blocks));
                let legal = after
                    .chunks(blocks)
                    .zip(pairs)
                    .all(|(now, (a, b))| now == a || now == b);
                same("whole blocks after an aborted write", &legal, &true)?;
                std::thread::sleep(std::time::Duration::from_millis(20));
                same(
                    "a late write",
                    &reader.read_10(0, 0, bytes, BLOCK)?.good()?,
                    &after,
                )?;
            }
        }
        before = after;
    }
    reader.logout()?;
    server.stop()
}

fn connect(server: &Server) -> Result<Initiator, Failed> {
    let mut initiator = Initiator::new(INITIATOR)?;
    initiator.login(&server.portal, TARGET, 0)?;
    Ok(initiator)
}

/// Bytes that differ between seeds and between blocks, so that nothing misplaced goes unseen.
pub(crate) fn pattern(seed: u32, bytes: usize) -> Vec<u8> {
    let mut state = u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut data = Vec::with_capacity(bytes + 8);
    while data.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        data.extend_from_slice(&state.to_le_bytes());
    }
    data.truncate(bytes);
    data
}

fn length(data: &[u8]) -> u32 {
    u32::try_from(data.len()).expect("test data is small")
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: &T, expected: &T) -> Result<(), Failed> {
    if got == expected {
        return Ok(());
    }
    let short = |value: &T| format!("{value:?}").chars().take(200).collect::<String>();
    Err(format!("{what}: got {}, expected {}", short(got), short(expected)).into())
}
