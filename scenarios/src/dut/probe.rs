//! Asks a device that is not ours what it has: logins and READ CAPACITY, nothing that changes it.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use initiator_sim::{Capacity, LoginOptions, Session};
use iscsi::Lun;

use super::DutError;
use crate::scenario::Need;

/// What was found.
pub(super) struct Found {
    /// Needs the login can answer.
    pub(super) negotiable: BTreeSet<Need>,
    /// Size of the logical unit.
    pub(super) capacity: Capacity,
    /// A logical unit that is not there.
    pub(super) absent_lun: Lun,
}

/// Probes `lun` of the target that `options` log in to. Blocks, within a tokio runtime.
pub(super) fn probe(
    portal: SocketAddr,
    options: &LoginOptions,
    lun: Lun,
) -> Result<Found, DutError> {
    let runtime = tokio::runtime::Handle::current();
    runtime.block_on(async {
        let mut session = login(portal, options).await?;
        let failed = |what: &str| {
            let what = what.to_owned();
            move |error: initiator_sim::SessionError| DutError::Probe {
                what,
                why: error.to_string(),
            }
        };
        session
            .clear_attention(lun)
            .await
            .map_err(failed("TEST UNIT READY"))?;
        let capacity = session
            .read_capacity(lun)
            .await
            .map_err(failed("READ CAPACITY"))?;
        let luns = session.report_luns().await.map_err(failed("REPORT LUNS"))?;
        // A target that does not log out well is a scenario's business.
        let _ = session.logout().await;
        let absent_lun = (0..Lun::NUMBER_MAX)
            .map(Lun::from_number)
            .find(|lun| !luns.contains(lun))
            .unwrap_or(Lun::from_number(Lun::NUMBER_MAX));
        let negotiable = negotiable(portal, options).await?;
        Ok(Found {
            negotiable,
            capacity,
            absent_lun,
        })
    })
}

async fn login(portal: SocketAddr, options: &LoginOptions) -> Result<Session, DutError> {
    Session::login(portal, options)
        .await
        .map_err(|error| DutError::Probe {
            what: format!("login at {portal}"),
            why: error.to_string(),
        })
}

async fn negotiable(
    portal: SocketAddr,
    options: &LoginOptions,
) -> Result<BTreeSet<Need>, DutError> {
    let mut needs = BTreeSet::new();
    let offer = options
        .clone()
        .key("HeaderDigest", "CRC32C,None")
        .key("DataDigest", "CRC32C,None")
        .write_mode(true, false);
    let session = login(portal, &offer).await?;
    let params = session.params();
    let granted = [
        (params.digests.header, Need::HeaderDigest),
        (params.digests.data, Need::DataDigest),
        (!params.initial_r2t, Need::UnsolicitedData),
    ];
    needs.extend(
        granted
            .into_iter()
            .filter(|(yes, _)| *yes)
            .map(|(_, need)| need),
    );
    let _ = session.logout().await;
    Ok(needs)
}
