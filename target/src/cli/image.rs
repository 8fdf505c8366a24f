//! `glintd image …`: images of Gluster volumes made, listed, looked at, renamed and removed, without a
//! server.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a program talks to its caller

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use block::BlockSize;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{ENVIRONMENT, USAGE};
use crate::config::Unfit;
use crate::config::quantity::Bytes;
use crate::gluster::{Catalog, Details, GlusterError, ImageId, Listed, Place};
use crate::identity;
use crate::store::StoreSpec;

/// What to do with images.
#[derive(Debug, Subcommand)]
pub(super) enum Image {
    /// Make an image, and the folders to it. Refused where there is one.
    Create {
        /// gluster://SERVER/VOLUME/PATH
        place: String,
        /// How large, for example 10GiB.
        #[arg(long)]
        size: String,
        /// Reserve room for all of it now, so that no write finds the volume full.
        #[arg(long)]
        preallocate: bool,
        #[command(flatten)]
        output: Output,
    },
    /// List the images of a volume or a folder, and of the folders in it.
    Ls {
        /// gluster://SERVER/VOLUME or gluster://SERVER/VOLUME/FOLDER
        place: String,
        #[command(flatten)]
        output: Output,
    },
    /// Say everything about an image. Changes nothing.
    Info {
        /// gluster://SERVER/VOLUME/PATH
        place: String,
        #[command(flatten)]
        output: Output,
    },
    /// Give an image another name; it stays the same disk. Refused while a glintd is known to serve
    /// it.
    Mv {
        /// gluster://SERVER/VOLUME/PATH
        place: String,
        /// Another path in the same volume, written the same way.
        to: String,
    },
    /// Remove an image and its record. Refused while a glintd is known to serve it.
    Rm {
        /// gluster://SERVER/VOLUME/PATH
        place: String,
        /// Yes, lose what is on it.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Output {
    /// Write JSON.
    #[arg(long)]
    json: bool,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
enum Undone {
    #[error("{0}: {1}")]
    Usage(&'static str, Unfit),
    #[error("{0} and what is on it would be lost for good; if that is meant, add --yes")]
    Unconfirmed(Place),
    #[error(transparent)]
    Gluster(#[from] GlusterError),
    /// Each was told where it was found.
    #[error("{0} of the images have no identity that could be read")]
    Unknown(usize),
}

impl Image {
    /// Does it, and says on standard output what came of it.
    pub(super) fn run(&self) -> ExitCode {
        match self.perform() {
            Ok(text) => {
                // A reader that has read enough is no failure.
                let mut out = std::io::stdout().lock();
                out.write_all(text.as_bytes())
                    .and_then(|()| out.flush())
                    .ok();
                ExitCode::SUCCESS
            }
            Err(why) => {
                eprintln!("{why}");
                ExitCode::from(match why {
                    Undone::Usage(..) | Undone::Unconfirmed(_) => USAGE,
                    Undone::Gluster(_) | Undone::Unknown(_) => ENVIRONMENT,
                })
            }
        }
    }

    fn perform(&self) -> Result<String, Undone> {
        match self {
            Self::Create {
                place,
                size,
                preallocate,
                output,
            } => {
                let (place, bytes) = sized(place, size)?;
                let id = Catalog::open(&place)?.create(bytes, *preallocate)?;
                Ok(created(&place, bytes, &id, *output))
            }
            Self::Ls { place, output } => {
                let place = folder(place)?;
                list(&place, *output)
            }
            Self::Info { place, output } => {
                let place = image(place)?;
                let details = Catalog::open(&place)?.details()?;
                Ok(described(&place, &details, *output))
            }
            Self::Mv { place, to } => {
                let (place, to) = (image(place)?, image(to)?);
                if (&place.servers, &place.volume) != (&to.servers, &to.volume) {
                    let what = format!("{to} is not written as a place in the volume of {place}");
                    let unfit = Unfit::new(what, "the same servers and volume");
                    return Err(Undone::Usage("TO", unfit));
                }
                Catalog::open(&place)?.rename(&to)?;
                Ok(format!("renamed {place} to {to}\n"))
            }
            Self::Rm { place, yes } => {
                let place = image(place)?;
                if !yes {
                    return Err(Undone::Unconfirmed(place));
                }
                Catalog::open(&place)?.remove()?;
                Ok(format!("removed {place}\n"))
            }
        }
    }
}

/// An image, without a size.
fn image(text: &str) -> Result<Place, Undone> {
    match StoreSpec::parse(text).map_err(|unfit| Undone::Usage("PLACE", unfit))? {
        StoreSpec::Gluster {
            place,
            create_bytes: None,
        } => Ok(place),
        StoreSpec::Gluster { place, .. } => {
            let what = "?size= is for stores that are served";
            Err(Undone::Usage("PLACE", Unfit::new(what, place.to_string())))
        }
        StoreSpec::File { .. } | StoreSpec::Mem { .. } => {
            let what = format!("{text} is on no volume; the system's own tools handle files");
            Err(Undone::Usage(
                "PLACE",
                Unfit::new(what, "gluster://SERVER/VOLUME/PATH"),
            ))
        }
    }
}

/// An image and the size it shall have.
fn sized(text: &str, size: &str) -> Result<(Place, u64), Undone> {
    let place = image(text)?;
    let at = |unfit| Undone::Usage("--size", unfit);
    let store = StoreSpec::parse(&format!("{place}?size={size}")).map_err(at)?;
    store.fits(BlockSize::B512).map_err(at)?;
    match store {
        StoreSpec::Gluster {
            place,
            create_bytes: Some(bytes),
        } => Ok((place, bytes)),
        _ => Err(at(Unfit::new("no size", "a size such as 10GiB"))),
    }
}

/// A volume, or a folder in it.
fn folder(text: &str) -> Result<Place, Undone> {
    let allowed = "gluster://SERVER/VOLUME or gluster://SERVER/VOLUME/FOLDER";
    let at = |unfit| Undone::Usage("PLACE", unfit);
    let Some(rest) = text.strip_prefix("gluster://") else {
        let what = format!("{text} is no volume");
        return Err(at(Unfit::new(what, allowed)));
    };
    Place::parse_folder(rest.trim_end_matches('/')).map_err(at)
}

fn created(place: &Place, bytes: u64, id: &ImageId, output: Output) -> String {
    let named = identity::of_image(id);
    let (serial, naa) = (named.serial, hex(&named.naa));
    match output.json {
        true => line(&json!({
            "place": place.to_string(), "size": bytes, "serial": serial, "naa": naa,
        })),
        false => format!(
            "created {place} ({}), serial {serial}, NAA {naa}\n",
            Bytes(bytes)
        ),
    }
}

fn list(place: &Place, output: Output) -> Result<String, Undone> {
    let mut images = Vec::new();
    Catalog::open(place)?.list(&mut |image| images.push(image))?;
    let unknown = images.iter().filter_map(|image| image.id.as_ref().err());
    let unknown = unknown.inspect(|why| eprintln!("{why}")).count();
    let text = match output.json {
        true => line(&images.iter().map(row_of_json).collect()),
        false => {
            let mut rows = vec![["PATH", "SIZE", "ALLOCATED", "SERIAL", "NAA"].map(str::to_owned)];
            rows.extend(images.iter().map(row));
            table(&rows)
        }
    };
    match unknown {
        0 => Ok(text),
        some => {
            print!("{text}");
            Err(Undone::Unknown(some))
        }
    }
}

fn row(image: &Listed) -> [String; 5] {
    let (serial, naa) = names(image);
    let unknown = || "unknown".to_owned();
    [
        image.path.clone(),
        Bytes(image.bytes).to_string(),
        Bytes(image.allocated).to_string(),
        serial.unwrap_or_else(unknown),
        naa.unwrap_or_else(unknown),
    ]
}

fn row_of_json(image: &Listed) -> Value {
    let (serial, naa) = names(image);
    json!({
        "path": image.path, "size": image.bytes, "allocated": image.allocated,
        "serial": serial, "naa": naa,
    })
}

fn names(image: &Listed) -> (Option<String>, Option<String>) {
    let named = image.id.as_ref().ok().map(identity::of_image);
    named.map(|named| (named.serial, hex(&named.naa))).unzip()
}

fn described(place: &Place, details: &Details, output: Output) -> String {
    let named = identity::of_image(&details.id);
    let (serial, naa) = (named.serial, hex(&named.naa));
    let (volume, id) = (hex(&details.id.volume), hex(&details.id.id));
    let number = format!("{:016x}", details.id.number);
    if output.json {
        return line(&json!({
            "place": place.to_string(), "size": details.bytes, "allocated": details.allocated,
            "serial": serial, "naa": naa, "volume_id": volume, "image_id": id, "number": number,
            "created": details.created, "created_as": details.created_as,
            "direct": details.direct, "served": details.served,
            "volume_size": details.volume_bytes, "volume_free": details.free_bytes,
        }));
    }
    let absent = || "no record yet; made when it is served for writing".to_owned();
    let told = |yes: bool, what: &str, otherwise: &str| match yes {
        true => what.to_owned(),
        false => otherwise.to_owned(),
    };
    let rows = [
        ["place", &place.to_string()],
        ["size", &Bytes(details.bytes).to_string()],
        ["allocated", &Bytes(details.allocated).to_string()],
        ["serial", &serial],
        ["NAA", &naa],
        ["volume id", &volume],
        ["image id", &id],
        ["record", &format!(".glint/images/{number}.toml")],
        ["created", &details.created.clone().unwrap_or_else(absent)],
        [
            "created as",
            &details.created_as.clone().unwrap_or_else(absent),
        ],
        [
            "O_DIRECT",
            &told(details.direct, "yes", "no, buffered by the bricks"),
        ],
        [
            "served",
            &told(details.served, "yes", "not as far as is known"),
        ],
        ["volume size", &Bytes(details.volume_bytes).to_string()],
        ["volume free", &Bytes(details.free_bytes).to_string()],
    ];
    table(&rows.map(|row| row.map(str::to_owned)))
}

/// Columns as wide as the widest of their cells.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut text = String::new();
    for row in rows {
        let mut written = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = rows.iter().map(|row| row[column].chars().count()).max();
            let width = width.unwrap_or(0);
            write!(written, "{cell:width$}  ").expect("a String takes everything");
        }
        text += written.trim_end();
        text.push('\n');
    }
    text
}

fn line(value: &Value) -> String {
    format!("{value:#}\n")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned() {
        let rows = [["PATH", "SIZE"], ["a/longer.img", "1GiB"], ["é", "2"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        let expected = "PATH          SIZE\na/longer.img  1GiB\né             2\n";
        assert_eq!(table(&rows), expected);
    }

    #[test]
    fn what_is_no_image_is_refused_before_anything_is_opened() {
        for text in [
            "file:/srv/a",
            "mem:1MiB",
            "gluster://g1/vol",
            "gluster://g1/vol/a?size=1MiB",
        ] {
            assert!(
                matches!(image(text), Err(Undone::Usage("PLACE", _))),
                "{text}"
            );
        }
        for size in ["0", "1000", "ten", "1GB"] {
            let sized = sized("gluster://g1/vol/a", size);
            assert!(matches!(sized, Err(Undone::Usage("--size", _))), "{size}");
        }
        assert!(folder("gluster://g1/vol/").is_ok());
        assert!(folder("gluster://g1/vol/.glint").is_err());
    }
}
