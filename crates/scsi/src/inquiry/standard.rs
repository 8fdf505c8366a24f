//! Standard INQUIRY data (SPC-4 6.6.2).

use crate::Identity;

/// What the unit conforms to: SAM-5, SPC-4, SBC-3, and the transport, iSCSI; each without claiming
/// a revision.
const VERSION_DESCRIPTORS: [u16; 4] = [0x00a0, 0x0460, 0x04c0, 0x0960];

const LENGTH: usize = 96;

pub(super) fn data(identity: &Identity) -> Vec<u8> {
    let mut data = frame(0x00); // connected direct access block device
    data[8..16].copy_from_slice(&identity.vendor);
    data[16..32].copy_from_slice(&identity.product);
    data[32..36].copy_from_slice(&identity.revision);
    for (slot, descriptor) in data[58..74].chunks_exact_mut(2).zip(VERSION_DESCRIPTORS) {
        slot.copy_from_slice(&descriptor.to_be_bytes());
    }
    data
}

/// No logical unit here, and none possible.
pub(super) fn absent() -> Vec<u8> {
    let mut data = frame(0x7f);
    data[8..36].fill(b' ');
    data
}

fn frame(peripheral: u8) -> Vec<u8> {
    let mut data = vec![0; LENGTH];
    data[0] = peripheral;
    data[2] = 0x06; // SPC-4
    data[3] = 0x12; // HISUP, response data format 2
    data[4] = (LENGTH - 5) as u8;
    data[7] = 0x02; // CMDQUE
    data
}
