//! The policy as a file: read once, bounded; hash, signature and grammar are checked on the very bytes that were read.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{AgentError, Moment};
use crate::{
    kernel::Host,
    policy::{self, Code, Digest, Policy, limits},
    provenance::{self, Accepted, Distrust, TrustError},
    store::{Record, Store},
    tier::Mode,
};

/// More is not read.
const MAX_BYTES: u64 = limits::FILE_BYTES as u64;

/// The bytes of a policy file, `-` for standard input; refuses what is larger than any policy.
pub fn read_bounded(path: &Path) -> Result<Vec<u8>, AgentError> {
    let unreadable = |source| AgentError::Unreadable { path: path.to_owned(), source };
    let input: Box<dyn io::Read> = match path.to_str() {
        Some("-") => Box::new(io::stdin()),
        _ => Box::new(File::open(path).map_err(unreadable)?),
    };
    let bytes = one_more_than(MAX_BYTES, input).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(AgentError::TooLarge { path: path.to_owned(), limit: MAX_BYTES });
    }
    Ok(bytes)
}

/// Reads no more than it takes to know that something is too long.
fn one_more_than(limit: u64, input: impl io::Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Said of every policy that is enforced without a signature.
pub(super) const UNSIGNED: &str = "the policy is not signed (--allow-unsigned-policy)";

/// What a default file says that is not there.
const EMPTY: &[u8] = b"version=1\n";

fn is_missing(error: &AgentError) -> bool {
    matches!(error, AgentError::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound)
}

/// A policy with its provenance.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it came from, for messages.
    pub path: PathBuf,
    /// The policy.
    pub policy: Policy,
    /// Names its bytes.
    pub sha256: Digest,
    /// Its bytes.
    pub text: Vec<u8>,
    /// What lies beside it as its signature.
    pub signature: Option<Vec<u8>>,
    /// Who signed it, once that was found to be so.
    pub signed_by: Option<String>,
    /// Warnings and remarks for the person who runs this.
    pub remarks: Vec<String>,
    /// Whether there was no such file, and this is what its absence means.
    pub absent: bool,
}

impl Source {
    /// Reads a policy file. A default file that is not there is an empty policy, and said to be one.
    pub fn read(path: &Path, is_default: bool) -> Result<Self, AgentError> {
        let bytes = match read_bounded(path) {
            Err(error) if is_default && is_missing(&error) => {
                let mut empty = Self::parse(path, EMPTY)?;
                empty.absent = true;
                empty.remarks.push(format!(
                    "{} does not exist: without a policy that was applied before, nothing is denied",
                    path.display()
                ));
                return Ok(empty);
            }
            other => other?,
        };
        let signature = if path == Path::new("-") { None } else { read_signature(&beside(path))? };
        Ok(Self { signature, ..Self::parse(path, &bytes)? })
    }

    /// The policy of a generation, as it was applied.
    pub fn stored(store: &Store, record: &Record) -> Result<Self, AgentError> {
        let signature = store.signature(&record.sha256)?;
        Ok(Self { signature, ..Self::parse(&record.origin, &store.text(&record.sha256)?)? })
    }

    /// What is to be kept of its signature.
    pub(super) fn accepted_signature(&self) -> Option<&[u8]> {
        self.signature.as_deref().filter(|_| self.signed_by.is_some())
    }

    /// What names the content of a policy file now, whatever it says. `None`: it cannot be read, or only once.
    pub fn digest(path: &Path) -> Option<Digest> {
        if path == Path::new("-") {
            return None;
        }
        match read_bounded(path) {
            Ok(bytes) => Some(Digest::of(&bytes)),
            Err(error) if is_missing(&error) => Some(Digest::of(EMPTY)),
            Err(_) => None,
        }
    }

    /// Parses a policy that is already in memory; `path` names it in messages.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, AgentError> {
        let name = path.display().to_string();
        let (policy, warnings) = policy::parse(bytes).map_err(|faults| AgentError::Invalid {
            path: path.to_owned(),
            report: policy::render(&faults, &name, bytes, false),
        })?;
        let mut remarks = Vec::new();
        if !warnings.is_empty() {
            remarks.push(policy::render(&warnings, &name, bytes, false));
        }
        let (sha256, text) = (Digest::of(bytes), bytes.to_vec());
        let path = path.to_owned();
        Ok(Self { path, policy, sha256, text, signature: None, signed_by: None, remarks, absent: false })
    }

    /// Refuses what may not run: another file than the one meant, one with a signature of something else, or enforcement
    /// of one that nobody who is trusted signed. `keys` is the directory of who is trusted at this `moment`.
    pub fn admit(
        &mut self,
        mode: Mode,
        sha256: Option<Digest>,
        allow_unsigned: bool,
        keys: &Path,
        moment: Moment,
    ) -> Result<(), AgentError> {
        if let Some(wanted) = sha256
            && wanted != self.sha256
        {
            return Err(AgentError::Hash { path: self.path.clone(), wanted, found: self.sha256 });
        }
        self.check_validity(moment)?;
        match self.vouched_at(keys, moment.now) {
            None => {}
            Some(Ok(accepted)) => self.signed_by = Some(accepted.principal),
            Some(Err(why)) if mode == Mode::Audit && !why.is_of_something_else() => {
                self.remarks.push(format!("the signature was not accepted: {why}"));
            }
            Some(Err(source)) => return Err(AgentError::Distrusted { path: beside(&self.path), source }),
        }
        if mode == Mode::Enforce && self.signed_by.is_none() {
            if !allow_unsigned {
                return Err(AgentError::Unsigned { path: self.path.clone() });
            }
            self.remarks.push(UNSIGNED.to_owned());
        }
        Ok(())
    }

    /// What the signature beside the file is worth; `None`: there is none.
    pub fn vouched(&self, keys: &Path) -> Option<Result<Accepted, AgentDistrust>> {
        self.vouched_at(keys, now())
    }

    pub(super) fn vouched_at(&self, keys: &Path, now: i64) -> Option<Result<Accepted, AgentDistrust>> {
        let signature = self.signature.as_ref()?;
        let trust = match provenance::load(keys) {
            Ok(trust) => trust,
            Err(source) => return Some(Err(AgentDistrust::Keys(source))),
        };
        Some(provenance::verify(&self.text, signature, &trust, now).map_err(AgentDistrust::Signature))
    }

    /// What the policy says about itself: for which hosts, from when, until when.
    fn check_validity(&self, moment: Moment) -> Result<(), AgentError> {
        match self.policy.settings.objection(&Host::current().name, moment.now) {
            None => Ok(()),
            Some((_, why)) => Err(AgentError::NotForUs { path: self.path.clone(), why }),
        }
    }
}

/// Why a signature was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentDistrust {
    /// Because of what it is, or of whom.
    #[error(transparent)]
    Signature(#[from] Distrust),
    /// Because it cannot be said who is trusted.
    #[error("it cannot be said who is trusted")]
    Keys(#[from] TrustError),
}

impl AgentDistrust {
    fn is_of_something_else(&self) -> bool {
        matches!(self, Self::Signature(why) if why.is_of_something_else())
    }
}

/// Where the signature of a policy lies: `ssh-keygen -Y sign` puts it there.
pub fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

/// The signature at a path, if there is one. What is too long is refused where signatures are read.
pub fn read_signature(path: &Path) -> Result<Option<Vec<u8>>, AgentError> {
    let unreadable = |source| AgentError::Unreadable { path: path.to_owned(), source };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(unreadable)?,
    };
    one_more_than(provenance::SIGNATURE_BYTES as u64, file).map(Some).map_err(unreadable)
}

/// Seconds since 1970.
fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(now).unwrap_or(i64::MAX)
}

/// Why a policy does not hold here and now.
pub fn objection(policy: &Policy) -> Option<(Code, String)> {
    policy.settings.objection(&Host::current().name, now())
}
