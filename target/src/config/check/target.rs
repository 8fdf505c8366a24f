//! Targets and their disks.

use engine::InitiatorAccess;
use iscsi::IscsiName;
use toml::Spanned;

use super::super::values::{self, NAME_ALLOWED};
use super::super::{LunSpec, TargetSpec, schema};
use super::{Checked, Checker};
use crate::store::StoreSpec;

/// LUNs that every addressing method glint speaks can name (SAM-5 4.7.3, 14 bits).
const LUN_MAX: u16 = iscsi::Lun::NUMBER_MAX;
const LUN_ALLOWED: &str = "a number from 0 to 16383";

impl Checker<'_> {
    pub(super) fn target(
        &mut self,
        at: &str,
        target: &Spanned<schema::Target>,
    ) -> Checked<TargetSpec> {
        let (span, target) = (target.span(), target.get_ref());
        let key = |name: &str| format!("{at}.{name}");
        let Some(text) = &target.name else {
            return self.refuse(span, &key("name"), "there is no name", NAME_ALLOWED);
        };
        let name = self.value(text, &key("name"), values::name)?;
        let what = format!("target {name}");
        self.once(text.span(), &key("name"), what, "each target name once")?;

        let mut spec = TargetSpec::open_to_all(name);
        if let Some(text) = &target.alias {
            spec.alias = Some(self.value(text, &key("alias"), values::alias)?);
        }
        if let Some(initiators) = &target.initiators {
            spec.access = self.access(&key("initiators"), initiators)?;
        }
        spec.chap = self.users(at, target.chap.as_ref())?;
        spec.mutual = self.mutual(at, target.mutual.as_ref(), !spec.chap.is_empty())?;
        if target.lun.is_empty() {
            let (what, allowed) = ("the target has no disk", "one [[target.lun]] or more");
            return self.refuse(span, &key("lun"), what, allowed);
        }
        for (index, lun) in target.lun.iter().enumerate() {
            let lun = self.lun(&format!("{at}.lun[{index}]"), &spec.name, lun)?;
            spec.luns.push(lun);
        }
        spec.luns.sort_by_key(|lun| lun.lun);
        Ok(spec)
    }

    fn access(&self, key: &str, names: &Spanned<Vec<schema::Text>>) -> Checked<InitiatorAccess> {
        if names.get_ref().is_empty() {
            let allowed = "one name or more, or no such key at all to let everyone in";
            return self.refuse(names.span(), key, "nobody could log in", allowed);
        }
        let names = names.get_ref().iter();
        let names = names.map(|text| self.value(text, key, values::name));
        names.collect::<Checked<_>>().map(InitiatorAccess::Only)
    }

    fn lun(
        &mut self,
        at: &str,
        target: &IscsiName,
        lun: &Spanned<schema::Lun>,
    ) -> Checked<LunSpec> {
        let (span, lun) = (lun.span(), lun.get_ref());
        let key = |name: &str| format!("{at}.{name}");
        let Some(number) = &lun.lun else {
            return self.refuse(span, &key("lun"), "there is no number", LUN_ALLOWED);
        };
        let number_span = number.span();
        let mut number = 0;
        self.number(&lun.lun, &key("lun"), 0..=LUN_MAX.into(), &mut number)?;
        let what = format!("LUN {number} of {target}");
        self.once(
            number_span,
            &key("lun"),
            what,
            "each number once per target",
        )?;

        let mut spec = LunSpec::new(number, self.store(span, &key("store"), lun)?);
        spec.read_only = lun.read_only;
        if let Some(bytes) = &lun.block_size {
            let size = values::block_size(*bytes.get_ref());
            spec.block_size = self.fits(bytes.span(), &key("block_size"), size)?;
        }
        if let Some(text) = &lun.store {
            self.fits(text.span(), &key("store"), spec.store.fits(spec.block_size))?;
        }
        if let Some(text) = &lun.cache {
            spec.write_back = self.value(text, &key("cache"), values::cache)?;
        }
        if let Some(text) = &lun.storage_timeout {
            let key = key("storage_timeout");
            spec.storage_timeout = self.value(text, &key, values::storage_timeout)?;
        }
        if let Some(text) = &lun.serial {
            let serial = self.value(text, &key("serial"), values::serial)?;
            let (what, allowed) = (format!("serial number {serial}"), "one nothing else has");
            self.once(text.span(), &key("serial"), what, allowed)?;
            spec.serial = Some(serial);
        }
        Ok(spec)
    }

    fn store(
        &mut self,
        span: std::ops::Range<usize>,
        key: &str,
        lun: &schema::Lun,
    ) -> Checked<StoreSpec> {
        let Some(text) = &lun.store else {
            return self.refuse(span, key, "there is no store", StoreSpec::ALLOWED);
        };
        let store = self.value(text, key, StoreSpec::parse)?;
        if let StoreSpec::File { .. } | StoreSpec::Gluster { .. } = store {
            let what = format!("the image {}", store.place());
            self.once(text.span(), key, what, "each image once")?;
        }
        Ok(store)
    }
}
