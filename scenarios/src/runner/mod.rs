//! Plays scenarios against a device: several at a time, each with a time limit, a monitor and a
//! recorder of its own.

pub mod cli;
mod device;
#[cfg(glint_planted)]
mod gate;
mod play;
mod prove;
mod select;
mod simulate;
mod table;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub use device::Device;
pub use play::{Played, play};
pub use select::matches;

use crate::scenario::{Need, Scenario};
use crate::verdict::Verdict;

/// The longest a scenario may take before it counts as hung.
pub const TIME_LIMIT: Duration = Duration::from_secs(15);

/// Where logs, captures and reports go.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// `build/report`, of the workspace when cargo runs us, else of where we are.
    pub fn here() -> Self {
        let workspace = std::env::var_os("CARGO_MANIFEST_DIR").map(|crate_folder| {
            let mut path = PathBuf::from(crate_folder);
            path.pop();
            path
        });
        // Shorter to read where it is the same.
        let elsewhere =
            workspace.filter(|path| std::env::current_dir().ok().as_ref() != Some(path));
        Self(elsewhere.unwrap_or_default().join("build").join("report"))
    }

    /// The log of a device.
    pub fn log(&self, device: &str) -> PathBuf {
        self.0.join(format!("{device}.log"))
    }

    /// The capture of a scenario.
    pub fn pcap(&self, id: &str) -> PathBuf {
        self.0.join("pcap").join(format!("{id}.pcapng"))
    }

    /// Plans and captures of worlds that failed.
    pub fn worlds(&self) -> PathBuf {
        self.0.with_file_name("worlds")
    }

    /// The report for machines.
    pub fn junit(&self) -> PathBuf {
        self.0.join("junit.xml")
    }

    /// The report for people.
    pub fn page(&self) -> PathBuf {
        self.0.join("index.html")
    }
}

/// Plays `scenarios`, at most `jobs` at a time, and tells `done` about each as it ends. The result
/// has the order of `scenarios`.
pub async fn run(
    device: &Arc<Device>,
    scenarios: &[Scenario],
    jobs: usize,
    done: impl Fn(&Played),
) -> Vec<Played> {
    let jobs = if device.is_shared() { 1 } else { jobs.max(1) };
    let turns = Arc::new(Semaphore::new(jobs));
    let mut under_way = JoinSet::new();
    let mut order: Vec<(usize, Scenario)> = scenarios.iter().copied().enumerate().collect();
    // Faults are mostly waited for: the others play meanwhile.
    order.sort_by_key(|(_, scenario)| !scenario.needs.contains(&Need::Faults));
    for (index, scenario) in order {
        let (device, turns) = (Arc::clone(device), Arc::clone(&turns));
        under_way.spawn(async move {
            let _turn = turns
                .acquire()
                .await
                .expect("the semaphore is never closed");
            (index, play(&device, scenario, TIME_LIMIT).await)
        });
    }
    let mut played: Vec<Option<Played>> = scenarios.iter().map(|_| None).collect();
    while let Some(ended) = under_way.join_next().await {
        let (index, result) = ended.expect("playing does not panic: scenarios do so on their own");
        done(&result);
        played[index] = Some(result);
    }
    let mut played: Vec<Played> = played.into_iter().flatten().collect();
    if jobs > 1 {
        find_the_culprits(device, &mut played).await;
    }
    played
}

/// A device that dies takes all scenarios under way with it, and most of them are innocent: each is
/// played again alone. If none kills it alone, all stay accused.
async fn find_the_culprits(device: &Arc<Device>, played: &mut [Played]) {
    let mut again = Vec::new();
    for (index, suspect) in played.iter().enumerate() {
        if matches!(suspect.verdict, Verdict::Crash(_)) {
            again.push((index, play(device, suspect.scenario, TIME_LIMIT).await));
        }
    }
    let is_crash = |(_, alone): &(usize, Played)| matches!(alone.verdict, Verdict::Crash(_));
    if again.iter().any(is_crash) {
        for (index, alone) in again {
            played[index] = alone;
        }
    }
}

#[cfg(test)]
mod tests;
