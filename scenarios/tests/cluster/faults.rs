//! What happens to volumes that are used: their graph changes, they are stopped and started, their
//! bricks die. Each trial has a volume of its own, and load on it all the while.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use scenarios::cluster::Volume;

use crate::load::{Ended, Load};
use crate::room::{Room, serve, stop};

const IMAGE: &str = "loaded.img";

/// Away for longer than a few commands, and well within the 20 s that commands are held.
const AWAY: Duration = Duration::from_secs(5);
/// Away for longer than commands are held.
const LONG_AWAY: Duration = Duration::from_secs(23);

const SWITCHES: usize = 10;

/// Volumes whose bricks are killed in turn.
const TURNS: usize = 4;

pub(crate) fn trials(room: &Arc<Room>) -> Vec<Trial> {
    vec![
        room.trial("fault::volume_away_past_the_budget", &[], away_for_long),
        room.trial("fault::volume_stopped_and_started", &[], stopped),
        room.trial("fault::two_bricks_killed", &[], quorum_lost),
        room.trial("fault::all_bricks_killed_in_turn", &[], killed_in_turn),
        room.trial("fault::one_brick_killed", &[], one_killed),
        room.trial("fault::graph_switched_ten_times", &[], switched),
    ]
}

/// `hurt` happens to a volume under load; then nothing but GOOD and BUSY may have been answered,
/// everything acknowledged is there, in the same session, and the bricks agree.
fn under_load(
    room: &Room,
    name: &str,
    hurt: impl FnOnce(&Volume, &Load) -> Result<(), Failed>,
) -> Result<(Ended, Volume), Failed> {
    let volume = room.own_volume(name)?;
    let server = serve(&volume.store(IMAGE, "64MiB"))?;
    let load = Load::start(room, &server);
    load.progress(500)?;
    let begun = Instant::now();
    let hurt = hurt(&volume, &load).and_then(|()| load.progress(500));
    let took = begun.elapsed();
    let mut ended = load
        .end(room)
        .map_err(|why| format!("{}\n{}", why.message().unwrap_or_default(), server.log()))?;
    eprintln!(
        "{name}: {took:.1?}; what libgfapi said: {:?}",
        said(&server.log())
    );
    hurt?;
    ended.check(room, &server, &volume)?;
    stop(&server)?;
    volume.heal()?;
    let sums = volume.sums(IMAGE)?;
    if sums.len() != 1 {
        return Err(format!("the bricks differ: {sums:?}").into());
    }
    Ok((ended, volume))
}

/// Each different error of libgfapi once.
fn said(log: &str) -> BTreeSet<&str> {
    let said = log
        .lines()
        .filter_map(|line| line.split_once("libgfapi said: "));
    said.map(|(_, what)| what).collect()
}

/// Ten new graphs under load: no command notices.
fn switched(room: &Room) -> Result<(), Failed> {
    let (ended, volume) = under_load(room, "switched", |volume, load| {
        for turn in 0..SWITCHES {
            let value = if turn % 2 == 0 { "on" } else { "off" };
            volume.set("performance.io-cache", value)?;
            load.progress(200)?;
        }
        Ok(())
    })?;
    if ended.busy > 0 {
        return Err(format!("{} commands ended in BUSY", ended.busy).into());
    }
    // That the client did change its graph is in the bricks' own logs.
    let log = format!("/var/log/glusterfs/bricks/data-{}-a.log", volume.name());
    let accepted =
        volume
            .cluster()
            .run(&["grep", "-o", "accepted client from .*GRAPH_ID:[0-9]*", &log])?;
    let graphs: BTreeSet<&str> = accepted
        .lines()
        .filter_map(|line| line.rsplit_once("GRAPH_ID:").map(|(_, id)| id))
        .collect();
    if graphs.len() <= SWITCHES {
        return Err(format!("the client had no {SWITCHES} new graphs: {graphs:?}").into());
    }
    Ok(())
}

/// Commands wait, and none of them fails.
fn stopped(room: &Room) -> Result<(), Failed> {
    let (ended, _) = under_load(room, "stopped", |volume, _| {
        volume.stop()?;
        thread::sleep(AWAY);
        Ok(volume.start()?)
    })?;
    waited(&ended)
}

/// Commands wait for as long as they may, then end in BUSY.
fn away_for_long(room: &Room) -> Result<(), Failed> {
    let (ended, _) = under_load(room, "away", |volume, _| {
        volume.stop()?;
        thread::sleep(LONG_AWAY);
        Ok(volume.start()?)
    })?;
    if ended.busy == 0 {
        return Err("no command ended in BUSY".into());
    }
    waited(&ended)
}

/// Two bricks serve without anybody noticing.
fn one_killed(room: &Room) -> Result<(), Failed> {
    let (ended, _) = under_load(room, "one", |volume, load| {
        volume.kill_bricks(&["b"])?;
        load.progress(500)?;
        Ok(volume.start()?)
    })?;
    if ended.busy > 0 {
        return Err(format!("{} commands ended in BUSY", ended.busy).into());
    }
    Ok(())
}

/// The brick that died first lacks what the others answered for, and must not be the one that the
/// heal takes for good. It can be if it died in a pause and they followed soon.
fn killed_in_turn(room: &Room) -> Result<(), Failed> {
    for turn in 0..TURNS {
        under_load(room, &format!("turn{turn}"), |volume, load| {
            load.pause();
            volume.kill_bricks(&["c"])?;
            load.resume();
            load.progress(200)?;
            volume.kill_bricks(&["b", "a"])?;
            thread::sleep(Duration::from_secs(1));
            Ok(volume.start()?)
        })?;
    }
    Ok(())
}

/// One brick is no quorum.
fn quorum_lost(room: &Room) -> Result<(), Failed> {
    let (ended, _) = under_load(room, "quorum", |volume, _| {
        volume.kill_bricks(&["a", "b"])?;
        thread::sleep(AWAY);
        Ok(volume.start()?)
    })?;
    waited(&ended)
}

/// Storage was away and commands saw it, within their budget.
fn waited(ended: &Ended) -> Result<(), Failed> {
    let bounds = Duration::from_secs(3)..Duration::from_secs(25);
    match bounds.contains(&ended.slowest) {
        true => Ok(()),
        false => Err(format!("the slowest command took {:?}", ended.slowest).into()),
    }
}
