//! What a disk is called in its INQUIRY data: stable over restarts and portals, unique per disk.
//!
//! Serial number and NAA identifier derive from the target's name, the LUN and where the image is
//! (`file:/srv/disk.img`, without its size), or from the target's name and the `serial` the
//! operator gave. They do not depend on addresses, on the order of the configuration, or on the
//! image's size. Moving the file or renumbering the LUN makes another disk, unless `serial` pins
//! it.
//!
//! The NAA identifier is type 6 with a locally administered company identifier (`02474c`): glint
//! has none of its own from the IEEE. The 100 bits after it are a hash.

use iscsi::IscsiName;
use scsi::Identity;
use sha2::{Digest, Sha256};

use crate::config::LunSpec;

/// U/L bit set ("locally administered"), then "GL".
const COMPANY_ID: u32 = 0x02_47_4c;

/// What the disk `lun` of `target` is called.
pub fn identity(target: &IscsiName, lun: &LunSpec) -> Identity {
    let hash = match &lun.serial {
        Some(serial) => digest(&["serial", target.as_str(), serial]),
        None => digest(&[
            "derived",
            target.as_str(),
            &lun.lun.to_string(),
            &lun.store.place(),
        ]),
    };
    let serial = lun.serial.clone().unwrap_or_else(|| hex(&hash[16..26]));
    Identity {
        vendor: *b"GLINT   ",
        product: *b"iSCSI disk      ",
        revision: revision(),
        serial,
        naa: naa(&hash),
    }
}

/// Every part with its length before it, so that no two lists hash alike.
fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"glint identity 1");
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

/// NAA 6h, 24 bits of company, 100 bits of our own (SPC-4 7.8.6.6.5).
fn naa(hash: &[u8; 32]) -> [u8; 16] {
    let mut naa = [0; 16];
    naa.copy_from_slice(&hash[..16]);
    let head = 0x6 << 28 | COMPANY_ID << 4 | u32::from(naa[3] & 0x0f);
    naa[..4].copy_from_slice(&head.to_be_bytes());
    naa
}

/// Major and minor version, four characters.
fn revision() -> [u8; 4] {
    let version = concat!(
        env!("CARGO_PKG_VERSION_MAJOR"),
        ".",
        env!("CARGO_PKG_VERSION_MINOR")
    );
    let mut revision = *b"    ";
    for (to, from) in revision.iter_mut().zip(version.bytes()) {
        *to = from;
    }
    revision
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreSpec;

    fn of(target: &str, lun: u16, store: &str) -> Identity {
        let name = IscsiName::parse(target).expect("a name");
        identity(
            &name,
            &LunSpec::new(lun, StoreSpec::parse(store).expect("a store")),
        )
    }

    #[test]
    fn stable_whatever_the_size_and_different_per_disk() {
        let one = of("iqn.2026-01.a:b", 0, "file:/srv/a?size=1GiB");
        assert_eq!(one, of("iqn.2026-01.a:b", 0, "file:/srv/a"));
        for other in [
            of("iqn.2026-01.a:b", 1, "file:/srv/a"),
            of("iqn.2026-01.a:b", 0, "file:/srv/b"),
            of("iqn.2026-01.a:c", 0, "file:/srv/a"),
        ] {
            assert_ne!(one.serial, other.serial);
            assert_ne!(one.naa, other.naa);
        }
    }

    /// Initiators remember disks by these: a change of the derivation is a new disk to them.
    #[test]
    fn the_derivation_does_not_change() {
        let disk = of("iqn.2026-01.com.example:disk", 0, "file:/srv/disk.img");
        assert_eq!(disk.naa[..4], [0x60, 0x24, 0x74, disk.naa[3]]);
        assert_eq!(disk.naa[3] >> 4, 0xc);
        assert_eq!(disk.serial.len(), 20);
        assert_eq!(hex(&disk.naa), NAA_OF_DISK);
    }

    /// Computed apart from this code, from the description above.
    const NAA_OF_DISK: &str = "602474c4fd771fdb76ba4a23d334372b";
}
