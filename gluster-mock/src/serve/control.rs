//! What is done to a cluster from outside: orders to its server, and volumes in its folder.

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::settings::Settings;

use super::folder;
use super::wire::{self, Hello, Order, Purpose, SOCKET, Told};

/// Lets the server of that cluster obey. Both answers are words for people.
pub fn ask(cluster: &Path, order: Order) -> Result<String, String> {
    let socket = cluster.join(SOCKET);
    let mut stream = UnixStream::connect(&socket)
        .map_err(|error| format!("no server at {}: {error}", socket.display()))?;
    let told = || -> io::Result<Told> {
        wire::send(&mut stream, &Hello::new(Purpose::Control(order)))?;
        wire::receive(&mut stream)
    };
    told().map_err(|error| format!("the server at {} left: {error}", socket.display()))?
}

/// Makes a volume of that name, with settings of the form `key=value`.
pub fn create(cluster: &Path, volume: &str, settings: &[String]) -> Result<(), String> {
    if !folder::is_name(volume) {
        return Err(format!("not a name for a volume: {volume}"));
    }
    let text: String = settings.iter().map(|line| format!("{line}\n")).collect();
    Settings::parse(&text)?;
    let (folder, half) = (cluster.join(volume), cluster.join(format!(".{volume}.new")));
    let make = || {
        fs::create_dir_all(&half)?;
        fs::write(half.join("settings"), text)?;
        // In one step, and not over one that has something in it.
        fs::rename(&half, &folder)
    };
    if folder.exists() {
        return Err(format!("there is a volume {volume} already"));
    }
    make().map_err(|error| format!("{}: {error}", folder.display()))
}

/// The volumes of a cluster, by name.
pub fn volumes(cluster: &Path) -> Result<Vec<String>, String> {
    let read = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(cluster)? {
            let entry = entry?;
            let name = entry.file_name().into_string().unwrap_or_default();
            if entry.file_type()?.is_dir() && folder::is_name(&name) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    };
    read().map_err(|error| format!("{}: {error}", cluster.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_made_once_and_with_settings_that_are_some() {
        let cluster = tempfile::tempdir().expect("a folder");
        let create =
            |name: &str, setting: &str| super::create(cluster.path(), name, &[setting.to_owned()]);
        assert_eq!(create("vol", "replica=3"), Ok(()));
        let settings = fs::read_to_string(cluster.path().join("vol/settings"));
        assert_eq!(settings.expect("settings"), "replica=3\n");
        assert!(create("vol", "replica=3").is_err_and(|why| why.contains("already")));
        assert!(create("b", "colour=red").is_err_and(|why| why.contains("colour")));
        assert!(create("../c", "replica=3").is_err_and(|why| why.contains("name")));
        fs::create_dir(cluster.path().join(".b.new")).expect("a stranger");
        fs::write(cluster.path().join("socket"), "").expect("a file");
        assert_eq!(volumes(cluster.path()), Ok(vec!["vol".to_owned()]));
        let order = Order {
            volume: "vol".to_owned(),
            ask: super::super::Ask::Stop,
        };
        assert!(ask(cluster.path(), order).is_err_and(|why| why.contains("no server")));
    }
}
