//! Who images are, and `glintd image`, on a real volume: what several clients see of each other. The
//! fake has one client at a time; what it can show is in `tests/images.rs`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Output, Stdio};

use block::Op;
use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use target::identity::of_image;
use target::store::{Settings, Store};

use crate::stage::{Volume, glintd, open, read, run, trial, write};

const SIZE: u64 = 1 << 20;

pub(crate) fn of_real_volumes() -> Vec<Trial> {
    vec![
        trial("identity::outlasts_restart_and_rename", outlasts),
        trial("identity::a_copy_is_another_disk", copied),
        trial("identity::several_who_make_it_at_once_agree", raced),
        trial("identity::one_image_is_not_two_disks", doubled),
        trial("image_command::makes_lists_and_removes", commanded),
        trial("image_command::reserves_room_or_makes_nothing", reserved),
        trial("image_command::spares_what_is_served", spared),
    ]
}

/// Runs `glintd image …`.
fn image(arguments: &[&str]) -> Result<Output, Failed> {
    Ok(glintd().arg("image").args(arguments).output()?)
}

/// The JSON of one that must succeed.
fn json(arguments: &[&str]) -> Result<Value, Failed> {
    let output = image(&[arguments, &["--json"]].concat())?;
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// One that must fail, and say all of `words`.
fn refused(arguments: &[&str], code: i32, words: &[&str]) -> Result<(), Failed> {
    let output = image(arguments)?;
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    for word in words {
        assert!(text.contains(word), "\"{word}\" is not in: {text}");
    }
    Ok(())
}

fn removed(place: &str) -> Result<(), Failed> {
    let output = image(&["rm", place, "--yes"])?;
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    Ok(())
}

/// What an image is called in INQUIRY data: serial number and NAA.
fn called(store: &dyn Store) -> (String, String) {
    let identity = of_image(&store.image().expect("an image on a volume"));
    let naa = identity.naa.map(|byte| format!("{byte:02x}")).concat();
    (identity.serial, naa)
}

fn told(value: &Value) -> (String, String) {
    let text = |key: &str| value[key].as_str().expect("text").to_owned();
    (text("serial"), text("naa"))
}

fn outlasts() -> Result<(), Failed> {
    let volume = Volume::any();
    let (first, second) = (volume.image("who"), volume.image("who/moved"));
    let made = told(&json(&["create", &first, "--size", "1MiB"])?);
    for _ in 0..2 {
        assert_eq!(called(&*open(&first, &Settings::default())?), made);
    }
    assert!(image(&["mv", &first, &second])?.status.success());
    assert_eq!(called(&*open(&second, &Settings::default())?), made);
    let read_only = Settings {
        read_only: true,
        ..Settings::default()
    };
    assert_eq!(called(&*open(&second, &read_only)?), made);
    let info = json(&["info", &second])?;
    assert_eq!(told(&info), made);
    assert_eq!(info["place"], second);
    assert!(first.ends_with(info["created_as"].as_str().expect("text")));
    removed(&second)
}

/// As `cp` does it: another file with the same bytes.
fn copied() -> Result<(), Failed> {
    let volume = Volume::any();
    let (from, to) = (volume.image("original"), volume.image("copy"));
    let original = open(&format!("{from}?size=1MiB"), &Settings::default())?;
    let copy = open(&format!("{to}?size=1MiB"), &Settings::default())?;
    run(&*original, vec![write(0, 4096, 7, true)]);
    let buffer = run(&*original, vec![read(0, SIZE as usize)])
        .remove(0)
        .buffer;
    let buffer = buffer.expect("comes back");
    let op = Op::Write {
        at: 0,
        buffer,
        durable: true,
    };
    assert_eq!(run(&*copy, vec![op])[0].outcome, Ok(()));
    let (first, second) = (called(&*original), called(&*copy));
    assert_ne!(first.0, second.0);
    assert_ne!(first.1, second.1);
    drop((original, copy));
    removed(&from)?;
    removed(&to)
}

/// A `glintd serve` that does not outlive its trial.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        // It has ended already, or it must.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn serve(store: &str) -> Result<Serving, Failed> {
    let mut command = glintd();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--lun", store])
        .env_remove("RUST_LOG")
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    Ok(Serving(command.spawn()?))
}

/// Reads its log to where it says which serial number the disk has.
fn serial(serving: &mut Serving) -> Result<String, Failed> {
    let log = serving.0.stderr.take().ok_or("its log was read already")?;
    let mut told = String::new();
    for line in BufReader::new(log).lines() {
        let line = line?;
        if let Some((_, rest)) = line.split_once(", serial ") {
            return Ok(rest.trim_end_matches(')').to_owned());
        }
        told += &line;
    }
    Err(format!("it did not start: {told}").into())
}

/// Several processes, each a client of its own, find nothing and make the same image at once.
fn raced() -> Result<(), Failed> {
    let volume = Volume::any();
    for round in 0..5 {
        let place = volume.image(&format!("raced-{round}"));
        let store = format!("{place}?size=1MiB");
        let started: Result<Vec<_>, _> = (0..4).map(|_| serve(&store)).collect();
        let mut started = started?;
        let serials: Result<Vec<_>, _> = started.iter_mut().map(serial).collect();
        let serials = serials?;
        drop(started);
        let info = json(&["info", &place])?;
        assert!(info["created"].is_string(), "{info}");
        let (known, _) = told(&info);
        assert!(serials.iter().all(|serial| *serial == known), "{serials:?}");
        removed(&place)?;
    }
    Ok(())
}

fn doubled() -> Result<(), Failed> {
    let volume = Volume::any();
    let place = volume.image("double");
    json(&["create", &place, "--size", "1MiB"])?;
    // By another list of servers the same volume: nothing in the text tells that it is.
    let also = place.replacen("gluster://", "gluster://127.0.0.1:1,", 1);
    for other in [&place, &also] {
        let output = glintd()
            .args(["serve", "--listen", "127.0.0.1:0", "--log", "error"])
            .args(["--lun", &place, "--lun", other])
            .output()?;
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(text.contains("the same image is LUN 0"), "{text}");
    }
    removed(&place)
}

fn commanded() -> Result<(), Failed> {
    let volume = Volume::any();
    let folder = format!("folder-{}", std::process::id());
    let place = |name: &str| format!("gluster://{}/{folder}/{name}", volume.0);
    let (one, two) = (place("one.img"), place("inner/two.img"));
    let made = json(&["create", &one, "--size", "8MiB"])?;
    json(&["create", &two, "--size", "1MiB"])?;
    refused(
        &["create", &one, "--size", "8MiB"],
        3,
        &["exists", "image rm"],
    )?;
    refused(&["create", &one, "--size", "1000"], 2, &["--size"])?;
    let listed = json(&["ls", &format!("gluster://{}/{folder}", volume.0)])?;
    let paths: Vec<_> = listed.as_array().ok_or("a list")?.iter().collect();
    assert_eq!(paths.len(), 2, "{listed}");
    assert_eq!(paths[0]["path"], format!("{folder}/one.img"));
    assert_eq!(paths[1]["path"], format!("{folder}/inner/two.img"));
    assert_eq!(told(paths[0]), told(&made));
    let info = json(&["info", &one])?;
    assert_eq!(told(&info), told(&made));
    assert_eq!(info["size"], 8 << 20);
    let free = info["volume_free"].as_u64().ok_or("a number")?;
    assert!(free > 0 && free < info["volume_size"].as_u64().ok_or("a number")?);
    refused(&["rm", &one], 2, &["--yes"])?;
    removed(&one)?;
    removed(&two)?;
    refused(&["rm", &one, "--yes"], 3, &["does not exist"])?;
    refused(&["info", &one], 3, &["does not exist"])
}

fn reserved() -> Result<(), Failed> {
    let volume = Volume::any();
    let place = volume.image("reserved");
    json(&["create", &place, "--size", "300MiB", "--preallocate"])?;
    let info = json(&["info", &place])?;
    let allocated = info["allocated"].as_u64().ok_or("a number")?;
    assert_eq!(info["size"], 300 << 20);
    assert!(allocated >= 300 << 20, "{info}");
    removed(&place)?;
    let create = ["create", &place, "--size", "1024TiB", "--preallocate"];
    refused(&create, 3, &["no room for 1024TiB"])?;
    refused(&["info", &place], 3, &["does not exist"])
}

fn spared() -> Result<(), Failed> {
    let volume = Volume::any();
    let place = volume.image("served");
    json(&["create", &place, "--size", "1MiB"])?;
    assert_eq!(json(&["info", &place])?["served"], false);
    let mut serving = serve(&place)?;
    serial(&mut serving)?;
    assert_eq!(json(&["info", &place])?["served"], true);
    refused(&["rm", &place, "--yes"], 3, &["is served by a glintd"])?;
    refused(
        &["mv", &place, &format!("{place}.moved")],
        3,
        &["is served"],
    )?;
    drop(serving);
    removed(&place)
}
