//! `glintd serve --lun …`: a target to try, on the loopback address, without a file.

use std::fmt::Write;
use std::net::SocketAddr;

use block::BlockSize;
use clap::Args;
use engine::ChapCredential;

use crate::config::{self, LunSpec, ServerConfig, TargetSpec, Unfit};
use crate::store::StoreSpec;

/// A trial's arguments.
#[derive(Debug, Args)]
pub(super) struct Trial {
    /// Serve this disk, LUN 0 first: file:PATH, file:PATH?size=10GiB,
    /// gluster://SERVER/VOLUME/PATH?size=10GiB or mem:1GiB. May be repeated.
    #[arg(long, value_name = "SPEC")]
    lun: Vec<String>,
    /// Where to listen: a loopback address; port 0 takes a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:3260")]
    #[arg(requires = "lun")]
    listen: SocketAddr,
    /// Ask initiators for this name and secret. Visible in the process list: for trials.
    #[arg(long, value_name = "USER:SECRET", requires = "lun")]
    chap: Option<String>,
    /// Prove the target to initiators with this name and secret.
    #[arg(long, value_name = "USER:SECRET", requires = "chap")]
    mutual: Option<String>,
    /// The target's name.
    #[arg(long, value_name = "IQN", default_value = "iqn.2026-01.io.glint:trial")]
    #[arg(requires = "lun")]
    target_name: String,
    /// write-through: every write that is answered is durable. write-back: only after a flush.
    #[arg(
        long,
        value_name = "MODE",
        default_value = "write-through",
        requires = "lun"
    )]
    #[arg(value_parser = ["write-through", "write-back"])]
    cache: String,
    /// How long commands wait for Gluster before they are answered BUSY: 1s to 28s.
    #[arg(long, value_name = "TIME", default_value = "20s", requires = "lun")]
    storage_timeout: String,
    /// Bytes per logical block: 512 or 4096.
    #[arg(long, value_name = "BYTES", default_value_t = 512, requires = "lun")]
    block_size: u32,
}

impl Trial {
    /// What it asks for, as a configuration.
    pub(super) fn config(&self) -> Result<ServerConfig, Argument> {
        if !self.listen.ip().is_loopback() {
            let what = format!("{} is reachable from other machines", self.listen);
            let allowed =
                "127.0.0.1:PORT or [::1]:PORT; to serve others write a configuration file";
            return Err(Argument("--listen", Unfit::new(what, allowed)));
        }
        let name =
            config::name(&self.target_name).map_err(|unfit| Argument("--target-name", unfit))?;
        let block_size = BlockSize::new(self.block_size).ok_or_else(|| {
            let what = format!("{} is no block size", self.block_size);
            Argument("--block-size", Unfit::new(what, "512 or 4096"))
        })?;
        let storage_timeout = config::storage_timeout(&self.storage_timeout)
            .map_err(|unfit| Argument("--storage-timeout", unfit))?;
        let mut target = TargetSpec::open_to_all(name);
        for (lun, text) in (0..).zip(&self.lun) {
            let at = |unfit| Argument("--lun", unfit);
            let store = StoreSpec::parse(text).map_err(at)?;
            store.fits(block_size).map_err(at)?;
            let write_back = self.cache == "write-back";
            target.luns.push(LunSpec {
                write_back,
                block_size,
                storage_timeout,
                ..LunSpec::new(lun, store)
            });
        }
        if let Some(text) = &self.chap {
            target.chap.push(credential("--chap", text)?);
        }
        if let Some(text) = &self.mutual {
            let mutual = credential("--mutual", text)?;
            for chap in &target.chap {
                config::secrets_differ(chap, &mutual)
                    .map_err(|unfit| Argument("--mutual", unfit))?;
            }
            target.mutual = Some(mutual);
        }
        let listen = vec![self.listen];
        Ok(ServerConfig {
            listen,
            targets: vec![target],
            ..ServerConfig::default()
        })
    }
}

/// An argument that does not fit.
#[derive(Debug, thiserror::Error)]
#[error("{0}: {1}")]
pub(super) struct Argument(&'static str, Unfit);

/// The text is not quoted in messages: it may be a secret.
fn credential(argument: &'static str, text: &str) -> Result<ChapCredential, Argument> {
    let at = |unfit| Argument(argument, unfit);
    let Some((name, secret)) = text.split_once(':') else {
        return Err(at(Unfit::new("there is no colon", "USER:SECRET")));
    };
    config::chap_user(name).map_err(at)?;
    config::chap_secret(secret).map_err(at)?;
    Ok(ChapCredential {
        name: name.to_owned(),
        secret: secret.as_bytes().to_vec(),
    })
}

/// What to paste to use the first target.
#[derive(Debug)]
pub(super) struct Hints {
    target: Option<Hint>,
}

#[derive(Debug)]
struct Hint {
    name: String,
    lun: u16,
    user: Option<String>,
    mutual_user: Option<String>,
}

/// The hints for a configuration.
pub(super) fn hints(config: &ServerConfig) -> Hints {
    let target = config.targets.first().map(|target| Hint {
        name: target.name.to_string(),
        lun: target.luns.first().map_or(0, |lun| lun.lun),
        user: target.chap.first().map(|chap| chap.name.clone()),
        mutual_user: target.mutual.as_ref().map(|chap| chap.name.clone()),
    });
    Hints { target }
}

impl Hints {
    /// Ready to paste, for a server that listens on `portal`. Secrets are left to the reader.
    pub(super) fn text(&self, portal: SocketAddr) -> String {
        let Some(target) = &self.target else {
            return String::new();
        };
        let portal = reachable(portal);
        let (name, lun) = (&target.name, target.lun);
        let node = format!("iscsiadm -m node -T {name} -p {portal}");
        let mut text = String::new();
        let mut line = |line: &str| writeln!(text, "{line}").expect("a String takes everything");
        line("\nwith open-iscsi:");
        line(&format!(
            "  iscsiadm -m discovery -t sendtargets -p {portal}"
        ));
        let mut set = |key: &str, value: &str| {
            line(&format!(
                "  {node} -o update -n node.session.auth.{key} -v {value}"
            ));
        };
        if let Some(user) = &target.user {
            set("authmethod", "CHAP");
            set("username", user);
            set("password", "SECRET");
        }
        if let Some(user) = &target.mutual_user {
            set("username_in", user);
            set("password_in", "SECRET_IN");
        }
        line(&format!("  {node} --login"));
        let login = target
            .user
            .as_ref()
            .map_or(String::new(), |user| format!("{user}%SECRET@"));
        line("\nwith qemu:");
        line(&format!(
            "  qemu-img info iscsi://{login}{portal}/{name}/{lun}"
        ));
        text
    }
}

/// An address to connect to: the unspecified one is none.
fn reachable(portal: SocketAddr) -> SocketAddr {
    match portal {
        SocketAddr::V4(address) if address.ip().is_unspecified() => {
            ([127, 0, 0, 1], address.port()).into()
        }
        SocketAddr::V6(address) if address.ip().is_unspecified() => {
            (std::net::Ipv6Addr::LOCALHOST, address.port()).into()
        }
        other => other,
    }
}
