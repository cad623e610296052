//! Bearer tokens: 256 random bits that are shown once, of which only the SHA-256 is kept. A token has a role and an
//! account, may expire, and can be revoked.

use std::{collections::HashSet, fmt};

use capture_task::plan::quote;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use ulid::Ulid;

use super::{
    audit::append,
    audit_event::{Action, AuditEvent},
    audit_line::hex,
    database::{Need, Store},
    values::{self, from_word, millis, new_ulid, time, unreadable, word},
};
use crate::{
    access::{Account, Actor, Caller, Origin, Role, Who, is_label},
    error::{Error, Result},
};

/// Begins every secret, so that people and scanners of repositories know one when they see it.
const PREFIX: &str = "cap_";

/// A token that somebody wants.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// What it is called: 1–64 letters, digits and `.`, `_`, `-`, `@`; no other token in use has it.
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// Whose quota its tasks count against; that of its own name where none is given.
    pub account: Option<Account>,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
}

/// What is known of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenInfo {
    /// ULID, which is no secret.
    #[serde(serialize_with = "as_text")]
    pub id: Ulid,
    /// What it is called.
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// Whose quota its tasks count against.
    pub account: Account,
    /// When it was made.
    #[serde(serialize_with = "values::as_rfc3339")]
    pub created_at: Timestamp,
    /// When it ends by itself.
    #[serde(serialize_with = "values::as_optional_rfc3339")]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(serialize_with = "values::as_optional_rfc3339")]
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to five minutes.
    #[serde(serialize_with = "values::as_optional_rfc3339")]
    pub used_at: Option<Timestamp>,
}

impl TokenInfo {
    fn is_in_use(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| end > now)
    }
}

/// A secret of 256 random bits: letters that say what it is of, `cap_` of a token, `shr_` of a share, and 64 hexadecimal
/// digits. It does not show in debug output.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// A new one that begins so.
    ///
    /// # Errors
    /// The kernel has no random bytes.
    pub fn random(prefix: &str) -> Result<Self> {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits).map_err(|error| {
            Error::runtime(format!("the kernel gives no random bytes: {error}"))
        })?;
        Ok(Self(format!("{prefix}{}", hex(&bits))))
    }

    /// The text, to be shown once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The SHA-256 of a secret, by which it is kept.
    pub fn hash(secret: &str) -> [u8; 32] {
        Sha256::digest(secret).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Store {
    /// Makes a token.
    ///
    /// # Errors
    /// The name is none, or is in use; the token would be over already.
    pub fn token_create(&self, new: &NewToken, actor: &Actor) -> Result<(TokenInfo, Secret)> {
        let NewToken {
            name,
            role,
            account,
            expires_at,
        } = new;
        let account = account.clone().or_else(|| Account::new(name));
        let (true, Some(account)) = (is_label(name), account) else {
            return Err(Error::usage(format!(
                "{} cannot be a token's name; write 1 to 64 letters, digits, `.`, `_`, `-` or `@`",
                quote(name)
            )));
        };
        let secret = Secret::random(PREFIX)?;
        let info = self.write(Need::CanWait, |transaction, now| {
            if expires_at.is_some_and(|end| end <= now) {
                return Err(Error::usage("the token would be over already; name a later time").into());
            }
            let is_used: bool = transaction.query_row(
                "SELECT EXISTS (SELECT 1 FROM tokens WHERE name = ? AND revoked_at IS NULL)",
                [name],
                |row| row.get(0),
            )?;
            if is_used {
                return Err(Error::conflict(format!(
                    "there is a token {} already; revoke it first, or take another name",
                    quote(name)
                ))
                .into());
            }
            let id = new_ulid(transaction, "tokens", now)?;
            transaction.execute(
                "INSERT INTO tokens (id, name, role, account, hash, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                params![
                    id.to_string(),
                    name,
                    word(role)?,
                    account.as_str(),
                    Secret::hash(secret.reveal()),
                    millis(now),
                    expires_at.map(millis)
                ],
            )?;
            let object = format!("{name} {id}");
            let event = AuditEvent::done(Action::TokenCreate, &object);
            append(transaction, now, &actor.caller, event)?;
            Ok(find(transaction, &id.to_string())?)
        })?;
        let info = info.ok_or_else(|| Error::runtime("the new token is not there"))?;
        Ok((info, secret))
    }

    /// All tokens, also those that are over, oldest first.
    pub fn token_list(&self, actor: &Actor) -> Result<Vec<TokenInfo>> {
        self.write(Need::Urgent, |transaction, now| {
            let event = AuditEvent::done(Action::TokenList, "tokens");
            append(transaction, now, &actor.caller, event)?;
            Ok(tokens(transaction)?)
        })
        .map_err(Into::into)
    }

    /// The tokens that are not revoked, oldest first. No line of the audit log: for completion, which asks at each tab key.
    pub fn unrevoked_tokens(&self) -> Result<Vec<TokenInfo>> {
        let mut all = self.read(|transaction, _| Ok(tokens(transaction)?))?;
        all.retain(|token| token.revoked_at.is_none());
        Ok(all)
    }

    /// Revokes a token, by name or ID. Whoever bears it is nobody from then on.
    ///
    /// # Errors
    /// No such token is in use.
    pub fn token_revoke(&self, name_or_id: &str, actor: &Actor) -> Result<TokenInfo> {
        let not_found =
            || Error::not_found(format!("there is no token {} in use", quote(name_or_id)));
        self.write(Need::Urgent, |transaction, now| {
            let token = find(transaction, name_or_id)?
                .filter(|token| token.revoked_at.is_none())
                .ok_or_else(not_found)?;
            transaction.execute(
                "UPDATE tokens SET revoked_at = ? WHERE id = ?",
                params![millis(now), token.id.to_string()],
            )?;
            let object = format!("{} {}", token.name, token.id);
            let event = AuditEvent::done(Action::TokenRevoke, &object);
            append(transaction, now, &actor.caller, event)?;
            Ok(TokenInfo {
                revoked_at: Some(time(millis(now))?),
                ..token
            })
        })
        .map_err(Into::into)
    }

    /// The actor who bears this secret, if a token in use has it.
    pub fn token_verify(&self, secret: &str, from: Origin) -> Result<Option<Actor>> {
        let hash = Secret::hash(secret);
        // Found by a part of the hash, and compared in whole without telling by time how much is the same.
        let token = self.read(|transaction, now| {
            let mut statement = transaction.prepare_cached(&format!(
                "SELECT {COLUMNS}, hash FROM tokens WHERE substr(hash, 1, 4) = ? AND revoked_at IS NULL"
            ))?;
            let mut rows = statement.query([&hash[..4]])?;
            let mut found = None;
            while let Some(row) = rows.next()? {
                let token = read_info(row)?;
                let stored: [u8; 32] = row.get("hash")?;
                if is_same(&stored, &hash) && token.is_in_use(now) {
                    found = Some(token);
                }
            }
            Ok(found)
        })?;
        if let Some(token) = &token {
            self.note_use(token);
        }
        Ok(token.map(|token| Actor {
            caller: Caller {
                who: Who::Token {
                    id: token.id,
                    name: token.name,
                },
                from,
            },
            account: token.account,
            role: token.role,
        }))
    }

    /// Keeps when a token was used, where it is some time since the last note of it. What lacks on a full disk is only the note.
    fn note_use(&self, token: &TokenInfo) {
        let now = self.0.clock.now();
        let age = token.used_at.map(|used| now.duration_since(used).abs());
        if age.is_some_and(|age| age < USE_INTERVAL) || !self.is_writable() {
            return;
        }
        let noted = self.write(Need::CanWait, |transaction, now| {
            transaction
                .prepare_cached("UPDATE tokens SET used_at = ? WHERE id = ?")?
                .execute(params![millis(now), token.id.to_string()])?;
            Ok(())
        });
        if let Err(failure) = noted {
            log::debug!("the use of a token is not noted: {failure}");
        }
    }

    /// A token by its ID, where it is in use.
    pub fn token(&self, id: Ulid) -> Result<Option<TokenInfo>> {
        self.read(|transaction, now| {
            let token = find(transaction, &id.to_string())?;
            Ok(token.filter(|token| token.id == id && token.is_in_use(now)))
        })
    }

    /// The same of a request by a session of the token, which is a use of it.
    pub fn token_use(&self, id: Ulid) -> Result<bool> {
        let token = self.token(id)?;
        if let Some(token) = &token {
            self.note_use(token);
        }
        Ok(token.is_some())
    }

    /// The tokens that are in use.
    pub fn tokens_in_use(&self) -> Result<HashSet<Ulid>> {
        self.read(|transaction, now| {
            let mut statement = transaction.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM tokens WHERE revoked_at IS NULL"
            ))?;
            let tokens = statement.query_map([], read_info)?;
            let mut in_use = HashSet::new();
            for token in tokens {
                let token = token?;
                if token.is_in_use(now) {
                    in_use.insert(token.id);
                }
            }
            Ok(in_use)
        })
    }

    /// Whether the token of this ID is in use still: neither revoked nor over.
    pub fn token_is_in_use(&self, id: Ulid) -> Result<bool> {
        Ok(self.token(id)?.is_some())
    }
}

const COLUMNS: &str = "id, name, role, account, created_at, expires_at, revoked_at, used_at";

/// Least time between two notes of a token's use.
const USE_INTERVAL: SignedDuration = SignedDuration::from_mins(5);

fn tokens(connection: &Connection) -> rusqlite::Result<Vec<TokenInfo>> {
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM tokens ORDER BY id"))?;
    let tokens = statement.query_map([], read_info)?;
    tokens.collect()
}

/// The token of this ID, or else the one in use of this name.
fn find(connection: &Connection, name_or_id: &str) -> rusqlite::Result<Option<TokenInfo>> {
    connection
        .query_row(
            &format!(
                "SELECT {COLUMNS} FROM tokens WHERE id = ?1 OR (name = ?1 AND revoked_at IS NULL) ORDER BY id <> ?1 LIMIT 1"
            ),
            [name_or_id],
            read_info,
        )
        .optional()
}

fn read_info(row: &Row<'_>) -> rusqlite::Result<TokenInfo> {
    let id: String = row.get("id")?;
    let moment = |name| row.get::<_, Option<i64>>(name)?.map(time).transpose();
    Ok(TokenInfo {
        id: Ulid::from_string(&id).map_err(unreadable)?,
        name: row.get("name")?,
        role: from_word(&row.get::<_, String>("role")?)?,
        account: values::account(&row.get::<_, String>("account")?)?,
        created_at: time(row.get("created_at")?)?,
        expires_at: moment("expires_at")?,
        revoked_at: moment("revoked_at")?,
        used_at: moment("used_at")?,
    })
}

/// Compares hashes without telling by time how much is the same.
pub(super) fn is_same(stored: &[u8; 32], hash: &[u8; 32]) -> bool {
    stored.ct_eq(hash).into()
}

fn as_text<S: serde::Serializer>(id: &Ulid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}
