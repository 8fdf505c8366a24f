//! CDBs by hand, straight from SPC-4 and SBC-3.

/// TEST UNIT READY (SPC-4 §6.37).
pub fn test_unit_ready() -> [u8; 6] {
    [0x00; 6]
}

/// REQUEST SENSE (SPC-4 §6.29), fixed format.
pub fn request_sense(allocation: u8) -> [u8; 6] {
    [0x03, 0, 0, 0, allocation, 0]
}

/// INQUIRY (SPC-4 §6.4): standard data, or a vital product data page.
pub fn inquiry(page: Option<u8>, allocation: u16) -> [u8; 6] {
    let [high, low] = allocation.to_be_bytes();
    [
        0x12,
        u8::from(page.is_some()),
        page.unwrap_or(0),
        high,
        low,
        0,
    ]
}

/// REPORT LUNS (SPC-4 §6.33), all but well known.
pub fn report_luns(allocation: u32) -> [u8; 12] {
    let mut cdb = [0; 12];
    cdb[0] = 0xa0;
    cdb[6..10].copy_from_slice(&allocation.to_be_bytes());
    cdb
}

/// MODE SENSE(6) (SPC-4 §6.13), block descriptors disabled.
pub fn mode_sense6(page: u8, subpage: u8, allocation: u8) -> [u8; 6] {
    [0x1a, 0x08, page, subpage, allocation, 0]
}

/// READ CAPACITY(10) (SBC-3 §5.16).
pub fn read_capacity10() -> [u8; 10] {
    let mut cdb = [0; 10];
    cdb[0] = 0x25;
    cdb
}

/// READ CAPACITY(16) (SBC-3 §5.17): SERVICE ACTION IN(16), service action 10h.
pub fn read_capacity16(allocation: u32) -> [u8; 16] {
    let mut cdb = [0; 16];
    cdb[0] = 0x9e;
    cdb[1] = 0x10;
    cdb[10..14].copy_from_slice(&allocation.to_be_bytes());
    cdb
}

/// READ(10) (SBC-3 §5.11).
pub fn read10(lba: u32, blocks: u16, fua: bool) -> [u8; 10] {
    transfer10(0x28, lba, blocks, fua)
}

/// WRITE(10) (SBC-3 §5.36).
pub fn write10(lba: u32, blocks: u16, fua: bool) -> [u8; 10] {
    transfer10(0x2a, lba, blocks, fua)
}

/// READ(16) (SBC-3 §5.13).
pub fn read16(lba: u64, blocks: u32, fua: bool) -> [u8; 16] {
    transfer16(0x88, lba, blocks, fua)
}

/// WRITE(16) (SBC-3 §5.38).
pub fn write16(lba: u64, blocks: u32, fua: bool) -> [u8; 16] {
    transfer16(0x8a, lba, blocks, fua)
}

/// SYNCHRONIZE CACHE(10) (SBC-3 §5.26); zero blocks is "to the end".
pub fn synchronize_cache10(lba: u32, blocks: u16, immediate: bool) -> [u8; 10] {
    let mut cdb = transfer10(0x35, lba, blocks, false);
    cdb[1] = u8::from(immediate) << 1;
    cdb
}

/// SYNCHRONIZE CACHE(16) (SBC-3 §5.27); zero blocks is "to the end".
pub fn synchronize_cache16(lba: u64, blocks: u32, immediate: bool) -> [u8; 16] {
    let mut cdb = transfer16(0x91, lba, blocks, false);
    cdb[1] = u8::from(immediate) << 1;
    cdb
}

/// START STOP UNIT (SBC-3 §5.25).
pub fn start_stop_unit(start: bool, immediate: bool) -> [u8; 6] {
    [0x1b, u8::from(immediate), 0, 0, u8::from(start), 0]
}

/// The bit Force Unit Access in byte 1 of READ and WRITE.
const FUA: u8 = 0x08;

fn transfer10(opcode: u8, lba: u32, blocks: u16, fua: bool) -> [u8; 10] {
    let mut cdb = [0; 10];
    cdb[0] = opcode;
    cdb[1] = if fua { FUA } else { 0 };
    cdb[2..6].copy_from_slice(&lba.to_be_bytes());
    cdb[7..9].copy_from_slice(&blocks.to_be_bytes());
    cdb
}

fn transfer16(opcode: u8, lba: u64, blocks: u32, fua: bool) -> [u8; 16] {
    let mut cdb = [0; 16];
    cdb[0] = opcode;
    cdb[1] = if fua { FUA } else { 0 };
    cdb[2..10].copy_from_slice(&lba.to_be_bytes());
    cdb[10..14].copy_from_slice(&blocks.to_be_bytes());
    cdb
}
