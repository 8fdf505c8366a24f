//! `iscsi://[user%secret@]host[:port][/target[/lun]]`, as libiscsi writes them.

use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use iscsi::Lun;

use crate::machine::LoginOptions;

/// Where a disk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IscsiUrl {
    /// CHAP name and secret.
    pub chap: Option<(String, String)>,
    /// Host name or address.
    pub host: String,
    /// Port, 3260 when not given.
    pub port: u16,
    /// Target name.
    pub target: Option<String>,
    /// Logical unit number, 0 when not given.
    pub lun: u16,
}

/// What is wrong with a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not this scheme.
    #[error("an iSCSI URL begins with iscsi://")]
    Scheme,
    /// No host.
    #[error("no host in the URL")]
    Host,
    /// The port is no number from 1 to 65535.
    #[error("bad port {0:?}")]
    Port(String),
    /// The LUN is no number up to 16383.
    #[error("bad LUN {0:?}")]
    Lun(String),
    /// The credentials have no `%` between name and secret.
    #[error("credentials are written user%secret@")]
    Credentials,
    /// This verb needs a target name in the URL.
    #[error("the URL names no target: iscsi://host:port/iqn.…/lun")]
    NoTarget,
}

impl FromStr for IscsiUrl {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        let rest = url.strip_prefix("iscsi://").ok_or(UrlError::Scheme)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (chap, address) = match authority.rsplit_once('@') {
            None => (None, authority),
            Some((credentials, address)) => {
                let (name, secret) = credentials.split_once('%').ok_or(UrlError::Credentials)?;
                (Some((name.to_owned(), secret.to_owned())), address)
            }
        };
        let (host, port) = match address.rsplit_once(':') {
            // A colon inside brackets belongs to an IPv6 address.
            Some((host, port)) if !port.ends_with(']') => (
                host,
                port.parse().map_err(|_| UrlError::Port(port.to_owned()))?,
            ),
            _ => (address, 3260),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(UrlError::Host);
        }
        let (target, lun) = path.split_once('/').unwrap_or((path, ""));
        let lun = match lun {
            "" => 0,
            text => text
                .parse()
                .ok()
                .filter(|lun| *lun < 0x4000)
                .ok_or_else(|| UrlError::Lun(text.to_owned()))?,
        };
        let target = (!target.is_empty()).then(|| target.to_owned());
        Ok(Self {
            chap,
            host: host.to_owned(),
            port,
            target,
            lun,
        })
    }
}

impl IscsiUrl {
    /// Look the host up.
    pub fn addr(&self) -> std::io::Result<SocketAddr> {
        (self.host.as_str(), self.port)
            .to_socket_addrs()?
            .next()
            .ok_or_else(|| {
                std::io::Error::new(std::io::ErrorKind::NotFound, "the host has no address")
            })
    }

    /// The logical unit.
    pub fn lun(&self) -> Lun {
        Lun::from_number(self.lun)
    }

    /// An ordinary login to the target named.
    pub fn login_options(&self) -> Result<LoginOptions, UrlError> {
        let target = self.target.as_deref().ok_or(UrlError::NoTarget)?;
        Ok(self.with_credentials(LoginOptions::new(target)))
    }

    /// A discovery login.
    pub fn discovery_options(&self) -> LoginOptions {
        self.with_credentials(LoginOptions::discovery())
    }

    fn with_credentials(&self, options: LoginOptions) -> LoginOptions {
        match &self.chap {
            Some((name, secret)) => options.chap(name, secret),
            None => options,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<IscsiUrl, UrlError> {
        url.parse()
    }

    #[test]
    fn all_parts() {
        let url = parse("iscsi://joe%s3cret@host.example:3261/iqn.2026-11.org.glint:x/7");
        let expected = IscsiUrl {
            chap: Some(("joe".into(), "s3cret".into())),
            host: "host.example".into(),
            port: 3261,
            target: Some("iqn.2026-11.org.glint:x".into()),
            lun: 7,
        };
        assert_eq!(url, Ok(expected));
    }

    #[test]
    fn what_may_be_missing() {
        let url = parse("iscsi://[::1]").expect("a host is enough");
        assert_eq!(
            (url.host.as_str(), url.port, url.target, url.lun),
            ("::1", 3260, None, 0)
        );
        let url = parse("iscsi://[fe80::2]:99/iqn.a").expect("port and target");
        assert_eq!((url.host.as_str(), url.port, url.lun), ("fe80::2", 99, 0));
    }

    #[test]
    fn what_is_wrong() {
        assert_eq!(parse("http://h/"), Err(UrlError::Scheme));
        assert_eq!(parse("iscsi:///iqn.a/0"), Err(UrlError::Host));
        assert_eq!(
            parse("iscsi://h:x/iqn.a/0"),
            Err(UrlError::Port("x".into()))
        );
        assert_eq!(
            parse("iscsi://h/iqn.a/16384"),
            Err(UrlError::Lun("16384".into()))
        );
        assert_eq!(parse("iscsi://joe@h/"), Err(UrlError::Credentials));
    }
}
