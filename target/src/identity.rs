//! What a disk is called in its INQUIRY data: stable over restarts and portals, unique per disk.
//!
//! Serial number and NAA identifier derive from who the image is, where that is kept with it (on a
//! Gluster volume): then they stay whatever it is called and whichever target, LUN or node serves
//! it. Otherwise they derive from the target's name, the LUN and where the image is
//! (`file:/srv/disk.img`, without its size): moving the file or renumbering the LUN makes another
//! disk. A `serial` from the operator goes before both, and then they derive from it and the
//! target's name. They never depend on addresses, the order of the configuration, or a size.
//!
//! The NAA identifier is type 6 with a locally administered company identifier (`02474c`): glint
//! has none of its own from the IEEE. The 100 bits after it are a hash.

use iscsi::IscsiName;
use scsi::Identity;
use sha2::{Digest, Sha256};

use crate::config::LunSpec;
use crate::gluster::ImageId;

/// U/L bit set ("locally administered"), then "GL".
const COMPANY_ID: u32 = 0x02_47_4c;

/// What the disk `lun` of `target` is called, whose store says that it is `image`.
pub fn identity(target: &IscsiName, lun: &LunSpec, image: Option<&ImageId>) -> Identity {
    match (&lun.serial, image) {
        (Some(serial), _) => {
            let hash = digest(&["serial", target.as_str(), serial]);
            called(serial.clone(), &hash)
        }
        (None, Some(image)) => of_image(image),
        (None, None) => {
            let (lun, place) = (lun.lun.to_string(), lun.store.place());
            derived(&digest(&["derived", target.as_str(), &lun, &place]))
        }
    }
}

/// What a disk that is this image is called, unless the operator says otherwise.
pub fn of_image(image: &ImageId) -> Identity {
    derived(&digest(&["image", &hex(&image.volume), &hex(&image.id)]))
}

/// The disks of one process so far: no image is served twice, and no two disks are called alike.
#[derive(Debug, Default)]
pub struct Known(Vec<(String, Option<ImageId>, Option<Identity>)>);

impl Known {
    /// The disk `name` is there; what it is called counts if it is given.
    pub fn note(&mut self, name: String, image: Option<ImageId>, identity: Option<Identity>) {
        self.0.push((name, image, identity));
    }

    /// Takes the disk `name` in, unless another one is the same image or is called alike.
    pub fn admit(
        &mut self,
        name: String,
        image: Option<ImageId>,
        identity: Identity,
    ) -> Result<(), Twin> {
        let file = |image: &ImageId| (image.volume, image.number);
        for (other, its_image, called) in &self.0 {
            let other = other.clone();
            if image.is_some() && image.as_ref().map(file) == its_image.as_ref().map(file) {
                return Err(Twin::SameImage { other });
            }
            let alike =
                |called: &Identity| called.naa == identity.naa || called.serial == identity.serial;
            if called.as_ref().is_some_and(alike) {
                let serial = identity.serial;
                return Err(Twin::SameName { other, serial });
            }
        }
        self.note(name, image, Some(identity));
        Ok(())
    }
}

/// Why a disk cannot be served beside another. The operator must act.
#[derive(Debug, thiserror::Error)]
pub enum Twin {
    /// One file under two LUNs: initiators would take them for two paths to one disk, each with a
    /// state of its own.
    #[error("the same image is {other} already; serve each image as one LUN")]
    SameImage {
        /// The disk that is it.
        other: String,
    },
    /// Two images, one name: initiators would take them for one disk.
    #[error(
        "its serial number {serial} is that of {other}; give one of them a serial of its own \
         (serial = \"…\"), or its own record in .glint/images"
    )]
    SameName {
        /// The disk that is called so.
        other: String,
        /// How.
        serial: String,
    },
}

fn derived(hash: &[u8; 32]) -> Identity {
    called(hex(&hash[16..26]), hash)
}

fn called(serial: String, hash: &[u8; 32]) -> Identity {
    Identity {
        vendor: *b"GLINT   ",
        product: *b"iSCSI disk      ",
        revision: revision(),
        serial,
        naa: naa(hash),
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
            None,
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

    #[test]
    fn no_image_twice_and_no_name_twice() {
        let mut known = Known::default();
        let mut admit =
            |image: Option<ImageId>, identity| known.admit(format!("{image:?}"), image, identity);
        admit(Some(IMAGE), of_image(&IMAGE)).expect("the first");
        let pinned = Identity {
            serial: "PINNED".to_owned(),
            naa: [1; 16],
            ..of_image(&IMAGE)
        };
        let why = admit(Some(IMAGE), pinned.clone());
        assert!(matches!(why, Err(Twin::SameImage { .. })), "{why:?}");
        // A record that was copied for another file's.
        let copied = ImageId { number: 8, ..IMAGE };
        let why = admit(Some(copied), of_image(&copied));
        assert!(matches!(why, Err(Twin::SameName { .. })), "{why:?}");
        admit(None, pinned).expect("another disk");
        // One that leaves may give its name to another, and its image not yet.
        let mut known = Known::default();
        known.note("leaving".to_owned(), Some(IMAGE), None);
        let why = known.admit("one".to_owned(), Some(IMAGE), of_image(&IMAGE));
        assert!(matches!(why, Err(Twin::SameImage { other }) if other == "leaving"));
        let heir = known.admit("two".to_owned(), Some(copied), of_image(&copied));
        heir.expect("the name is free");
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

    const IMAGE: ImageId = ImageId {
        volume: *b"0123456789abcdef",
        number: 7,
        id: [0x5a; 16],
    };

    /// The same disk from every target and LUN; another volume's or another id is another disk.
    #[test]
    fn an_image_that_knows_who_it_is_is_called_by_that_alone() {
        let of = |target: &str, lun: u16, image: &ImageId| {
            let store = StoreSpec::parse(&format!("gluster://g1/vol/{lun}.img"));
            let mut spec = LunSpec::new(lun, store.expect("a store"));
            let name = IscsiName::parse(target).expect("a name");
            let free = identity(&name, &spec, Some(image));
            spec.serial = Some("PINNED".to_owned());
            assert_eq!(identity(&name, &spec, Some(image)).serial, "PINNED");
            free
        };
        let one = of("iqn.2026-01.a:b", 0, &IMAGE);
        assert_eq!(one, of("iqn.2026-01.c:d", 9, &IMAGE));
        assert_eq!(one, of_image(&IMAGE));
        assert_eq!(hex(&one.naa), NAA_OF_IMAGE);
        let volume = *b"0123456789abcdeg";
        let other = [
            ImageId { volume, ..IMAGE },
            ImageId {
                id: [0xa5; 16],
                ..IMAGE
            },
        ];
        for other in other.map(|image| of_image(&image)) {
            assert_ne!(one.serial, other.serial);
            assert_ne!(one.naa, other.naa);
        }
    }

    /// Computed apart from this code, from the description above.
    const NAA_OF_IMAGE: &str = "602474cfcf7ac0d20b305504957d6acb";

    /// Computed apart from this code, from the description above.
    const NAA_OF_DISK: &str = "602474c4fd771fdb76ba4a23d334372b";
}
