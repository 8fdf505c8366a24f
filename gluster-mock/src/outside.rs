//! What is done to the cluster from outside.

use std::fmt::Write;
use std::time::Duration;

use crate::call::{ClientId, Moment};
use crate::command::{Command, Stop};
use crate::errno::Errno;
use crate::flight::Due;
use crate::kind::Kind;
use crate::legs::LegState;
use crate::marks::Mark;
use crate::plan::Plan;
use crate::trace::Event;
use crate::volume::Volume;

impl Volume {
    /// Does something to the cluster from outside; the answer is for people, a failure too.
    pub fn command(&mut self, now: Moment, command: &Command) -> Result<String, String> {
        self.advance(now);
        self.check_numbers(command)?;
        match command {
            Command::Status => return Ok(self.status()),
            Command::Marks => return Ok(self.tell_marks()),
            Command::BrickKill(brick) => self.kill_brick(now, *brick),
            Command::BrickStart(brick) => self.start_brick(now, *brick),
            Command::BrickHang(brick) => {
                self.bricks[*brick].hung.get_or_insert(now);
            }
            Command::BrickResume(brick) => self.resume_brick(now, *brick),
            Command::BrickSlow(brick, latency) => self.bricks[*brick].latency = *latency,
            Command::BrickError(brick, errno) => {
                self.bricks[*brick].error = *errno;
                self.schedule(now, Due::Heal(*brick));
            }
            Command::Partition(client, brick, cut) => {
                self.partition(now, ClientId(*client), *brick, *cut);
            }
            Command::Mend(client, brick) => self.mend(now, ClientId(*client), *brick),
            Command::Fill(brick) => self.bricks[*brick].full = true,
            Command::Drain(brick) => {
                self.bricks[*brick].full = false;
                self.schedule(now, Due::Heal(*brick));
            }
            Command::GraphSwitch(pause) => self.switch_graph(now, *pause),
            Command::PowerCut(Stop::All) => self.power_cut().map_err(told)?,
            Command::PowerCut(Stop::Brick(brick)) => self.cut_brick(now, *brick).map_err(told)?,
            Command::PowerCut(Stop::Client(client)) => self.kill_client(now, ClientId(*client)),
            Command::Still(client, how) => self.stand_still(now, ClientId(*client), *how),
            Command::Thaw(client) => self.thaw(now, ClientId(*client)),
            Command::ClearLocks(path) => self.clear_locks(now, path).map_err(told)?,
            Command::Set(option, value) => self.set(now, option, value)?,
            Command::Settle => self.settle().map_err(told)?,
            Command::Plan(text) => self.set_plan(now, Plan::parse(text)?),
        }
        self.advance(now);
        Ok(String::new())
    }

    /// What the file on one brick holds, as somebody sees it who looks there.
    pub fn on_brick(
        &mut self,
        brick: usize,
        path: &str,
        at: u64,
        len: usize,
    ) -> Result<Vec<u8>, Errno> {
        let file = self.find(path)?;
        let holder = self.bricks.get_mut(brick).ok_or(Errno::EINVAL)?;
        let len = holder.size(file).saturating_sub(at).min(len as u64) as usize;
        let mut bytes = vec![0; len];
        holder.read(file, at, &mut bytes)?;
        Ok(bytes)
    }

    fn check_numbers(&self, command: &Command) -> Result<(), String> {
        let brick = match command {
            Command::BrickKill(n)
            | Command::BrickStart(n)
            | Command::BrickHang(n)
            | Command::BrickResume(n)
            | Command::BrickSlow(n, _)
            | Command::BrickError(n, _)
            | Command::Partition(_, n, _)
            | Command::Mend(_, n)
            | Command::Fill(n)
            | Command::Drain(n)
            | Command::PowerCut(Stop::Brick(n)) => Some(*n),
            _ => None,
        };
        let client = match command {
            Command::Partition(n, _, _)
            | Command::Mend(n, _)
            | Command::PowerCut(Stop::Client(n))
            | Command::Still(n, _)
            | Command::Thaw(n) => Some(*n),
            _ => None,
        };
        let bricks = self.bricks.len();
        if let Some(brick) = brick.filter(|brick| *brick >= bricks) {
            return Err(format!("no brick {brick}: there are 0 to {}", bricks - 1));
        }
        match client {
            Some(client) if !self.clients.contains_key(&ClientId(client)) => {
                let known: Vec<String> = self.clients.keys().map(|id| id.0.to_string()).collect();
                Err(format!("no client {client}: there are {}", known.join(" ")))
            }
            _ => Ok(()),
        }
    }

    /// The process dies. Its page cache is the kernel's and stays.
    fn kill_brick(&mut self, now: Moment, brick: usize) {
        if !self.bricks[brick].up {
            return;
        }
        self.marks.hit(Mark::BrickKilled);
        let mut flights = self.flights.values();
        if flights.any(|flight| flight.has_leg(brick, LegState::is_open)) {
            self.marks.hit(Mark::BrickKilledUnderCall);
        }
        self.tell_brick(brick, false);
        self.bricks[brick].up = false;
        self.bricks[brick].restart();
        self.lose_handles();
        let clients: Vec<ClientId> = self.clients.keys().copied().collect();
        for client in clients {
            self.disconnect(now, client, brick);
        }
    }

    /// Handles that cannot be opened again as they were: of a file without a name on a plain volume,
    /// and on a dispersed one that lost more bricks than it may.
    fn lose_handles(&mut self) {
        let bricks = self.bricks.len();
        let up = self.bricks.iter().filter(|brick| brick.up).count();
        for opened in self.opens.values_mut() {
            let node = self.nodes.get(&opened.handle.file);
            opened.unreachable |= match self.settings.kind {
                Kind::Replica => bricks == 1 && node.is_none_or(|node| !node.named),
                Kind::Disperse => up + 1 < bricks,
                Kind::Arbiter | Kind::Distribute => false,
            };
        }
    }

    fn start_brick(&mut self, now: Moment, brick: usize) {
        if self.bricks[brick].up {
            return;
        }
        self.marks.hit(Mark::BrickRestarted);
        self.tell_brick(brick, true);
        self.bricks[brick].up = true;
        self.schedule(now.after(self.settings.heal_delay), Due::Heal(brick));
        self.expect_back(now, brick);
    }

    fn tell_brick(&mut self, brick: usize, up: bool) {
        let brick = brick as u32;
        self.trace.push(Event::Brick { brick, up });
    }

    fn resume_brick(&mut self, now: Moment, brick: usize) {
        if self.bricks[brick].hung.take().is_none() {
            return;
        }
        self.marks.hit(Mark::BrickResumed);
        self.land_backlog(now, brick);
        self.arrive_again(now, brick, None);
        self.expect_back(now, brick);
    }

    /// The power of one brick fails and comes back: its un-synced pages are gone, and AFR does not
    /// know.
    fn cut_brick(&mut self, now: Moment, brick: usize) -> Result<(), Errno> {
        self.marks.hit(Mark::PowerCutBrick);
        let losing = self.bricks[brick].owes();
        self.kill_brick(now, brick);
        self.lose_cache(brick)?;
        if losing && self.bricks.len() > 1 {
            self.marks.hit(Mark::Diverged);
        }
        self.start_brick(now, brick);
        Ok(())
    }

    /// Every client gets a new graph; handles are opened again on it.
    fn switch_graph(&mut self, now: Moment, pause: Duration) {
        let pause = match pause.is_zero() {
            // As measured on idle local bricks (gfapi.md §2).
            true => Duration::from_micros(2000 + self.chance.below(6000)),
            false => pause,
        };
        for client in self.clients.values_mut() {
            client.switching_until = now.after(pause);
        }
        for opened in self.opens.values_mut() {
            let named = self.nodes.get(&opened.handle.file).is_some_and(|n| n.named);
            if !named {
                opened.bad = Some(Errno::EBADFD);
                self.marks.hit(Mark::MigrationFailed);
            }
        }
    }

    /// `gluster volume set`.
    fn set(&mut self, now: Moment, option: &str, value: &str) -> Result<(), String> {
        let known = format!("not an option that can be set: {option} {value}");
        let (_, name) = option.split_once('.').ok_or(&known)?;
        match (name, value) {
            ("io-cache" | "quick-read" | "read-ahead", "on" | "off") => {
                let changed = match value {
                    "on" => self.settings.translators.insert(name.to_owned()),
                    _ => self.settings.translators.remove(name),
                };
                if changed {
                    self.switch_graph(now, Duration::ZERO);
                }
                Ok(())
            }
            ("write-behind-window-size", size) => {
                self.settings.window_told = size.to_owned();
                Ok(())
            }
            _ => Err(known),
        }
    }

    /// `gluster volume clear-locks VOLUME PATH kind granted inode`.
    fn clear_locks(&mut self, now: Moment, path: &str) -> Result<(), Errno> {
        let file = self.find(path)?;
        let node = self.nodes.get_mut(&file).ok_or(Errno::ENOENT)?;
        if node.turn.holder.take().is_some() {
            self.marks.hit(Mark::TurnCleared);
        }
        node.turn.running = 0;
        self.schedule(now, Due::Turn(file));
        Ok(())
    }

    fn status(&self) -> String {
        let mut text = String::new();
        let mut line = |line: String| {
            let _written = writeln!(text, "{line}");
        };
        for (index, brick) in self.bricks.iter().enumerate() {
            let state = match (brick.up, brick.hung) {
                (false, _) => "down",
                (true, Some(_)) => "hung",
                (true, None) => "up",
            };
            let mut words = vec![format!("brick {index} {state}")];
            if !brick.latency.is_zero() {
                words.push(format!("slow {:?}", brick.latency));
            }
            if let Some(errno) = brick.error {
                words.push(format!("error {errno}"));
            }
            if brick.full {
                words.push("full".to_owned());
            }
            if !brick.stale.is_empty() {
                words.push(format!("to heal {}", brick.stale.len()));
            }
            line(words.join(" "));
        }
        for (id, client) in &self.clients {
            let connected: Vec<String> = client
                .connected()
                .iter()
                .map(|brick| brick.to_string())
                .collect();
            let mut words = vec![format!("client {} bricks {}", id.0, connected.join(","))];
            if let Some(still) = client.still {
                words.push(format!("{still:?}").to_lowercase());
            }
            line(words.join(" "));
        }
        line(format!("in flight {}", self.flights.len()));
        text
    }

    fn tell_marks(&self) -> String {
        let mut text = String::new();
        for mark in Mark::ALL {
            let count = self.marks.count(*mark);
            let _written = writeln!(text, "{:<26} {count:>8}  {}", mark.name(), mark.meaning());
        }
        text
    }
}

fn told(errno: Errno) -> String {
    errno.to_string()
}
