//! Fetching a copy of the store.

use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};

use super::{Client, ClientError};
use crate::{JSON, REPR_DIGEST, repr_digest};

/// How much of the copy is read at once.
const PIECE_BYTES: usize = 256 << 10;

/// Why a copy was not fetched. What was written of it is none.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The server made none.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The connection broke.
    #[error("the copy broke off after {came} of {length} bytes")]
    CutOff {
        /// Bytes that came.
        came: u64,
        /// Bytes that it has.
        length: u64,
    },
    /// What came is not what was sent.
    #[error("the copy is not what the server sent: its digest differs")]
    Mangled,
    /// It could not be written here.
    #[error("the copy could not be written")]
    Write(#[source] io::Error),
}

impl Client {
    /// Has the server make a copy of its store, and writes that; `told` is told how much of how much has come. The server
    /// may take minutes before the first byte, so nothing but the connection has a time limit.
    pub fn backup(
        &self,
        into: &mut dyn Write,
        mut told: impl FnMut(u64, u64),
    ) -> Result<(), BackupError> {
        let path = "/v1/store/backup";
        let mut request = self
            .agent
            .post(self.url(path))
            .config()
            .timeout_global(None)
            .build()
            .header("content-type", JSON);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = request.send(b"{}".as_slice());
        let mut answer = answer.map_err(|cause| self.no_answer(path, cause))?;
        let status = answer.status().as_u16();
        let header = |name| Some(answer.headers().get(name)?.to_str().ok()?.to_owned());
        let length = header("content-length").and_then(|length| length.parse().ok());
        let (Some(length), Some(digest), 200) = (length, header(REPR_DIGEST), status) else {
            // A problem, or nothing of ours.
            self.read(path, Ok(answer))?;
            return Err(self.foreign(path, status).into());
        };
        let mut body = answer.body_mut().as_reader();
        let (mut piece, mut came, mut hash) = (vec![0; PIECE_BYTES], 0, Sha256::new());
        loop {
            // What ends early ends with an error, too.
            let count = body.read(&mut piece).unwrap_or(0);
            if count == 0 {
                break;
            }
            hash.update(&piece[..count]);
            into.write_all(&piece[..count])
                .map_err(BackupError::Write)?;
            came += count as u64;
            told(came, length);
        }
        if came != length {
            return Err(BackupError::CutOff { came, length });
        }
        if repr_digest(&hash.finalize()) != digest {
            return Err(BackupError::Mangled);
        }
        Ok(())
    }
}
