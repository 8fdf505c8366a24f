//! Images on the fake Gluster as an operator handles them, with the unmodified `glintd`: who they
//! are over restart, rename, copy and power cut, as an initiator sees it, and `glintd image`.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;

use gluster_mock::call::Call;
use gluster_mock::serve::at_rest;
use initiator_sim::{LoginOptions, Session};
use iscsi::Lun;
use scenarios::binaries;
use scenarios::fake::FakeVolume;
use scenarios::server::{Server, TARGET};
use serde_json::Value;

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Nothing un-synced outlives the process that wrote it.
const HARSH: &str = "lost = 100\ntorn = 0\n";

/// A volume, and the program.
struct Stage {
    volume: FakeVolume,
    program: PathBuf,
}

/// What became of a `glintd image …`.
struct Told {
    code: Option<i32>,
    out: String,
    err: String,
}

/// What initiators know a disk by.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    serial: String,
    naa: String,
}

impl Stage {
    fn new(settings: &str) -> Self {
        Self {
            program: binaries::glintd().expect("glintd builds"),
            volume: FakeVolume::new(settings).expect("a volume"),
        }
    }

    fn place(&self, image: &str) -> String {
        format!("gluster://{}/{image}", self.volume.address())
    }

    fn image(&self, arguments: &[&str]) -> Told {
        let mut command = Command::new(&self.program);
        command.arg("image").args(arguments);
        self.volume.lend(&mut command);
        let output = command.output().expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Told {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    /// The answer of a command that must succeed.
    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let told = self.image(&[arguments, &["--json"]].concat());
        assert_eq!(told.code, Some(0), "{arguments:?}: {}", told.err);
        serde_json::from_str(&told.out).expect("JSON")
    }

    fn serve(&self, arguments: &[&str]) -> Server {
        Server::glintd_on(&self.volume, &self.program, ANY, arguments).expect("glintd starts")
    }

    /// A file that nobody told glintd about, copied by someone else or made.
    fn put(&self, image: &str, from: Option<&str>) {
        let to = self.volume.durable(image);
        fs::create_dir_all(to.parent().expect("a folder")).expect("made");
        match from {
            Some(from) => drop(fs::copy(self.volume.durable(from), to).expect("copied")),
            None => fs::write(to, vec![0; 1 << 20]).expect("written"),
        }
    }

    fn rename(&self, from: &str, to: &str) {
        let (from, to) = (from.to_owned(), to.to_owned());
        let renamed = at_rest(&self.volume.path(), Call::Rename { from, to });
        renamed.expect("renamed");
    }

    /// The records there are, on the first brick.
    fn records(&self) -> Vec<PathBuf> {
        let folder = self.volume.durable(".glint/images");
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        let mut records: Vec<_> = paths
            .filter(|path| path.extension().is_some_and(|suffix| suffix == "toml"))
            .collect();
        records.sort();
        records
    }
}

/// What a `glintd image …` that prints JSON says of an image.
fn name_in(value: &Value) -> Name {
    let text = |key: &str| value[key].as_str().expect("text").to_owned();
    Name {
        serial: text("serial"),
        naa: text("naa"),
    }
}

/// What an initiator is told: VPD page 80h, and the NAA designator of page 83h.
async fn seen(server: &Server, lun: u16) -> Name {
    let mut session = Session::login(server.portal, &LoginOptions::new(TARGET))
        .await
        .expect("a login");
    let lun = Lun::from_number(lun);
    session.clear_attention(lun).await.expect("attention");
    let mut pages = Vec::new();
    for page in [0x80, 0x83] {
        let outcome = session.inquiry(lun, Some(page)).await.expect("an answer");
        assert!(outcome.is_good(), "{outcome}");
        pages.push(outcome.data);
    }
    session.logout().await.expect("logout");
    // SPC-4 7.8.6.1: designators after four bytes, each with its length in its fourth byte.
    let mut rest = &pages[1][4..];
    let naa = loop {
        let (head, body) = rest.split_at(4);
        let (designator, after) = body.split_at(head[3].into());
        if head[1] & 0x0f == 3 {
            break designator
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
        }
        rest = after;
    };
    Name {
        serial: String::from_utf8(pages[0][4..].to_vec()).expect("ASCII"),
        naa,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_the_same_disk_after_restart_and_rename_and_its_copy_is_not() {
    let stage = Stage::new(HARSH);
    let place = stage.place("vm/disk.img");
    let made = name_in(&stage.json(&["create", &place, "--size", "1MiB"]));
    let server = stage.serve(&["--lun", &place]);
    assert_eq!(seen(&server, 0).await, made);
    server.kill().expect("SIGKILL");

    stage.rename("/vm/disk.img", "/moved.img");
    stage.put("copy.img", Some("moved.img"));
    let (moved, copy) = (stage.place("moved.img"), stage.place("copy.img"));
    let server = stage.serve(&["--lun", &copy, "--lun", &moved]);
    assert_eq!(seen(&server, 1).await, made, "renamed, another LUN");
    let copied = seen(&server, 0).await;
    assert_ne!(copied.serial, made.serial);
    assert_ne!(copied.naa, made.naa);
    server.kill().expect("SIGKILL");

    let listed = stage.json(&["ls", &format!("gluster://{}", stage.volume.address())]);
    let listed: Vec<_> = listed.as_array().expect("a list").iter().collect();
    let paths: Vec<_> = listed.iter().map(|image| &image["path"]).collect();
    assert_eq!(paths, ["copy.img", "moved.img"]);
    assert_eq!(name_in(listed[0]), copied);
    assert_eq!(name_in(listed[1]), made);
    let info = stage.json(&["info", &moved]);
    assert_eq!(name_in(&info), made);
    assert_eq!(info["created_as"], "vm/disk.img");
    assert_eq!(info["size"], 1 << 20);
}

/// Who only reads changes nothing in the volume, and sees the disk that it is to everybody.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_from_elsewhere_is_the_same_disk_before_and_after_it_has_a_record() {
    let stage = Stage::new(HARSH);
    stage.put("old.img", None);
    let place = stage.place("old.img");
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("glint.toml");
    let text = format!(
        "[node]\nlisten = [\"127.0.0.1:0\"]\n[[target]]\nname = \"{TARGET}\"\n\
         [[target.lun]]\nlun = 0\nstore = \"{place}\"\nread_only = true\n"
    );
    fs::write(&config, text).expect("written");
    let server = Server::glintd_with(&stage.volume, &stage.program, &config).expect("it starts");
    let read_only = seen(&server, 0).await;
    server.kill().expect("SIGKILL");
    assert_eq!(stage.records(), Vec::<PathBuf>::new());
    assert_eq!(stage.json(&["info", &place])["created"], Value::Null);

    let server = stage.serve(&["--lun", &place]);
    assert_eq!(seen(&server, 0).await, read_only);
    server.kill().expect("SIGKILL");
    assert_eq!(stage.records().len(), 1);
    let info = stage.json(&["info", &place]);
    assert_eq!(name_in(&info), read_only);
    assert!(info["created"].is_string(), "{info}");
}

/// The power fails at each call there is from start to readiness, one after the other; calls that
/// only look do not notice.
#[tokio::test(flavor = "multi_thread")]
async fn no_power_cut_makes_another_disk_of_an_image() {
    const CALLS: u32 = 40;
    let stage = Stage::new(HARSH);
    let mut cuts = 0;
    for call in 1..=CALLS {
        let image = format!("disk-{call}.img");
        let place = stage.place(&image);
        stage.put(&image, None);
        let known = name_in(&stage.json(&["info", &place]));
        stage
            .volume
            .plan(&format!("* * nth={call} cut"))
            .expect("a plan");
        let started = Server::glintd_on(&stage.volume, &stage.program, ANY, &["--lun", &place]);
        stage.volume.plan("").expect("a plan");
        cuts += u32::from(started.is_err());
        // Killed, if it still runs.
        drop(started);
        let server = stage.serve(&["--lun", &place]);
        assert_eq!(seen(&server, 0).await, known, "cut at call {call}");
        server.kill().expect("SIGKILL");
    }
    assert!((8..CALLS).contains(&cuts), "{cuts} cuts");
    let records = stage.records();
    assert_eq!(records.len(), CALLS as usize);
    for record in records {
        let text = fs::read_to_string(&record).expect("text");
        assert!(
            text.contains("\nid = \"") && text.ends_with("Z\"\n"),
            "{text}"
        );
    }
}

#[test]
fn a_damaged_record_is_refused_and_told() {
    let stage = Stage::new(HARSH);
    let (good, bad) = (stage.place("good.img"), stage.place("bad.img"));
    stage.json(&["create", &good, "--size", "1MiB"]);
    let kept = stage.records();
    stage.json(&["create", &bad, "--size", "1MiB"]);
    let records = stage.records();
    let record = records.iter().find(|path| !kept.contains(path));
    let record = record.expect("one more");
    let text = fs::read(record).expect("the record");
    fs::write(record, &text[..text.len() / 2]).expect("cut short");
    let name = record
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    for arguments in [["info", &bad], ["ls", &stage.place("")]] {
        let told = stage.image(&arguments);
        assert_eq!(told.code, Some(3), "{}", told.err);
        for word in [&*bad, &*name, "no whole record", "remove it"] {
            assert!(
                told.err.contains(word),
                "\"{word}\" is not in: {}",
                told.err
            );
        }
    }
    let told = stage.image(&["ls", &stage.place("")]);
    assert!(
        told.out.contains("bad.img") && told.out.contains("unknown"),
        "{}",
        told.out
    );
    let started = Server::glintd_on(&stage.volume, &stage.program, ANY, &["--lun", &bad]);
    assert!(started.is_err(), "a damaged record is no identity");
    // Its remedy: the identity is derived again, and is the same.
    fs::remove_file(record).expect("removed");
    stage.json(&["info", &bad]);
}

/// Bricks that lie about a sync leave a name without bytes.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_lost_is_made_again_and_says_the_same() {
    let stage = Stage::new(HARSH);
    let place = stage.place("disk.img");
    let made = name_in(&stage.json(&["create", &place, "--size", "1MiB"]));
    let records = stage.records();
    for blank in [Vec::new(), vec![0; 300]] {
        fs::write(&records[0], blank).expect("blank");
        assert_eq!(name_in(&stage.json(&["info", &place])), made);
        let server = stage.serve(&["--lun", &place]);
        assert_eq!(seen(&server, 0).await, made);
        server.kill().expect("SIGKILL");
        assert_eq!(stage.records(), records);
        let text = fs::read_to_string(&records[0]).expect("text");
        assert!(
            text.contains("id = \"") && text.ends_with("Z\"\n"),
            "{text}"
        );
    }
}

#[test]
fn images_are_made_and_removed() {
    let stage = Stage::new("capacity = 67108864\n");
    let place = stage.place("a/b/disk.img");
    let create = ["create", &place, "--size", "8MiB"];
    let made = stage.image(&create);
    assert_eq!(made.code, Some(0), "{}", made.err);
    assert!(
        made.out.contains("8MiB") && made.out.contains("NAA 602474c"),
        "{}",
        made.out
    );
    let again = stage.image(&create);
    assert_eq!(again.code, Some(3));
    assert!(
        again.err.contains("exists") && again.err.contains("image rm"),
        "{}",
        again.err
    );

    let full = stage.place("full.img");
    let told = stage.image(&["create", &full, "--size", "16MiB", "--preallocate"]);
    assert_eq!(told.code, Some(0), "{}", told.err);
    let info = stage.json(&["info", &full]);
    assert_eq!(
        (&info["size"], &info["allocated"]),
        (&(16 << 20).into(), &(16 << 20).into())
    );

    // Too large for the volume, and refused by a brick in the middle of it.
    let large = stage.place("large.img");
    let told = stage.image(&["create", &large, "--size", "1GiB", "--preallocate"]);
    assert_eq!(told.code, Some(3), "{}", told.err);
    assert!(told.err.contains("no room for 1GiB"), "{}", told.err);
    stage
        .volume
        .plan("fallocate * errno=ENOSPC")
        .expect("a plan");
    let told = stage.image(&["create", &large, "--size", "4MiB", "--preallocate"]);
    assert_eq!(told.code, Some(3), "{}", told.err);
    assert!(told.err.contains("no room for 4MiB"), "{}", told.err);
    stage.volume.plan("").expect("a plan");
    assert!(
        !stage.volume.durable("large.img").exists(),
        "nothing half made stays"
    );

    let moved = stage.place("c/moved.img");
    let onto = stage.image(&["mv", &place, &full]);
    assert_eq!(onto.code, Some(3), "{}", onto.err);
    assert!(onto.err.contains("full.img exists"), "{}", onto.err);
    let before = name_in(&stage.json(&["info", &place]));
    assert_eq!(stage.image(&["mv", &place, &moved]).code, Some(0));
    assert_eq!(stage.image(&["info", &place]).code, Some(3));
    assert_eq!(name_in(&stage.json(&["info", &moved])), before);
    assert_eq!(stage.image(&["mv", &moved, &place]).code, Some(0));
    let elsewhere = stage.image(&["mv", &place, "gluster://localhost/other/a.img"]);
    assert_eq!(elsewhere.code, Some(2), "{}", elsewhere.err);

    let table = stage.image(&["ls", &stage.place("")]).out;
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(
        lines[0].starts_with("PATH") && lines[1].starts_with("full.img "),
        "{table}"
    );
    assert!(lines[2].starts_with("a/b/disk.img  8MiB "), "{table}");

    let unsure = stage.image(&["rm", &place]);
    assert_eq!(unsure.code, Some(2));
    assert!(unsure.err.contains("--yes"), "{}", unsure.err);
    assert_eq!(stage.records().len(), 2);
    let removed = stage.image(&["rm", &place, "--yes"]);
    assert_eq!(removed.code, Some(0), "{}", removed.err);
    assert_eq!(stage.records().len(), 1, "its record went with it");
    assert_eq!(stage.image(&["rm", &place, "--yes"]).code, Some(3));
    assert_eq!(stage.image(&["info", &place]).code, Some(3));
    assert_eq!(
        stage.image(&["create", &place, "--size", "1000"]).code,
        Some(2)
    );
    assert_eq!(stage.image(&["ls", "file:/srv"]).code, Some(2));
}

/// By the same name the configuration could know; by another only the volume does.
#[test]
fn one_image_is_not_served_as_two_disks() {
    let stage = Stage::new(HARSH);
    let place = stage.place("disk.img");
    stage.json(&["create", &place, "--size", "1MiB"]);
    let (from, to) = ("/disk.img".to_owned(), "/also.img".to_owned());
    let linked = at_rest(&stage.volume.path(), Call::Link { from, to });
    linked.expect("linked");
    for other in [&place, &stage.place("also.img")] {
        let mut command = Command::new(&stage.program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--log", "error"]);
        command.args(["--lun", &place, "--lun", other]);
        stage.volume.lend(&mut command);
        let output = command.output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(
            text.contains("LUN 1 of ") && text.contains("the same image is LUN 0"),
            "{text}"
        );
    }
}
