//! Who must prove what to whom.

use std::ops::Range;

use engine::ChapCredential;
use toml::Spanned;

use super::super::{schema, values};
use super::{Checked, Checker, Direction};

impl Checker<'_> {
    pub(super) fn users(
        &mut self,
        at: &str,
        chap: Option<&Spanned<schema::OneOrMore>>,
    ) -> Checked<Vec<ChapCredential>> {
        let Some(chap) = chap else {
            return Ok(Vec::new());
        };
        let key = format!("{at}.chap");
        if chap.get_ref().0.is_empty() {
            let allowed = "one user or more, or no such key at all to let everyone in";
            return self.refuse(chap.span(), &key, "nobody could log in", allowed);
        }
        let mut users = Vec::<ChapCredential>::new();
        for table in &chap.get_ref().0 {
            let user = self.credential(&key, chap.span(), table, Direction::InitiatorProves)?;
            if users.iter().any(|other| other.name == user.name) {
                let what = format!("user \"{}\" is there twice", user.name);
                return self.refuse(chap.span(), &key, &what, "each user once per target");
            }
            users.push(user);
        }
        Ok(users)
    }

    pub(super) fn mutual(
        &mut self,
        at: &str,
        mutual: Option<&Spanned<schema::Chap>>,
        has_chap: bool,
    ) -> Checked<Option<ChapCredential>> {
        let Some(mutual) = mutual else {
            return Ok(None);
        };
        let key = format!("{at}.mutual");
        if !has_chap {
            let what = "the target would prove itself to initiators that prove nothing";
            return self.refuse(
                mutual.span(),
                &key,
                what,
                &format!("only together with {at}.chap"),
            );
        }
        let (span, table) = (mutual.span(), mutual.get_ref());
        self.credential(&key, span, table, Direction::TargetProves)
            .map(Some)
    }

    fn credential(
        &mut self,
        at: &str,
        span: Range<usize>,
        chap: &schema::Chap,
        direction: Direction,
    ) -> Checked<ChapCredential> {
        let Some(user) = &chap.user else {
            return self.refuse(
                span,
                &format!("{at}.user"),
                "there is no user",
                values::USER_ALLOWED,
            );
        };
        let Some(secret) = &chap.secret else {
            return self.refuse(
                span,
                &format!("{at}.secret"),
                "there is no secret",
                values::SECRET_ALLOWED,
            );
        };
        self.fits(
            user.span(),
            &format!("{at}.user"),
            values::chap_user(user.get_ref()),
        )?;
        let (key, span) = (format!("{at}.secret"), secret.span());
        let secret = &secret.get_ref().0;
        self.fits(span.clone(), &key, values::chap_secret(secret))?;
        // RFC 7143 9.2.1: one secret must not serve both directions, or an initiator could have the
        // target answer its own challenge.
        if self
            .secrets
            .iter()
            .any(|(other, text)| *other != direction && text == secret)
        {
            return self.fits(span, &key, Err(values::same_secret()));
        }
        self.secrets.push((direction, secret.clone()));
        Ok(ChapCredential {
            name: user.get_ref().clone(),
            secret: secret.clone().into_bytes(),
        })
    }
}
