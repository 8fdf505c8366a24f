//! A volume's description as clients get it, in the real one's words: what is in it follows from the
//! settings. Names of options and translators are those of Gluster 10.3.

use std::fmt::Write;

use crate::kind::Kind;
use crate::settings::Settings;
use crate::volume::Volume;

impl Volume {
    /// The description of this volume under that name.
    pub fn describe(&self, name: &str) -> String {
        let mut text = Description {
            text: String::new(),
            top: Vec::new(),
        };
        text.bricks(name, self.settings());
        text.above(name, self.settings());
        text.text
    }
}

struct Description {
    text: String,
    /// What the next translator goes on top of.
    top: Vec<String>,
}

impl Description {
    fn translator(&mut self, name: String, kind: &str, options: &[(&str, String)]) {
        let below = std::mem::take(&mut self.top).join(" ");
        self.alone(&name, kind, options, &below);
        self.top = vec![name];
    }

    fn alone(&mut self, name: &str, kind: &str, options: &[(&str, String)], below: &str) {
        let mut line = |line: String| writeln!(self.text, "{line}").expect("a String takes it");
        line(format!("volume {name}\n    type {kind}"));
        for (key, value) in options {
            line(format!("    option {key} {value}"));
        }
        if !below.is_empty() {
            line(format!("    subvolumes {below}"));
        }
        line("end-volume\n".to_owned());
    }

    fn bricks(&mut self, name: &str, settings: &Settings) {
        let switch = |on: bool| if on { "enable" } else { "disable" }.to_owned();
        let mut clients = Vec::new();
        for brick in 0..settings.bricks {
            let client = format!("{name}-client-{brick}");
            let options = [
                ("filter-O_DIRECT", switch(settings.remote_dio)),
                ("transport-type", "tcp".to_owned()),
                ("remote-subvolume", format!("/bricks/{brick}")),
                ("ping-timeout", settings.ping_timeout.to_string()),
                ("frame-timeout", settings.frame_timeout.to_string()),
            ];
            self.alone(&client, "protocol/client", &options, "");
            clients.push(client);
        }
        self.top = clients;
        if settings.kind == Kind::Distribute {
            return;
        }
        if !settings.zerofill {
            let redundancy = [("redundancy", "1".to_owned())];
            self.translator(
                format!("{name}-disperse-0"),
                "cluster/disperse",
                &redundancy,
            );
        } else if settings.bricks > 1 {
            let mut options = vec![("eager-lock", "enable".to_owned())];
            if settings.kind == Kind::Arbiter {
                options.push(("arbiter-count", "1".to_owned()));
            }
            match settings.quorum.as_str() {
                "" => {}
                "auto" | "none" => options.push(("quorum-type", settings.quorum.clone())),
                count => {
                    options.push(("quorum-count", count.to_owned()));
                    options.push(("quorum-type", "fixed".to_owned()));
                }
            }
            self.translator(format!("{name}-replicate-0"), "cluster/replicate", &options);
        }
    }

    fn above(&mut self, name: &str, settings: &Settings) {
        self.translator(format!("{name}-dht"), "cluster/distribute", &[]);
        if settings.shard > 0 {
            let size = [("shard-block-size", settings.shard.to_string())];
            self.translator(format!("{name}-shard"), "features/shard", &size);
        }
        if settings.write_behind {
            let kind = "performance/write-behind";
            let window = [("cache-size", settings.window_told.clone())];
            self.translator(format!("{name}-write-behind"), kind, &window);
        }
        for translator in &settings.translators {
            let kind = format!("performance/{translator}");
            self.translator(format!("{name}-{translator}"), &kind, &[]);
        }
        self.translator(name.to_owned(), "debug/io-stats", &[]);
    }
}
