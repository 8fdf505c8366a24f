//! What is wrong with a volume for disks, and the command that mends it.
//!
//! One criterion: an option that makes an answered GOOD a lie is refused, whatever else is unwise
//! is warned of. Looks at the description clients get, which holds every option that concerns them.

use std::fmt;

use super::volfile::{Nature, Translator};
use super::{GlusterError, OPEN_WAIT, Place, image, volume, watch};
use crate::config::Unfit;
use crate::config::quantity::Bytes;
use crate::store::Settings;

/// Above this, in seconds, a hung brick holds up writes for longer than initiators wait.
const PING_TIMEOUT_MAX: u64 = 20;

/// Below this, in seconds, operations end while their bricks are merely slow.
const FRAME_TIMEOUT_MIN: u64 = 60;

/// Something about a volume that should be otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// No disk is served from it as it is.
    pub refused: bool,
    /// What is wrong, and what comes of it.
    pub what: String,
    /// The command, or what else to do.
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; remedy: {}", self.what, self.remedy)
    }
}

/// What a look at a volume brought.
#[derive(Clone, Debug)]
pub struct Checkup {
    /// The worst first.
    pub findings: Vec<Finding>,
    /// What an image is like, where one was named.
    pub image: Option<String>,
}

impl Checkup {
    /// Looks at `gluster://SERVER/VOLUME` or `gluster://SERVER/VOLUME/PATH`; changes nothing.
    ///
    /// # Errors
    /// Where the volume or the image is not to be had.
    pub fn of(place: &Place) -> Result<Self, GlusterError> {
        let there = place.clone();
        let looked = watch::within("glintd-doctor", OPEN_WAIT, move || {
            let (fs, mut findings) = volume::connect(&there)?;
            findings.sort_by_key(|finding| !finding.refused);
            let fs = std::sync::Arc::new(fs);
            let image = match there.path.as_str() {
                "" => Ok(None),
                _ => look_at_image(&fs, &there).map(Some),
            };
            volume::leave(fs);
            image.map(|image| Self { findings, image })
        });
        looked
            .map_err(|why| GlusterError::no_answer(place, OPEN_WAIT, why))
            .flatten()
    }

    /// Whether a disk may be served.
    pub fn is_refused(&self) -> bool {
        self.findings.iter().any(|finding| finding.refused)
    }

    /// Reads the place to look at.
    ///
    /// # Errors
    /// Says what it should be.
    pub fn place(text: &str) -> Result<Place, Unfit> {
        let allowed = "gluster://SERVER[:PORT][,SERVER[:PORT]]/VOLUME or …/VOLUME/PATH";
        let Some(rest) = text.strip_prefix("gluster://") else {
            return Err(Unfit::new(format!("\"{text}\" is no volume"), allowed));
        };
        Place::parse_folder(rest)
    }
}

fn look_at_image(
    fs: &std::sync::Arc<super::calls::Fs>,
    place: &Place,
) -> Result<String, GlusterError> {
    let settings = Settings {
        read_only: true,
        ..Settings::default()
    };
    let image = image::Image::open(std::sync::Arc::clone(fs), place, None, &settings)?;
    let yes = |known: bool| if known { "yes" } else { "no" };
    Ok(format!(
        "{place}: {}, O_DIRECT {}, allocation map {}, zeros by the bricks {}",
        Bytes(image.bytes),
        yes(image.direct),
        yes(image.thin.extents),
        yes(image.thin.quick_zeroes),
    ))
}

/// Why disks of this volume are not served, if they are not.
pub(super) fn refusal(place: &Place, findings: &[Finding]) -> Option<GlusterError> {
    let refused = findings.iter().filter(|finding| finding.refused);
    let texts: Vec<_> = refused.map(ToString::to_string).collect();
    (!texts.is_empty()).then(|| GlusterError::Unsafe {
        servers: place.server_list(),
        volume: place.volume.clone(),
        findings: texts.join("; "),
    })
}

/// Version of the installed library, major and minor, told by the folder of the translators it has
/// loaded; `None` where it has none, as the fake.
pub(super) fn client_version() -> Option<(u32, u32)> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(version_in)
}

fn version_in(line: &str) -> Option<(u32, u32)> {
    let (before, _) = line.split_once("/xlator/")?;
    let (_, version) = before.rsplit_once('/')?;
    let mut numbers = version.split('.').map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next().flatten().unwrap_or(0)))
}

/// Everything there is to say.
pub(super) fn findings(
    volume: &str,
    translators: &[Translator],
    client: Option<(u32, u32)>,
) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let redundant = Nature::of(translators, client).redundant;
    for translator in translators {
        let about = match translator.kind.as_str() {
            "cluster/replicate" => vec![quorum(volume, translator), witness(volume, translator)],
            "protocol/client" => vec![
                ping(volume, translator),
                frame(volume, translator),
                direct(volume, translator).filter(|_| !redundant),
            ],
            "features/shard" => vec![Some(shard(volume))],
            _ => Vec::new(),
        };
        // Replica sets and bricks are alike: once is enough.
        for finding in about.into_iter().flatten() {
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
    }
    findings.extend(client.and_then(age));
    findings
}

fn warning(what: String, remedy: String) -> Finding {
    Finding {
        refused: false,
        what,
        remedy,
    }
}

/// Whether less than a majority of replicas may take a write: the others know nothing of it, and
/// may be the ones that are left, or take other writes meanwhile.
fn quorum(volume: &str, replicate: &Translator) -> Option<Finding> {
    let replicas = replicate.children as u64;
    let count = replicate.number("quorum-count").unwrap_or(0);
    let (safe, kind) = match replicate.option("quorum-type") {
        Some("auto") => (true, "auto".to_owned()),
        Some("fixed") => (
            count * 2 > replicas,
            format!("fixed with cluster.quorum-count {count}"),
        ),
        // Gluster's own default: auto for three and more, none for two.
        None => (replicas > 2, "not set".to_owned()),
        Some(other) => (false, other.to_owned()),
    };
    (!safe).then(|| Finding {
        refused: true,
        what: format!(
            "cluster.quorum-type is {kind}: a write is answered by fewer than most of its \
             {replicas} replicas, and can be undone by the others (split brain)"
        ),
        remedy: format!("gluster volume set {volume} cluster.quorum-type auto"),
    })
}

fn witness(volume: &str, replicate: &Translator) -> Option<Finding> {
    let alone = replicate.children == 2 && replicate.option("thin-arbiter").is_none();
    alone.then(|| {
        warning(
            "two replicas without an arbiter: while the first brick is away, nothing can be \
             written"
                .to_owned(),
            format!("gluster volume add-brick {volume} replica 3 arbiter 1 SERVER:/BRICK"),
        )
    })
}

fn ping(volume: &str, client: &Translator) -> Option<Finding> {
    let seconds = client.number("ping-timeout").unwrap_or(42);
    let held = match seconds {
        0 => "for half an hour".to_owned(),
        seconds if seconds > PING_TIMEOUT_MAX => format!("for up to {} s", 2 * seconds),
        _ => return None,
    };
    Some(warning(
        format!("network.ping-timeout is {seconds}: a brick that hangs holds up writes {held}"),
        format!("gluster volume set {volume} network.ping-timeout 10"),
    ))
}

fn frame(volume: &str, client: &Translator) -> Option<Finding> {
    let seconds = client.number("frame-timeout")?;
    (seconds < FRAME_TIMEOUT_MIN).then(|| {
        warning(
            format!(
                "network.frame-timeout is {seconds}: operations are given up while slow bricks \
                 still carry them out"
            ),
            format!("gluster volume reset {volume} network.frame-timeout"),
        )
    })
}

fn direct(volume: &str, client: &Translator) -> Option<Finding> {
    client.is_on("filter-O_DIRECT").then(|| {
        warning(
            "network.remote-dio is on: every write goes through the page cache of a brick that \
             nothing replicates, whose failures to write back can pass unseen"
                .to_owned(),
            format!("gluster volume set {volume} network.remote-dio disable"),
        )
    })
}

fn shard(volume: &str) -> Finding {
    warning(
        "features.shard is on: durable writes take a sync of the whole file each, nothing is \
         unmapped, and there are no allocation maps"
            .to_owned(),
        format!(
            "new images on a volume with: gluster volume set {volume} features.shard off (never \
             on a volume that holds images)"
        ),
    )
}

fn age(client: (u32, u32)) -> Option<Finding> {
    (client < (10, 3)).then(|| {
        warning(
            format!(
                "libgfapi is {}.{}: before 10.3, asking for an allocation map can crash it",
                client.0, client.1
            ),
            "apt-get install libgfapi0 glusterfs-common, 10.3 or newer".to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::volfile;
    use super::*;

    fn examine(text: &str) -> Vec<(bool, String)> {
        let found = findings("disks", &volfile::parse(text), Some((10, 3)));
        let told = found.into_iter();
        told.map(|each| (each.refused, each.to_string())).collect()
    }

    fn replicate(children: &str, options: &str) -> String {
        format!("volume r\n type cluster/replicate\n{options}\n subvolumes {children}\nend-volume")
    }

    #[test]
    fn writes_need_most_replicas() {
        let refused = |children: &str, options: &str| {
            let found = examine(&replicate(children, options));
            let text = "gluster volume set disks cluster.quorum-type auto";
            found
                .iter()
                .any(|(refused, what)| *refused && what.contains(text))
        };
        for (children, options, expected) in [
            ("a b c", "", false),
            ("a b c", "option quorum-type auto", false),
            ("a b c", "option quorum-type none", true),
            ("a b c", "option quorum-type fixed", true),
            (
                "a b c",
                "option quorum-type fixed\noption quorum-count 1",
                true,
            ),
            (
                "a b c",
                "option quorum-type fixed\noption quorum-count 2",
                false,
            ),
            ("a b", "", true),
            ("a b", "option quorum-type auto", false),
            (
                "a b",
                "option quorum-type fixed\noption quorum-count 1",
                true,
            ),
        ] {
            assert_eq!(
                refused(children, options),
                expected,
                "{children}: {options}"
            );
        }
    }

    #[test]
    fn what_is_unwise_is_told_once() {
        let client = "volume c\n type protocol/client\n option ping-timeout 42\n \
                      option frame-timeout 5\n option filter-O_DIRECT enable\nend-volume\n";
        let two = replicate("a b", "option quorum-type auto");
        let shard = "\nvolume s\n type features/shard\nend-volume";
        let found = examine(&format!("{client}{client}{two}{shard}"));
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found.iter().all(|(refused, _)| !refused));
        for text in [
            "up to 84 s; remedy: gluster volume set disks network.ping-timeout 10",
            "gluster volume reset disks network.frame-timeout",
            "gluster volume add-brick disks replica 3 arbiter 1",
            "features.shard is on",
        ] {
            assert!(found.iter().any(|(_, what)| what.contains(text)), "{text}");
        }
        let alone = examine(client);
        assert_eq!(alone.len(), 3, "{alone:?}");
        let text = "gluster volume set disks network.remote-dio disable";
        assert!(alone.iter().any(|(_, what)| what.contains(text)));
        let good = "volume c\n type protocol/client\n option ping-timeout 10\nend-volume";
        assert!(examine(good).is_empty());
    }

    #[test]
    fn the_client_tells_its_age_by_its_translators() {
        let line = "7f00-7f01 r-xp 0 08:01 1 /usr/lib/x86_64-linux-gnu/glusterfs/10.3/xlator/cluster/afr.so";
        assert_eq!(version_in(line), Some((10, 3)));
        assert_eq!(version_in("7f00 /usr/lib/libc.so.6"), None);
        assert!(age((9, 2)).is_some() && age((10, 2)).is_some() && age((10, 3)).is_none());
    }
}
