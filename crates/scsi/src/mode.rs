//! MODE SENSE(6) and (10): the caching and control pages. Nothing is changeable.

use crate::opcodes::Call;
use crate::{Plan, Sense, Unit};

/// One mode page: code, and what follows its two-byte header.
struct Page {
    code: u8,
    /// Current values, which are also the defaults.
    values: fn(&Unit) -> Vec<u8>,
}

/// Every page, in the order "all pages" returns them.
static PAGES: [Page; 2] = [
    Page {
        code: 0x08,
        values: caching,
    },
    Page {
        code: 0x0a,
        values: control,
    },
];

pub(crate) fn sense6(call: Call<'_>) -> Result<Plan, Sense> {
    let pages = pages(&call)?;
    let descriptor = descriptor(&call, false);
    let length = 3 + descriptor.len() + pages.len();
    let mut data = vec![
        length as u8,
        0,
        device_specific(call.unit),
        descriptor.len() as u8,
    ];
    data.extend(descriptor);
    data.extend(pages);
    Ok(Plan::data_in(data, call.cdb.byte(4)))
}

pub(crate) fn sense10(call: Call<'_>) -> Result<Plan, Sense> {
    let pages = pages(&call)?;
    let long = call.cdb.bit(1, 4); // LLBAA
    let descriptor = descriptor(&call, long);
    let length = 6 + descriptor.len() + pages.len();
    let mut data = (length as u16).to_be_bytes().to_vec();
    let long_lba = u8::from(long && !descriptor.is_empty());
    data.extend([
        0,
        device_specific(call.unit),
        long_lba,
        0,
        0,
        descriptor.len() as u8,
    ]);
    data.extend(descriptor);
    data.extend(pages);
    Ok(Plan::data_in(data, call.cdb.be16(7)))
}

/// WP and DPOFUA (SBC-3, DEVICE-SPECIFIC PARAMETER).
fn device_specific(unit: &Unit) -> u8 {
    u8::from(unit.caps().read_only) << 7 | 1 << 4
}

/// The block descriptor, unless DBD says to leave it out.
fn descriptor(call: &Call<'_>, long: bool) -> Vec<u8> {
    if call.cdb.bit(1, 3) {
        return Vec::new();
    }
    let blocks = call.unit.blocks();
    let block_bytes = call.unit.caps().block_size.bytes();
    if long {
        let mut descriptor = blocks.to_be_bytes().to_vec();
        descriptor.extend([0; 4]);
        descriptor.extend(block_bytes.to_be_bytes());
        return descriptor;
    }
    let mut descriptor = u32::try_from(blocks)
        .unwrap_or(u32::MAX)
        .to_be_bytes()
        .to_vec();
    // A reserved byte and three of length: block lengths fit 24 bits.
    descriptor.extend(block_bytes.to_be_bytes());
    descriptor
}

/// The pages asked for. PC is in bits 7 and 6 of byte 2, PAGE CODE below, SUBPAGE CODE in byte 3.
fn pages(call: &Call<'_>) -> Result<Vec<u8>, Sense> {
    let (control, code) = (call.cdb.byte(2) >> 6, call.cdb.byte(2) & 0x3f);
    if control == 3 {
        return Err(Sense::SAVING_PARAMETERS_NOT_SUPPORTED);
    }
    if !matches!(call.cdb.byte(3), 0x00 | 0xff) {
        return Err(Sense::invalid_byte(3)); // no page has a subpage
    }
    let mut data = Vec::new();
    for page in PAGES
        .iter()
        .filter(|page| code == 0x3f || code == page.code)
    {
        let mut values = (page.values)(call.unit);
        if control == 1 {
            values.fill(0); // changeable: none
        }
        data.extend([page.code, values.len() as u8]);
        data.extend(values);
    }
    if data.is_empty() {
        return Err(Sense::invalid_bits(2, 5));
    }
    Ok(data)
}

/// Caching page (SBC-3): WCE tells the truth about what a plain WRITE survives.
fn caching(unit: &Unit) -> Vec<u8> {
    let mut page = vec![0; 18];
    page[0] = u8::from(!unit.is_write_through()) << 2;
    page
}

/// Control page (SPC-4): fixed format sense, one task set, aborted tasks unanswered. Tasks
/// may be reordered without restriction, since storage answers in its own order.
fn control(_: &Unit) -> Vec<u8> {
    let mut page = vec![0; 10];
    page[1] = 0x10; // QUEUE ALGORITHM MODIFIER
    page
}

#[cfg(test)]
mod tests;
