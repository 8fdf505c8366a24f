//! The verbs of a disk: each one command, its CDB and what its answer means.

use bytes::Bytes;
use iscsi::Lun;

use crate::cdb;
use crate::machine::{Command, Outcome};
use crate::session::{Session, SessionError};

/// A disk's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Blocks on the disk.
    pub blocks: u64,
    /// Bytes in a block.
    pub block_size: u32,
}

impl Capacity {
    /// Size in bytes.
    pub fn bytes(&self) -> u64 {
        self.blocks * u64::from(self.block_size)
    }
}

/// One target of a SendTargets answer (RFC 7143 appendix C).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetRecord {
    /// TargetName.
    pub name: String,
    /// TargetAddress values, `host:port,tag`.
    pub addresses: Vec<String>,
}

/// Attentions a new session may have to collect before a disk answers.
const ATTENTIONS_MAX: usize = 8;

impl Session {
    /// TEST UNIT READY.
    pub async fn tur(&mut self, lun: Lun) -> Result<Outcome, SessionError> {
        self.run(Command::none(lun, &cdb::test_unit_ready())).await
    }

    /// TEST UNIT READY until the unit attentions a new session meets are collected.
    pub async fn clear_attention(&mut self, lun: Lun) -> Result<(), SessionError> {
        let mut outcome = self.tur(lun).await?;
        for _ in 0..ATTENTIONS_MAX {
            if !outcome.is_unit_attention() {
                break;
            }
            outcome = self.tur(lun).await?;
        }
        outcome.good().map(drop)
    }

    /// INQUIRY, standard data or a VPD page.
    pub async fn inquiry(&mut self, lun: Lun, page: Option<u8>) -> Result<Outcome, SessionError> {
        self.run(Command::read(lun, &cdb::inquiry(page, 255), 255))
            .await
    }

    /// READ CAPACITY(16), decoded. Also sets the block size the other verbs reckon with.
    pub async fn read_capacity(&mut self, lun: Lun) -> Result<Capacity, SessionError> {
        let data = self
            .run(Command::read(lun, &cdb::read_capacity16(32), 32))
            .await?
            .good()?;
        let (Some(last), Some(size)) = (data.first_chunk::<8>(), data.get(8..12)) else {
            return Err(SessionError::Answer("READ CAPACITY(16)"));
        };
        let block_size = u32::from_be_bytes([size[0], size[1], size[2], size[3]]);
        let blocks = u64::from_be_bytes(*last)
            .checked_add(1)
            .filter(|_| block_size > 0)
            .ok_or(SessionError::Answer("READ CAPACITY(16)"))?;
        self.block_size = block_size;
        Ok(Capacity { blocks, block_size })
    }

    /// REPORT LUNS, decoded.
    pub async fn report_luns(&mut self) -> Result<Vec<Lun>, SessionError> {
        let command = Command::read(Lun(0), &cdb::report_luns(4096), 4096);
        let data = self.run(command).await?.good()?;
        let len = data
            .first_chunk::<4>()
            .ok_or(SessionError::Answer("REPORT LUNS"))?;
        let len = u32::from_be_bytes(*len) as usize;
        let list = &data[8.min(data.len())..];
        let (entries, _) = list[..len.min(list.len())].as_chunks::<8>();
        Ok(entries
            .iter()
            .map(|entry| Lun(u64::from_be_bytes(*entry)))
            .collect())
    }

    /// READ(10).
    pub async fn read(&mut self, lun: Lun, lba: u32, blocks: u16) -> Result<Outcome, SessionError> {
        self.run(self.read_command(lun, lba, blocks)).await
    }

    /// WRITE(10) of whole blocks.
    pub async fn write(
        &mut self,
        lun: Lun,
        lba: u32,
        data: &[u8],
    ) -> Result<Outcome, SessionError> {
        self.run(self.write_command(lun, lba, Bytes::copy_from_slice(data)))
            .await
    }

    /// WRITE(10) of whole blocks with FUA.
    pub async fn write_fua(
        &mut self,
        lun: Lun,
        lba: u32,
        data: &[u8],
    ) -> Result<Outcome, SessionError> {
        let cdb = cdb::write10(lba, self.blocks16(data.len()), true);
        self.run(Command::write(lun, &cdb, data.to_vec())).await
    }

    /// READ(16).
    pub async fn read16(
        &mut self,
        lun: Lun,
        lba: u64,
        blocks: u32,
    ) -> Result<Outcome, SessionError> {
        let edtl = blocks.saturating_mul(self.block_size);
        self.run(Command::read(lun, &cdb::read16(lba, blocks, false), edtl))
            .await
    }

    /// WRITE(16) of whole blocks.
    pub async fn write16(
        &mut self,
        lun: Lun,
        lba: u64,
        data: &[u8],
    ) -> Result<Outcome, SessionError> {
        let blocks = u32::from(self.blocks16(data.len()));
        self.run(Command::write(
            lun,
            &cdb::write16(lba, blocks, false),
            data.to_vec(),
        ))
        .await
    }

    /// SYNCHRONIZE CACHE(10) of the whole disk.
    pub async fn sync(&mut self, lun: Lun) -> Result<Outcome, SessionError> {
        self.run(Command::none(lun, &cdb::synchronize_cache10(0, 0, false)))
            .await
    }

    /// The READ(10) that [`Session::read`] sends.
    pub fn read_command(&self, lun: Lun, lba: u32, blocks: u16) -> Command {
        let edtl = u32::from(blocks) * self.block_size;
        Command::read(lun, &cdb::read10(lba, blocks, false), edtl)
    }

    /// The WRITE(10) that [`Session::write`] sends.
    pub fn write_command(&self, lun: Lun, lba: u32, data: impl Into<Bytes>) -> Command {
        let data = data.into();
        let cdb = cdb::write10(lba, self.blocks16(data.len()), false);
        Command::write(lun, &cdb, data)
    }

    /// SendTargets (RFC 7143 appendix C): `All`, a target name, or nothing.
    pub async fn send_targets(&mut self, value: &str) -> Result<Vec<TargetRecord>, SessionError> {
        let text = self
            .text(format!("SendTargets={value}\0").as_bytes())
            .await?;
        let keys = iscsi::keys::parse(&text).map_err(crate::Violation::from)?;
        let mut targets: Vec<TargetRecord> = Vec::new();
        for (key, value) in keys {
            match (key, targets.last_mut()) {
                ("TargetName", _) => {
                    targets.push(TargetRecord {
                        name: value.to_owned(),
                        addresses: Vec::new(),
                    });
                }
                ("TargetAddress", Some(target)) => target.addresses.push(value.to_owned()),
                _ => return Err(SessionError::Answer("SendTargets")),
            }
        }
        Ok(targets)
    }

    /// Whole blocks in `len` bytes.
    fn blocks16(&self, len: usize) -> u16 {
        let size = self.block_size as usize;
        assert!(len.is_multiple_of(size), "a write is of whole blocks");
        u16::try_from(len / size).expect("at most 65,535 blocks in a command")
    }
}
