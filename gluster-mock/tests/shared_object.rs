//! The shared object from outside: loaded by path, linked by a C program, used by programs that
//! know only Gluster, alone and on a cluster that is served and brought to harm meanwhile.

mod programs;

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Arguments;
use tempfile::TempDir;

use programs::{HEADERS, Need, Served, built, compiled, control, library, trial};

/// A cluster with one volume, and the library with versions.
fn cluster() -> (TempDir, PathBuf) {
    cluster_like("lost = 100\ntorn = 0\n")
}

fn cluster_like(settings: &str) -> (TempDir, PathBuf) {
    let (folder, library) = library();
    let volume = folder.path().join("cluster/vol");
    fs::create_dir_all(&volume).expect("a volume");
    fs::write(volume.join("settings"), settings).expect("settings");
    (folder, library)
}

fn run(command: &mut Command, library: &Path, cluster: &Path) -> Output {
    // Some leave files where they stand.
    let command = command.current_dir(cluster);
    let command = command.env("LD_LIBRARY_PATH", library);
    let output = command
        .env("GLUSTER_MOCK_DIR", cluster)
        .output()
        .expect("it starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {} {told}",
        output.status
    );
    assert!(!told.contains("no version information"), "{told}");
    output
}

const FIO: Need = Need {
    present: || starts("fio"),
    package: "fio",
};
const QEMU: Need = Need {
    present: || {
        let driver = "/usr/lib/x86_64-linux-gnu/qemu/block-gluster.so";
        starts("qemu-img") && Path::new(driver).exists()
    },
    package: "qemu-utils and qemu-block-extra",
};

const TGT: Need = Need {
    present: || {
        let driver = "/usr/lib/tgt/backing-store/bs_glfs.so";
        Path::new("/usr/sbin/tgtd").exists()
            && Path::new(driver).exists()
            && starts("qemu-img")
            && Path::new("/usr/lib/x86_64-linux-gnu/qemu/block-iscsi.so").exists()
    },
    package: "tgt, tgt-glusterfs, qemu-utils and qemu-block-extra",
};

fn starts(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

fn main() -> ExitCode {
    let trials = vec![
        trial("glintd_can_load_it", &[], glintd_can_load_it),
        trial(
            "a_c_program_finds_what_it_expects",
            &[&HEADERS],
            a_c_program_finds_what_it_expects,
        ),
        trial(
            "a_power_cut_by_plan_ends_the_process",
            &[&HEADERS],
            a_power_cut_by_plan_ends_the_process,
        ),
        trial(
            "fio_verifies_through_both_engines",
            &[&FIO],
            fio_verifies_through_both_engines,
        ),
        trial(
            "fio_verifies_while_bricks_die_and_return",
            &[&FIO],
            fio_verifies_while_bricks_die_and_return,
        ),
        trial(
            "fio_is_told_that_a_brick_is_full",
            &[&FIO],
            fio_is_told_that_a_brick_is_full,
        ),
        trial(
            "qemu_img_brings_an_image_there_and_back",
            &[&QEMU],
            qemu_img_brings_an_image_there_and_back,
        ),
        trial(
            "qemu_img_waits_for_a_silent_brick",
            &[&QEMU],
            qemu_img_waits_for_a_silent_brick,
        ),
        trial(
            "tgt_serves_a_lun_that_libiscsi_reads_back",
            &[&TGT],
            tgt_serves_a_lun_that_libiscsi_reads_back,
        ),
        trial(
            "two_tgt_share_a_volume_and_one_dies",
            &[&TGT],
            two_tgt_share_a_volume_and_one_dies,
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn glintd_can_load_it() {
    let library = built("libgluster_mock.so");
    if let Err(error) = glfs_sys::Api::open(&library) {
        panic!("{}: {error}", library.display());
    }
}

fn a_c_program_finds_what_it_expects() {
    let (folder, library) = cluster();
    let program = compiled("durable", folder.path(), &library);
    let cluster = folder.path().join("cluster");
    run(
        Command::new(&program).arg(&cluster).arg("vol"),
        &library,
        &cluster,
    );
    let stable = fs::read(cluster.join("vol/bricks/0/c.img")).expect("the brick's file");
    assert_eq!(stable, [vec![0; 8192], vec![b'c'; 4096]].concat());
}

fn a_power_cut_by_plan_ends_the_process() {
    let (folder, library) = cluster();
    let program = compiled("durable", folder.path(), &library);
    let cluster = folder.path().join("cluster");
    fs::write(cluster.join("vol/plan"), "write /c.img nth=2 cut\n").expect("a plan");
    let mut command = Command::new(&program);
    let command = command.arg(&cluster).arg("vol");
    let status = command
        .env("LD_LIBRARY_PATH", &library)
        .status()
        .expect("it starts");
    assert_eq!(status.signal(), Some(9), "{status}");
    let stable = fs::read(cluster.join("vol/bricks/0/c.img")).expect("the brick's file");
    assert_eq!(stable, [vec![0; 8192], vec![b'c'; 4096]].concat());
}

fn fio_verifies_through_both_engines() {
    let (folder, library) = cluster();
    let cluster = folder.path().join("cluster");
    for (engine, depth) in [("gfapi", "1"), ("gfapi_async", "16")] {
        let job = [
            format!("--name={engine}"),
            format!("--ioengine={engine}"),
            format!("--iodepth={depth}"),
            format!("--filename={engine}.img"),
        ];
        let fixed = "--volume=vol --brick=localhost --rw=randwrite --bs=4k --size=4m --thread \
                     --verify=crc32c --verify_fatal=1 --fsync=64 --group_reporting";
        run(
            Command::new("fio").args(job).args(fixed.split(' ')),
            &library,
            &cluster,
        );
        let stable = fs::metadata(cluster.join(format!("vol/bricks/0/{engine}.img")));
        assert_eq!(stable.expect("the brick's file").len(), 4 << 20);
    }
}

/// What the command line must do.
#[track_caller]
fn order(cluster: &Path, words: &str) {
    let (code, told) = control(cluster, words);
    assert_eq!(code, 0, "{words}: {told}");
}

fn fio(arguments: &str, library: &Path, cluster: &Path) -> Command {
    // Options of the engine follow its name.
    let place = "--volume=vol --brick=localhost --thread --bs=4k --filename=a.img";
    let mut fio = Command::new("fio");
    fio.arg("--name=a")
        .args(arguments.split(' '))
        .args(place.split(' '))
        .current_dir(cluster)
        .env("LD_LIBRARY_PATH", library)
        .env("GLUSTER_MOCK_DIR", cluster);
    fio
}

/// Every block is read back with its checksum, whichever two of three bricks took it.
fn fio_verifies_while_bricks_die_and_return() {
    let (folder, library) = cluster_like("replica = 3\nreconnect = 50ms\n");
    let cluster = folder.path().join("cluster");
    let _served = Served::start(&cluster);
    let job = "--ioengine=gfapi_async --iodepth=16 --rw=randwrite --size=12m --rate_iops=1000 \
               --verify=crc32c --verify_fatal=1 --fsync=64";
    let mut fio = fio(job, &library, &cluster)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // A client that comes while a brick is away waits long for it; that is not meant here.
    let start = Instant::now();
    while !cluster.join("vol/bricks/0/a.img").exists() {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "nothing is written"
        );
        thread::sleep(Duration::from_millis(10));
    }
    let mut harms = 0;
    for brick in [2, 1, 0].into_iter().cycle() {
        for verb in ["kill", "start"] {
            thread::sleep(Duration::from_millis(250));
            order(&cluster, &format!("brick {verb} {brick}"));
        }
        if fio.try_wait().expect("its state").is_some() {
            break;
        }
        harms += 1;
    }
    let output = fio.wait_with_output().expect("it ended");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {told}", output.status);
    assert!(harms >= 3, "fio was too quick: {harms}");
}

fn fio_is_told_that_a_brick_is_full() {
    let (folder, library) = cluster_like("replica = 1\n");
    let cluster = folder.path().join("cluster");
    let _served = Served::start(&cluster);
    let job = "--ioengine=gfapi --rw=write --size=1m --end_fsync=1 --verify=crc32c";
    order(&cluster, "fill 0");
    let output = fio(job, &library, &cluster).output().expect("it starts");
    let told = [output.stderr, output.stdout].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(!output.status.success(), "{told}");
    assert!(told.contains("No space left on device"), "{told}");
    order(&cluster, "drain 0");
    let output = fio(job, &library, &cluster).output().expect("it starts");
    assert!(output.status.success(), "{output:?}");
}

/// 1 MiB of which no two words are the same.
fn pattern() -> Vec<u8> {
    let words = (0..1_u32 << 18).map(|n| n ^ n << 9);
    words.flat_map(u32::to_le_bytes).collect()
}

fn qemu_img_brings_an_image_there_and_back() {
    let (folder, library) = cluster();
    let cluster = folder.path().join("cluster");
    let bytes = pattern();
    let [image, back] = ["image", "back"].map(|name| folder.path().join(name));
    fs::write(&image, &bytes).expect("an image");
    let url = format!("gluster+unix:///vol/q.img?socket={}", cluster.display());
    let convert = |from: &str, to: &str| {
        let mut qemu = Command::new("qemu-img");
        run(
            qemu.args(["convert", "-f", "raw", "-O", "raw", from, to]),
            &library,
            &cluster,
        );
    };
    convert(image.to_str().expect("a name"), &url);
    assert!(fs::read(cluster.join("vol/bricks/0/q.img")).expect("the brick's file") == bytes);
    convert(&url, back.to_str().expect("a name"));
    assert!(fs::read(back).expect("the image") == bytes);
}

/// The image is there and back although a brick says nothing for good, and later.
fn qemu_img_waits_for_a_silent_brick() {
    let (folder, library) = cluster_like("replica = 3\nping-timeout = 1\n");
    let cluster = folder.path().join("cluster");
    let _served = Served::start(&cluster);
    let bytes = pattern();
    let [image, back] = ["image", "back"].map(|name| folder.path().join(name));
    fs::write(&image, &bytes).expect("an image");
    let url = format!("gluster+unix:///vol/q.img?socket={}", cluster.display());
    let convert = |from: &str, to: &str, harm: &str| {
        let start = Instant::now();
        // Slow enough that the harm comes in the middle.
        order(&cluster, "brick slow 0 150ms");
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(100));
                order(&cluster, harm);
            });
            let mut qemu = Command::new("qemu-img");
            let qemu = qemu.args(["convert", "-f", "raw", "-O", "raw", from, to]);
            run(qemu, &library, &cluster);
        });
        order(&cluster, "brick slow 0 0ms");
        start.elapsed()
    };
    let took = convert(image.to_str().expect("a name"), &url, "brick hang 1");
    assert!(
        took > Duration::from_millis(500),
        "nobody noticed: {took:?}"
    );
    order(&cluster, "brick resume 1");
    // Back, and brought up to date; so it can do without another.
    thread::sleep(Duration::from_millis(1500));
    convert(&url, back.to_str().expect("a name"), "brick kill 2");
    assert!(fs::read(back).expect("the image") == bytes);
}

/// tgtd with a LUN of bs_glfs. Dropped, it is killed.
struct Tgtd {
    child: Child,
    folder: PathBuf,
    port: u16,
}

impl Tgtd {
    const TARGET: &str = "iqn.2026-11.example.glint:tgt";

    fn start(folder: &Path, library: &Path, cluster: &Path, store: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.expect("a free port").port();
        let child = Command::new("/usr/sbin/tgtd")
            .args(["-f", "--iscsi", &format!("portal=127.0.0.1:{port}")])
            .env("TGT_IPC_SOCKET", folder.join("tgtd"))
            .env("LD_LIBRARY_PATH", library)
            .env("GLUSTER_MOCK_DIR", cluster)
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("tgtd.log")).expect("a log"))
            .spawn()
            .expect("tgtd starts");
        let folder = folder.to_owned();
        let tgtd = Self {
            child,
            folder,
            port,
        };
        let target = ["--mode", "target", "--tid", "1"];
        let start = Instant::now();
        // The first calls find nobody home.
        while let Err(why) = tgtd.admin(&["--mode", "target", "--op", "show"]) {
            let late = start.elapsed() > Duration::from_secs(5);
            assert!(!late, "tgtd: {why} {}", tgtd.log());
            thread::sleep(Duration::from_millis(10));
        }
        let unit = ["--mode", "logicalunit", "--tid", "1", "--lun", "1"];
        let backing = ["--bstype", "glfs", "--backing-store", store];
        for call in [
            [&target[..], &["--op", "new", "-T", Self::TARGET]].concat(),
            [&unit[..], &["--op", "new"], &backing].concat(),
            [&target[..], &["--op", "bind", "-I", "ALL"]].concat(),
        ] {
            if let Err(why) = tgtd.admin(&call) {
                panic!("tgtadm {}: {why} {}", call.join(" "), tgtd.log());
            }
        }
        tgtd
    }

    fn admin(&self, arguments: &[&str]) -> Result<(), String> {
        let output = Command::new("/usr/sbin/tgtadm")
            .args(["--lld", "iscsi"])
            .args(arguments)
            .env("TGT_IPC_SOCKET", self.folder.join("tgtd"))
            .output()
            .expect("tgtadm starts");
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("tgtd.log")).unwrap_or_default()
    }

    fn url(&self) -> String {
        format!("iscsi://127.0.0.1:{}/{}/1", self.port, Self::TARGET)
    }
}

impl Drop for Tgtd {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Debian's tgt, unmodified, with the fake for its libgfapi; QEMU's iSCSI driver is libiscsi.
fn tgt_serves_a_lun_that_libiscsi_reads_back() {
    let (folder, library) = cluster();
    let cluster = folder.path().join("cluster");
    let durable = cluster.join("vol/bricks/0/t.img");
    fs::create_dir_all(durable.with_file_name("")).expect("a brick");
    let bytes = pattern();
    let file = File::create(&durable).expect("an image");
    file.set_len(bytes.len() as u64).expect("its size");
    let [image, back] = ["image", "back"].map(|name| folder.path().join(name));
    fs::write(&image, &bytes).expect("what to write");

    let tgtd = Tgtd::start(folder.path(), &library, &cluster, "vol@localhost:t.img");
    let convert = |arguments: &[&str], from: &str, to: &str| {
        let fixed = ["-f", "raw", "-O", "raw"];
        let mut qemu = Command::new("qemu-img");
        let qemu = qemu.arg("convert").args(arguments).args(fixed);
        let output = qemu.args([from, to]).output().expect("qemu-img starts");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told} {}", tgtd.log());
    };
    let url = tgtd.url();
    convert(&["-n"], image.to_str().expect("a name"), &url);
    convert(&[], &url, back.to_str().expect("a name"));
    assert!(fs::read(&back).expect("what was read") == bytes);
    // The power fails. qemu-img flushes at its end, and so it is all there.
    drop(tgtd);
    assert!(fs::read(&durable).expect("the brick's file") == bytes);
}

/// Two processes, one volume: what the first wrote and flushed before its end, the second serves.
fn two_tgt_share_a_volume_and_one_dies() {
    let (folder, library) = cluster_like("lost = 100\ntorn = 0\nreplica = 3\nping-timeout = 1\n");
    let cluster = folder.path().join("cluster");
    let mut served = Served::start(&cluster);
    let bytes = pattern();
    let [image, back] = ["image", "back"].map(|name| folder.path().join(name));
    fs::write(&image, &bytes).expect("what to write");
    let url = format!("gluster+unix:///vol/t.img?socket={}", cluster.display());
    let size = bytes.len().to_string();
    let mut qemu = Command::new("qemu-img");
    run(
        qemu.args(["create", "-q", "-f", "raw", &url, &size]),
        &library,
        &cluster,
    );
    let start = |name: &str| {
        let folder = folder.path().join(name);
        fs::create_dir(&folder).expect("a folder");
        Tgtd::start(&folder, &library, &cluster, "vol@localhost:t.img")
    };
    let (first, second) = (start("first"), start("second"));
    order(&cluster, "brick kill 1");
    let convert = |arguments: &[&str], from: &str, to: &str| {
        let fixed = ["-f", "raw", "-O", "raw"];
        let mut qemu = Command::new("qemu-img");
        let qemu = qemu.arg("convert").args(arguments).args(fixed);
        let output = qemu.args([from, to]).output().expect("qemu-img starts");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
    };
    convert(&["-n"], image.to_str().expect("a name"), &first.url());
    drop(first);
    order(&cluster, "brick start 1");
    convert(&[], &second.url(), back.to_str().expect("a name"));
    assert!(fs::read(&back).expect("what was read") == bytes);
    // The power fails on all bricks. qemu-img flushes at its end, and so it is all there.
    served.kill();
    let durable = cluster.join("vol/bricks/0/t.img");
    assert!(fs::read(durable).expect("the brick's file") == bytes);
}
