//! The digest calculation and its two headers (RFC 7616 §3.3, §3.4; algorithms of RFC 8760).

use std::fmt;

use md5::Md5;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256, Sha512_256};

use crate::scan::{Params, quote, unquote};

/// A hash algorithm. The `-sess` variants are understood when a carrier asks for them, and never offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Algorithm {
    /// What every phone can.
    Md5,
    /// RFC 8760.
    Sha256,
    /// RFC 8760.
    Sha512_256,
}

impl Algorithm {
    /// The algorithm's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Sha512_256 => "SHA-512-256",
        }
    }

    /// Reads a name in any case; the second part says whether it is the `-sess` variant.
    pub fn parse(text: &str) -> Option<(Self, bool)> {
        let (name, session) = match text.len().checked_sub(5).and_then(|at| text.split_at_checked(at)) {
            Some((name, suffix)) if suffix.eq_ignore_ascii_case("-sess") => (name, true),
            Some(_) | None => (text, false),
        };
        [Self::Md5, Self::Sha256, Self::Sha512_256]
            .into_iter()
            .find(|a| a.as_str().eq_ignore_ascii_case(name))
            .map(|a| (a, session))
    }

    /// The hash of `parts` joined by colons, in hexadecimal.
    pub(crate) fn hash(self, parts: &[&[u8]]) -> String {
        match self {
            Self::Md5 => hash::<Md5>(parts),
            Self::Sha256 => hash::<Sha256>(parts),
            Self::Sha512_256 => hash::<Sha512_256>(parts),
        }
    }
}

fn hash<D: Digest>(parts: &[&[u8]]) -> String {
    let mut hasher = D::new();
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            hasher.update(b":");
        }
        hasher.update(part);
    }
    hex(&hasher.finalize())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    out.extend(bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|n| char::from(DIGITS[usize::from(n)])));
    out
}

/// H(user:realm:password) in hexadecimal: what a switch keeps instead of the password.
pub fn ha1(algorithm: Algorithm, user: &str, realm: &str, password: &str) -> String {
    algorithm.hash(&[user.as_bytes(), realm.as_bytes(), password.as_bytes()])
}

/// Quality of protection (RFC 7616 §3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Qop {
    /// Method and URI are covered.
    Auth,
    /// The body too.
    AuthInt,
}

impl Qop {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Auth, Self::AuthInt].into_iter().find(|q| q.as_str().eq_ignore_ascii_case(text))
    }
}

/// WWW-Authenticate or Proxy-Authenticate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Protection space.
    pub realm: String,
    /// Server nonce.
    pub nonce: String,
    /// Hash.
    pub algorithm: Algorithm,
    /// The `-sess` variant of it.
    pub session: bool,
    /// Offered protections; none for servers of RFC 2069.
    pub qops: Vec<Qop>,
    /// Handed back untouched.
    pub opaque: Option<String>,
    /// Only the nonce was bad: the same password may be tried again.
    pub stale: bool,
}

impl Challenge {
    /// Reads one header value; nothing for another scheme, an unknown algorithm, or qop values none of which is known.
    pub fn parse(value: &str) -> Option<Self> {
        let params = digest_params(value)?;
        let text = |name: &str| params.clone().find(name).flatten().map(|v| unquote(v).into_owned());
        let (algorithm, session) =
            text("algorithm").map_or(Some((Algorithm::Md5, false)), |name| Algorithm::parse(&name))?;
        let offered = text("qop");
        let qops: Vec<Qop> =
            offered.iter().flat_map(|list| list.split(',')).filter_map(|q| Qop::parse(q.trim())).collect();
        if offered.is_some() && qops.is_empty() {
            return None;
        }
        let stale = text("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true"));
        Some(Self {
            realm: text("realm")?,
            nonce: text("nonce")?,
            algorithm,
            session,
            qops,
            opaque: text("opaque"),
            stale,
        })
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Digest realm={}, nonce={}, algorithm={}",
            quote(&self.realm),
            quote(&self.nonce),
            self.algorithm.as_str()
        )?;
        f.write_str(if self.session { "-sess" } else { "" })?;
        if !self.qops.is_empty() {
            let names: Vec<&str> = self.qops.iter().map(|q| q.as_str()).collect();
            write!(f, ", qop=\"{}\"", names.join(","))?;
        }
        if let Some(opaque) = &self.opaque {
            write!(f, ", opaque={}", quote(opaque))?;
        }
        f.write_str(if self.stale { ", stale=true" } else { "" })
    }
}

/// Authorization or Proxy-Authorization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Who.
    pub username: String,
    /// Protection space.
    pub realm: String,
    /// The server's nonce.
    pub nonce: String,
    /// The URI that was hashed; need not be the Request-URI (RFC 3261 §22.4).
    pub uri: String,
    /// The proof, hexadecimal.
    pub response: String,
    /// Hash.
    pub algorithm: Algorithm,
    /// The `-sess` variant of it.
    pub session: bool,
    /// Protection with client nonce and nonce count; none for clients of RFC 2069.
    pub protection: Option<Protection>,
    /// Handed back untouched.
    pub opaque: Option<String>,
}

/// What a client adds since RFC 2617.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protection {
    /// Which.
    pub qop: Qop,
    /// Client nonce.
    pub cnonce: String,
    /// How many requests with this nonce, this one included.
    pub nonce_count: u32,
}

impl Credentials {
    /// Reads one header value; nothing when it is another scheme or lacks a part.
    pub fn parse(value: &str) -> Option<Self> {
        let params = digest_params(value)?;
        let text = |name: &str| params.clone().find(name).flatten().map(|v| unquote(v).into_owned());
        let (algorithm, session) =
            text("algorithm").map_or(Some((Algorithm::Md5, false)), |name| Algorithm::parse(&name))?;
        let protection = match text("qop") {
            Some(qop) => {
                let count = text("nc")?;
                let nonce_count = u32::from_str_radix(&count, 16).ok().filter(|_| count.len() == 8)?;
                Some(Protection { qop: Qop::parse(&qop)?, cnonce: text("cnonce")?, nonce_count })
            }
            None => None,
        };
        Some(Self {
            username: text("username")?,
            realm: text("realm")?,
            nonce: text("nonce")?,
            uri: text("uri")?,
            response: text("response")?,
            algorithm,
            session,
            protection,
            opaque: text("opaque"),
        })
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest username={}, realm={}, ", quote(&self.username), quote(&self.realm))?;
        write!(f, "nonce={}, uri={}, response=\"{}\"", quote(&self.nonce), quote(&self.uri), self.response)?;
        write!(f, ", algorithm={}{}", self.algorithm.as_str(), if self.session { "-sess" } else { "" })?;
        if let Some(protection) = &self.protection {
            let Protection { qop, cnonce, nonce_count } = protection;
            write!(f, ", cnonce={}, qop={}, nc={nonce_count:08x}", quote(cnonce), qop.as_str())?;
        }
        match &self.opaque {
            Some(opaque) => write!(f, ", opaque={}", quote(opaque)),
            None => Ok(()),
        }
    }
}

/// The parameters of a value of the scheme Digest.
fn digest_params(value: &str) -> Option<Params<'_>> {
    let (scheme, rest) = value.trim().split_once([' ', '\t'])?;
    scheme.eq_ignore_ascii_case("Digest").then(|| Params::comma_separated(rest))
}

/// The response value of `credentials` for a holder of `ha1` (RFC 7616 §3.4.1); `credentials.response` is not looked at.
pub fn response(credentials: &Credentials, ha1: &str, method: &str, body: &[u8]) -> String {
    let algorithm = credentials.algorithm;
    let (nonce, uri) = (credentials.nonce.as_bytes(), credentials.uri.as_bytes());
    let protection = credentials.protection.as_ref();
    let cnonce = protection.map_or("", |p| p.cnonce.as_str()).as_bytes();
    let session_ha1 = credentials.session.then(|| algorithm.hash(&[ha1.as_bytes(), nonce, cnonce]));
    let ha1 = session_ha1.as_deref().unwrap_or(ha1).as_bytes();
    let ha2 = match protection.map(|p| p.qop) {
        Some(Qop::AuthInt) => algorithm.hash(&[method.as_bytes(), uri, algorithm.hash(&[body]).as_bytes()]),
        Some(Qop::Auth) | None => algorithm.hash(&[method.as_bytes(), uri]),
    };
    match protection {
        Some(Protection { qop, nonce_count, .. }) => {
            let count = format!("{nonce_count:08x}");
            algorithm.hash(&[ha1, nonce, count.as_bytes(), cnonce, qop.as_str().as_bytes(), ha2.as_bytes()])
        }
        None => algorithm.hash(&[ha1, nonce, ha2.as_bytes()]),
    }
}
