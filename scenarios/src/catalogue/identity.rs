//! What a disk says of itself: INQUIRY, REPORT LUNS, READ CAPACITY, MODE SENSE (SPC-4, SBC-3).

use initiator_sim::{Command, Session, cdb};
use iscsi::Lun;

use super::judge::{INVALID_FIELD_IN_CDB, LUN_NOT_SUPPORTED, good, refused, same, witness};
use crate::context::Context;
use crate::scenario;
use crate::scenario::{Finding, Scenario, expect, expect_eq};

/// All scenarios of this family.
pub fn scenarios() -> Vec<Scenario> {
    SCENARIOS.to_vec()
}

static SCENARIOS: &[Scenario] = &[
    scenario! {
        "scsi.inquiry.standard", "SPC-4 6.4.2",
        "Standard INQUIRY data names a connected disk of a current standard, with printable \
         vendor and product, and is as long as it says.",
        needs [];
        async |ctx| { standard_inquiry(ctx).await }
    },
    scenario! {
        "scsi.inquiry.allocation-length", "SPC-4 4.2.5.6, 6.4",
        "INQUIRY returns at most ALLOCATION LENGTH bytes, zero included, and what is cut is \
         not changed.",
        needs [];
        async |ctx| {
            let mut session = ctx.session().await?;
            let whole = session.inquiry(ctx.lun(), None).await?;
            good("INQUIRY", &whole)?;
            for allocation in [0u16, 5, 36] {
                let six = cdb::inquiry(None, allocation);
                let edtl = allocation.into();
                let outcome = session.run(Command::read(ctx.lun(), &six, edtl)).await?;
                good("INQUIRY", &outcome)?;
                let due = &whole.data[..usize::from(allocation)];
                same("INQUIRY data, cut", due, &outcome.data, 36)?;
            }
            Ok(())
        }
    },
    scenario! {
        "scsi.inquiry.page-without-evpd", "SPC-4 6.4.1",
        "A PAGE CODE without EVPD, and a page the disk does not have, are refused with INVALID \
         FIELD IN CDB.",
        needs [];
        async |ctx| {
            let mut session = ctx.session().await?;
            let mut six = cdb::inquiry(Some(0x80), 255);
            six[1] = 0;
            let outcome = session.run(Command::read(ctx.lun(), &six, 255)).await?;
            refused("INQUIRY with a page and no EVPD", &outcome, INVALID_FIELD_IN_CDB)?;
            let pages = supported_pages(&mut session, ctx.lun()).await?;
            let unknown = (0xc0..=0xff).find(|page| !pages.contains(page));
            let outcome = session.inquiry(ctx.lun(), unknown).await?;
            refused("INQUIRY for a page that is not there", &outcome, INVALID_FIELD_IN_CDB)
        }
    },
    scenario! {
        "scsi.vpd.supported-pages", "SPC-4 7.8.1, 7.8.15",
        "The list of VPD pages is in ascending order, begins with itself, holds the mandatory \
         page 83h, and every page in it can be read under its own code.",
        needs [];
        async |ctx| {
            let mut session = ctx.session().await?;
            let pages = supported_pages(&mut session, ctx.lun()).await?;
            let ascending = pages.windows(2).all(|pair| pair[0] < pair[1]);
            expect(ascending, "pages in ascending order", format!("{pages:02x?}"))?;
            for page in [0x00, 0x83] {
                let listed = format!("page {page:02x}h in the list");
                expect(pages.contains(&page), &listed, format!("{pages:02x?}"))?;
            }
            for page in pages {
                vpd(&mut session, ctx.lun(), page).await?;
            }
            Ok(())
        }
    },
    scenario! {
        "scsi.vpd.identification", "SPC-4 7.8.6, 7.8.18",
        "Pages 80h and 83h say the same on every nexus, and 83h names the logical unit with \
         a world-wide designator.",
        needs [];
        async |ctx| { identification(ctx).await }
    },
    scenario! {
        "scsi.report-luns", "SPC-4 6.33, SAM-5 4.7",
        "REPORT LUNS answers with the same list of eight byte LUNs at LUN 0 and at the unit \
         under test, which is one of them; a LUN that is not there is not.",
        needs [];
        async |ctx| { report_luns(ctx).await }
    },
    scenario! {
        "scsi.report-luns.allocation-length", "SPC-4 6.33",
        "REPORT LUNS with less than 16 bytes of ALLOCATION LENGTH is refused with INVALID FIELD \
         IN CDB.",
        needs [];
        async |ctx| {
            let mut session = ctx.session().await?;
            let command = Command::read(ctx.lun(), &cdb::report_luns(15), 15);
            let outcome = session.run(command).await?;
            refused("REPORT LUNS of 15 bytes", &outcome, INVALID_FIELD_IN_CDB)
        }
    },
    scenario! {
        "scsi.read-capacity", "SBC-3 5.16, 5.17",
        "READ CAPACITY(10) and (16) agree on block size and last block; beyond 32 bits the \
         former says FFFFFFFFh.",
        needs [];
        async |ctx| { read_capacity(ctx).await }
    },
    scenario! {
        "scsi.mode-sense.caching", "SBC-3 6.5.5, SPC-4 6.13, 6.14",
        "MODE SENSE(6) and (10) return the caching page alone when asked for it, with the same \
         bytes and lengths that hold.",
        needs [];
        async |ctx| { mode_sense(ctx).await }
    },
];

async fn standard_inquiry(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let outcome = session.inquiry(ctx.lun(), None).await?;
    good("INQUIRY", &outcome)?;
    let data = &outcome.data;
    expect(
        data.len() >= 36,
        "at least 36 bytes of INQUIRY data",
        data.len(),
    )?;
    expect_eq(
        "peripheral qualifier and type (a connected disk)",
        0x00,
        data[0],
    )?;
    expect(
        data[2] >= 0x05,
        "VERSION of SPC-3 or later",
        format!("{:#04x}", data[2]),
    )?;
    expect_eq("RESPONSE DATA FORMAT", 2, data[3] & 0x0f)?;
    expect_eq(
        "bytes after ADDITIONAL LENGTH",
        data.len() - 5,
        data[4].into(),
    )?;
    expect(
        data[7] & 0x02 != 0,
        "CMDQUE=1: tasks are queued",
        format!("{:#04x}", data[7]),
    )?;
    for (what, range) in [("vendor", 8..16), ("product", 16..32), ("revision", 32..36)] {
        let printable = data[range.clone()]
            .iter()
            .all(|byte| (0x20..=0x7e).contains(byte));
        expect(
            printable,
            &format!("a printable {what}"),
            format!("{:02x?}", &data[range]),
        )?;
    }
    expect(
        data[8..16] != [b' '; 8],
        "a T10 vendor identification",
        "spaces",
    )
}

/// One VPD page, its header checked.
async fn vpd(session: &mut Session, lun: Lun, page: u8) -> Result<Vec<u8>, Finding> {
    let six = cdb::inquiry(Some(page), 4096);
    let outcome = session.run(Command::read(lun, &six, 4096)).await?;
    good(&format!("INQUIRY for page {page:02x}h"), &outcome)?;
    let data = outcome.data;
    expect(
        data.len() >= 4,
        &format!("a header of page {page:02x}h"),
        data.len(),
    )?;
    expect_eq("PAGE CODE", page, data[1])?;
    let len = usize::from(u16::from_be_bytes([data[2], data[3]]));
    expect_eq(
        &format!("PAGE LENGTH of page {page:02x}h"),
        data.len() - 4,
        len,
    )?;
    Ok(data)
}

async fn supported_pages(session: &mut Session, lun: Lun) -> Result<Vec<u8>, Finding> {
    Ok(vpd(session, lun, 0x00).await?.split_off(4))
}

async fn identification(ctx: Context) -> Result<(), Finding> {
    let mut one = ctx.session().await?;
    let mut two = witness(&ctx).await?;
    let serial = vpd(&mut one, ctx.lun(), 0x80).await?;
    same(
        "page 80h on another nexus",
        &serial,
        &vpd(&mut two, ctx.lun(), 0x80).await?,
        1,
    )?;
    expect(
        serial[4..].iter().any(|byte| *byte > 0x20),
        "a serial number",
        "spaces",
    )?;
    let page = vpd(&mut one, ctx.lun(), 0x83).await?;
    same(
        "page 83h on another nexus",
        &page,
        &vpd(&mut two, ctx.lun(), 0x83).await?,
        1,
    )?;
    let mut rest = &page[4..];
    let mut names_unit = false;
    while let [_, kind, _, len, after @ ..] = rest {
        let len = usize::from(*len);
        expect(
            len <= after.len(),
            "designators within the page",
            "one beyond its end",
        )?;
        // Association 00b is the logical unit; 2 and 3 are EUI-64 and NAA, 8 a SCSI name string.
        names_unit |= kind >> 4 & 0x03 == 0 && matches!(kind & 0x0f, 2 | 3 | 8) && len > 0;
        rest = &after[len..];
    }
    expect(
        rest.is_empty(),
        "designators that fill the page",
        format!("{} bytes over", rest.len()),
    )?;
    expect(
        names_unit,
        "an EUI-64, NAA or SCSI name designator of the logical unit",
        "none",
    )
}

async fn report_luns(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let mut first: Option<Vec<u8>> = None;
    for lun in [ctx.lun(), Lun(0), ctx.absent_lun()] {
        let outcome = session
            .run(Command::read(lun, &cdb::report_luns(8192), 8192))
            .await?;
        if lun == ctx.absent_lun() && outcome.sense == Some(LUN_NOT_SUPPORTED) {
            // Only LUN 0 and the well known one must answer; others may.
            continue;
        }
        good(&format!("REPORT LUNS at {lun}"), &outcome)?;
        let data = outcome.data;
        expect(data.len() >= 8, "a LUN list", data.len())?;
        let len = u32::from_be_bytes([data[0], data[1], data[2], data[3]]) as usize;
        expect_eq("LUN LIST LENGTH", data.len() - 8, len)?;
        expect_eq("odd bytes in the list", 0, len % 8)?;
        let lists = |lun: Lun| {
            data[8..]
                .chunks(8)
                .any(|entry| entry == lun.0.to_be_bytes())
        };
        expect(
            lists(ctx.lun()),
            &format!("{} in the list", ctx.lun()),
            "not there",
        )?;
        let absent = !lists(ctx.absent_lun());
        expect(
            absent,
            &format!("{} not in the list", ctx.absent_lun()),
            "there",
        )?;
        match &first {
            Some(first) => same("the same list at every LUN", first, &data, 8)?,
            None => first = Some(data),
        }
    }
    Ok(())
}

async fn read_capacity(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let ten = session
        .run(Command::read(ctx.lun(), &cdb::read_capacity10(), 8))
        .await?;
    good("READ CAPACITY(10)", &ten)?;
    let sixteen = session
        .run(Command::read(ctx.lun(), &cdb::read_capacity16(32), 32))
        .await?;
    good("READ CAPACITY(16)", &sixteen)?;
    let (short, long) = (&ten.data, &sixteen.data);
    expect_eq("bytes of READ CAPACITY(10)", 8, short.len())?;
    expect_eq("bytes of READ CAPACITY(16)", 32, long.len())?;
    same("the block size of both", &long[8..12], &short[4..8], 4)?;
    let last = ctx.blocks() - 1;
    expect_eq(
        "last block in READ CAPACITY(16)",
        &last.to_be_bytes()[..],
        &long[..8],
    )?;
    let due = u32::try_from(last).unwrap_or(u32::MAX);
    expect_eq(
        "last block in READ CAPACITY(10)",
        &due.to_be_bytes()[..],
        &short[..4],
    )?;
    expect_eq(
        "block size",
        &ctx.block_size().to_be_bytes()[..],
        &long[8..12],
    )
}

async fn mode_sense(ctx: Context) -> Result<(), Finding> {
    let mut session = ctx.session().await?;
    let six = cdb::mode_sense6(0x08, 0, 255);
    let outcome = session.run(Command::read(ctx.lun(), &six, 255)).await?;
    good("MODE SENSE(6) of the caching page", &outcome)?;
    let short = outcome.data;
    expect(
        short.len() >= 4 + 20,
        "a header and 20 bytes of page",
        short.len(),
    )?;
    expect_eq(
        "MODE DATA LENGTH of MODE SENSE(6)",
        short.len() - 1,
        short[0].into(),
    )?;
    expect_eq("BLOCK DESCRIPTOR LENGTH with DBD", 0, short[3])?;
    let mut ten = [0; 10];
    ten[..3].copy_from_slice(&[0x5a, 0x08, 0x08]);
    ten[8] = 255;
    let outcome = session.run(Command::read(ctx.lun(), &ten, 255)).await?;
    good("MODE SENSE(10) of the caching page", &outcome)?;
    let long = outcome.data;
    expect(
        long.len() >= 8 + 20,
        "a header and 20 bytes of page",
        long.len(),
    )?;
    let len = usize::from(u16::from_be_bytes([long[0], long[1]]));
    expect_eq("MODE DATA LENGTH of MODE SENSE(10)", long.len() - 2, len)?;
    expect_eq("DEVICE-SPECIFIC PARAMETER of both", short[2], long[3])?;
    expect_eq("BLOCK DESCRIPTOR LENGTH with DBD", &[0, 0][..], &long[6..8])?;
    same("the caching page of both", &short[4..], &long[8..], 20)?;
    expect_eq("PAGE CODE", 0x08, short[4] & 0x3f)?;
    expect_eq("PAGE LENGTH", 0x12, short[5])?;
    expect_eq("bytes of the page", 20, short.len() - 4)
}
