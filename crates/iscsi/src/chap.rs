//! The arithmetic of CHAP (RFC 1994, RFC 7143 12.1.3). Who sends what when is the login's matter.

use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;
use sha3::Sha3_256;
use subtle::ConstantTimeEq;

use crate::codes::open_code;

open_code! {
    /// CHAP_A: which digest a response is (RFC 7143 12.1.3 and its IANA registry).
    Algorithm(u8) {
        /// MD5, which every implementation has.
        MD5 = 5, "MD5";
        /// SHA-1.
        SHA1 = 6, "SHA1";
        /// SHA-256.
        SHA256 = 7, "SHA-256";
        /// SHA3-256.
        SHA3_256 = 8, "SHA3-256";
    }
}

impl Algorithm {
    /// Whether we can compute it.
    pub fn is_known(self) -> bool {
        Self::NAMED.contains(&self)
    }

    /// Bytes of a response; zero when the algorithm is not known.
    pub fn digest_len(self) -> usize {
        match self {
            Self::MD5 => 16,
            Self::SHA1 => 20,
            Self::SHA256 | Self::SHA3_256 => 32,
            _ => 0,
        }
    }
}

/// The response to a challenge: the digest of identifier, secret and challenge (RFC 1994 4.1).
/// Empty when the algorithm is not known.
pub fn response(algorithm: Algorithm, id: u8, secret: &[u8], challenge: &[u8]) -> Vec<u8> {
    fn of<D: Digest>(parts: [&[u8]; 3]) -> Vec<u8> {
        parts
            .into_iter()
            .fold(D::new(), |digest, part| digest.chain_update(part))
            .finalize()
            .to_vec()
    }
    let parts = [&[id][..], secret, challenge];
    match algorithm {
        Algorithm::MD5 => of::<Md5>(parts),
        Algorithm::SHA1 => of::<Sha1>(parts),
        Algorithm::SHA256 => of::<Sha256>(parts),
        Algorithm::SHA3_256 => of::<Sha3_256>(parts),
        _ => Vec::new(),
    }
}

/// Whether `received` answers the challenge. Takes as long for a near miss as for a far one; an
/// unknown algorithm verifies nothing.
pub fn verify(
    algorithm: Algorithm,
    id: u8,
    secret: &[u8],
    challenge: &[u8],
    received: &[u8],
) -> bool {
    let expected = response(algorithm, id, secret, challenge);
    !expected.is_empty() && bool::from(expected.ct_eq(received))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
            .collect()
    }

    /// The digests' own published vectors for "abc", split over the three inputs of CHAP.
    #[test]
    fn a_response_is_the_digest_of_id_secret_challenge() {
        for (algorithm, digest) in [
            (Algorithm::MD5, "900150983cd24fb0d6963f7d28e17f72"),
            (Algorithm::SHA1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (
                Algorithm::SHA256,
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                Algorithm::SHA3_256,
                "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
            ),
        ] {
            let got = response(algorithm, b'a', b"b", b"c");
            assert_eq!(got, hex(digest), "{algorithm}");
            assert_eq!(got.len(), algorithm.digest_len());
            assert!(verify(algorithm, b'a', b"b", b"c", &got));
        }
    }

    /// Exchanges captured between Linux and two targets: a foreign answer to a foreign challenge.
    #[test]
    fn responses_of_other_implementations() {
        for (id, secret, challenge, answer) in [
            (
                0,
                "alice-secret-12",
                "fa4688825987e3346be8d0ac000659b8",
                "2c5974ef1ef8146b18d9a157dbd98992",
            ),
            (
                1,
                "alice-secret-12",
                "783a6ad3f09a231630ffe20f6d0a68799481d47713ebf7dc2d948cdb156366204c28\
                 139209e775dde0df77d7b49267fd5ecc",
                "c080af3e1948a296eec8d83526e60406",
            ),
            (
                133,
                "portal-secret-9",
                "563c007e53c026dd8b057f69094e2967",
                "14797a6032d9c6ece78aef9d0292dd48",
            ),
        ] {
            let (challenge, answer) = (hex(challenge), hex(answer));
            assert_eq!(
                response(Algorithm::MD5, id, secret.as_bytes(), &challenge),
                answer
            );
        }
    }

    #[test]
    fn anything_else_is_not_the_response() {
        let good = response(Algorithm::MD5, 1, b"secret", b"challenge");
        assert!(verify(Algorithm::MD5, 1, b"secret", b"challenge", &good));
        assert!(!verify(Algorithm::MD5, 2, b"secret", b"challenge", &good));
        assert!(!verify(Algorithm::MD5, 1, b"Secret", b"challenge", &good));
        assert!(!verify(Algorithm::MD5, 1, b"secret", b"challengf", &good));
        assert!(!verify(
            Algorithm::MD5,
            1,
            b"secret",
            b"challenge",
            &good[..15]
        ));
        assert!(!verify(Algorithm::MD5, 1, b"secret", b"challenge", &[]));
        for bit in 0..128 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!verify(Algorithm::MD5, 1, b"secret", b"challenge", &bad));
        }
    }

    #[test]
    fn an_unknown_algorithm_verifies_nothing() {
        assert!(!Algorithm(0).is_known());
        assert_eq!(response(Algorithm(4), 1, b"s", b"c"), []);
        assert!(!verify(Algorithm(4), 1, b"s", b"c", &[]));
    }
}
