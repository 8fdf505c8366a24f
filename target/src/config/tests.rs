use super::*;

/// A good file; every bad one is this with one thing changed.
const GOOD: &str = r#"[node]
listen = ["127.0.0.1:3260", "[::1]:3260"]
workers = 2
queue_depth = 64
session_memory = "64MiB"
login_timeout = "15s"
ping_interval = "0s"

[[target]]
name = "iqn.2026-01.com.example:one"
alias = "first"
initiators = ["iqn.1993-08.org.debian:01:abc"]
chap = { user = "joe", secret = "correct-horse-1" }
mutual = { user = "glint", secret = "battery-staple-2" }

[[target.lun]]
lun = 0
store = "file:/srv/one.img?size=10GiB"
cache = "write-back"
block_size = 4096
serial = "A-1"

[[target.lun]]
lun = 1
store = "mem:1GiB"
read_only = true

[[target]]
name = "iqn.2026-01.com.example:two"
[[target.chap]]
user = "ann"
secret = "correct-horse-3"
[[target.chap]]
user = "bob"
secret = "correct-horse-4"

[[target.lun]]
lun = 0
store = "mem:512MiB"
"#;

#[test]
fn a_good_file_means_what_it_says() {
    let text = GOOD.replace(
        "read_only = true",
        "read_only = true\nstorage_timeout = \"5s\"",
    );
    let config = ServerConfig::parse("glint.toml", &text).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(config.listen.len(), 2);
    assert_eq!(config.node.queue_depth, 64);
    assert_eq!(config.node.ping_interval, Duration::ZERO);
    assert_eq!(config.node.login_timeout, Duration::from_secs(15));
    let [one, two] = &config.targets[..] else {
        panic!("two targets")
    };
    assert_eq!(one.name.as_str(), "iqn.2026-01.com.example:one");
    assert_eq!(one.alias.as_deref(), Some("first"));
    assert!(matches!(&one.access, InitiatorAccess::Only(names) if names.len() == 1));
    assert_eq!(one.chap[0].name, "joe");
    assert_eq!(
        one.mutual.as_ref().map(|chap| &chap.secret[..]),
        Some(&b"battery-staple-2"[..])
    );
    assert!(one.luns[0].write_back && !one.luns[0].read_only);
    assert_eq!(one.luns[0].block_size, BlockSize::B4096);
    assert_eq!(one.luns[0].serial.as_deref(), Some("A-1"));
    assert!(one.luns[1].read_only && !one.luns[1].write_back);
    assert_eq!(one.luns[0].storage_timeout, Duration::from_secs(20));
    assert_eq!(one.luns[1].storage_timeout, Duration::from_secs(5));
    let users: Vec<_> = two.chap.iter().map(|chap| chap.name.as_str()).collect();
    assert_eq!(users, ["ann", "bob"]);
    assert_eq!(two.access, InitiatorAccess::Anyone);
}

#[test]
fn without_a_node_section_the_defaults_hold() {
    let text =
        "[[target]]\nname = \"iqn.2026-01.a:b\"\n[[target.lun]]\nlun=0\nstore=\"mem:1MiB\"\n";
    let config = ServerConfig::parse("a", text).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(config.listen, ["0.0.0.0:3260".parse().expect("an address")]);
    assert!(
        !config.targets[0].luns[0].write_back,
        "write-through is the default"
    );
}

/// What is replaced in `GOOD`, by what; then the line, the key and a word on what is allowed.
const BAD: &[(&str, &str, usize, &str, &str)] = &[
    ("workers = 2", "wokers = 2", 3, "wokers", "workers"),
    ("workers = 2", "workers = 0", 3, "node.workers", "1 to 64"),
    ("workers = 2", "workers = \"2\"", 3, "", "a whole number"),
    (
        "queue_depth = 64",
        "queue_depth = 5000",
        4,
        "node.queue_depth",
        "1 to 4096",
    ),
    (
        "\"64MiB\"",
        "\"64MB\"",
        5,
        "node.session_memory",
        "KiB, MiB, GiB",
    ),
    (
        "\"64MiB\"",
        "\"1MiB\"",
        5,
        "node.session_memory",
        "from 8MiB to 4GiB",
    ),
    ("\"15s\"", "\"15\"", 6, "node.login_timeout", "ms, s or min"),
    (
        "\"15s\"",
        "\"2000min\"",
        6,
        "node.login_timeout",
        "1s to 3600s",
    ),
    (
        "127.0.0.1:3260",
        "localhost",
        2,
        "node.listen",
        "0.0.0.0:3260",
    ),
    (
        "[::1]:3260",
        "127.0.0.1:3260",
        2,
        "node.listen",
        "each address once",
    ),
    (
        "example:one\"",
        "example:o ne\"",
        10,
        "target[0].name",
        "iqn.2026-01.com.example:disk",
    ),
    (
        "example:two\"",
        "EXAMPLE:one\"",
        29,
        "target[1].name",
        "each target name once",
    ),
    (
        "name = \"iqn.2026-01.com.example:two\"",
        "",
        28,
        "target[1].name",
        "iqn.",
    ),
    ("\"first\"", "\"\"", 11, "target[0].alias", "1 to 255 bytes"),
    (
        "iqn.1993-08.org.debian:01:abc",
        "debian",
        12,
        "target[0].initiators",
        "iqn.",
    ),
    (
        "[\"iqn.1993-08.org.debian:01:abc\"]",
        "[]",
        12,
        "target[0].initiators",
        "no such key",
    ),
    (
        "\"correct-horse-1\"",
        "\"short\"",
        13,
        "target[0].chap.secret",
        "12 to 255 bytes",
    ),
    ("\"correct-horse-1\"", "123456789012", 13, "", "TOML"),
    (
        "\"battery-staple-2\"",
        "\"correct-horse-1\"",
        14,
        "target[0].mutual.secret",
        "different",
    ),
    (
        "\"correct-horse-3\"",
        "\"battery-staple-2\"",
        32,
        "target[1].chap.secret",
        "different",
    ),
    (
        "user = \"joe\", ",
        "",
        13,
        "target[0].chap.user",
        "1 to 255 bytes",
    ),
    (
        "chap = { user = \"joe\", secret = \"correct-horse-1\" }",
        "",
        14,
        "target[0].mutual",
        "chap",
    ),
    (
        "user = \"bob\"",
        "user = \"ann\"",
        30,
        "target[1].chap",
        "each user once",
    ),
    (
        "lun = 1",
        "lun = 0",
        24,
        "target[0].lun[1].lun",
        "each number once",
    ),
    (
        "lun = 1",
        "lun = 16384",
        24,
        "target[0].lun[1].lun",
        "0 to 16383",
    ),
    ("lun = 1\n", "", 23, "target[0].lun[1].lun", "0 to 16383"),
    (
        "mem:1GiB",
        "ram:1GiB",
        25,
        "target[0].lun[1].store",
        "mem:1GiB",
    ),
    (
        "mem:1GiB",
        "mem:1000",
        25,
        "target[0].lun[1].store",
        "multiple of 512",
    ),
    (
        "?size=10GiB",
        "?size=1000KB",
        18,
        "target[0].lun[0].store",
        "KiB",
    ),
    (
        "?size=10GiB",
        "?sise=10GiB",
        18,
        "target[0].lun[0].store",
        "?size=10GiB",
    ),
    (
        "mem:512MiB",
        "file:/srv/one.img",
        39,
        "target[1].lun[0].store",
        "each image once",
    ),
    (
        "\"write-back\"",
        "\"writeback\"",
        19,
        "target[0].lun[0].cache",
        "write-through",
    ),
    (
        "block_size = 4096",
        "block_size = 1024",
        20,
        "target[0].lun[0].block_size",
        "512 or 4096",
    ),
    (
        "serial = \"A-1\"",
        "serial = \"A 1\"",
        21,
        "target[0].lun[0].serial",
        "no space",
    ),
    (
        "read_only = true",
        "read_only = true\nserial = \"A-1\"",
        27,
        "target[0].lun[1].serial",
        "nothing else has",
    ),
    (
        "read_only = true",
        "read_only = yes",
        26,
        "",
        "true or false",
    ),
    (
        "read_only = true",
        "read_only = true\nstorage_timeout = \"30s\"",
        27,
        "target[0].lun[1].storage_timeout",
        "from 1s to 28s",
    ),
    ("lun = 1", "lun = 1\nlun = 2", 25, "", "TOML"),
];

#[test]
fn every_mistake_has_its_place_key_and_remedy() {
    for &(from, to, line, key, allowed) in BAD {
        assert_eq!(
            GOOD.matches(from).count().min(1),
            1,
            "{from} is not in the good file"
        );
        let text = GOOD.replacen(from, to, 1);
        let Err(refusal) = ServerConfig::parse("glint.toml", &text) else {
            panic!("accepted: {from} -> {to}");
        };
        let message = refusal.to_string();
        assert_eq!(refusal.line(), line, "{from} -> {to}:\n{message}");
        assert_eq!(refusal.key(), key, "{from} -> {to}:\n{message}");
        assert!(
            message.starts_with(&format!("glint.toml:{line}:")),
            "{message}"
        );
        let remedy = message
            .split_once("allowed: ")
            .expect("says what is allowed")
            .1;
        assert!(remedy.contains(allowed), "{from} -> {to}:\n{message}");
    }
}

#[test]
fn no_targets_and_no_disks_are_refused() {
    let refusal = ServerConfig::parse("a", "[node]\n").expect_err("no target");
    assert_eq!(refusal.key(), "target");
    let text = "[[target]]\nname = \"iqn.2026-01.a:b\"\n";
    let refusal = ServerConfig::parse("a", text).expect_err("no disk");
    assert_eq!((refusal.key(), refusal.line()), ("target[0].lun", 1));
}

#[test]
fn secrets_are_never_told() {
    let secrets = ["correct-horse-1", "battery-staple-2"];
    let config = ServerConfig::parse("glint.toml", GOOD).expect("good");
    for secret in secrets {
        assert!(!format!("{config:?}").contains(secret));
        assert!(!format!("{config:?}").contains(&format!("{:?}", secret.as_bytes())));
    }
    // Every way to break the line a secret is on.
    for (from, to) in [
        ("\"correct-horse-1\"", "correct-horse-1"),
        ("\"correct-horse-1\"", "\"correct-horse-1"),
        ("\"correct-horse-1\"", "[\"correct-horse-1\"]"),
        ("\"correct-horse-1\"", "\"correct-horse-1\", x = 1"),
        (
            "secret = \"correct-horse-1\" }",
            "secret = \"correct-horse-1\" ",
        ),
        (
            "{ user = \"joe\", secret = \"correct-horse-1\" }",
            "\"correct-horse-1\"",
        ),
        ("user = \"joe\", ", ""),
        ("\"battery-staple-2\"", "\"correct-horse-1\""),
        // Misspelt: nothing on the line says that this is one.
        ("secret = \"correct", "secrte = \"correct"),
        ("chap = {", "cahp = {"),
        (
            "chap = { user = \"joe\", secret =",
            "chap = { a = 1, user = \"joe\", zecret =",
        ),
        ("secret = \"correct-horse-1\"", "secrte = correct-horse-1"),
        ("alias = \"first\"", "secrte = \"\"\"\ncorrect-horse-1"),
    ] {
        let text = GOOD.replacen(from, to, 1);
        let refusal = ServerConfig::parse("glint.toml", &text)
            .expect_err(to)
            .to_string();
        assert!(
            secrets.iter().all(|secret| !refusal.contains(secret)),
            "{refusal}"
        );
        assert!(!refusal.contains("horse"), "{refusal}");
    }
}
