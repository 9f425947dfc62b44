//! `POST /v1/store/backup`: a copy of the store, as of one commit.
//!
//! It is made whole beside the store and then sent, so that its length and digest stand in front of it: whoever gets less,
//! or something else, knows. The file has no name, so nothing is left of it whatever happens. Commits go on meanwhile.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::Path;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use bytesize::ByteSize;
use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio_util::io::ReaderStream;
use wharf_api::{Problem, ProblemCode, REPR_DIGEST, repr_digest};
use wharf_store::{BackupError, Store};

use super::super::App;
use super::super::auth::{Caller, name_of};
use super::super::input::{Nothing, input};
use super::super::problem::{Answer, internal};
use crate::disk;
use crate::limits::COPY_PIECE_BYTES;

/// Why no copy was made.
#[derive(Debug, thiserror::Error)]
enum CopyError {
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error("the temporary file beside the store cannot be used")]
    File(#[from] io::Error),
}

struct Copy {
    file: File,
    length: u64,
    digest: String,
}

pub(crate) async fn backup(
    State(app): State<Arc<App>>,
    caller: Option<Extension<Caller>>,
    request: Request,
) -> Result<Response, Answer> {
    let Nothing {} = input(request).await?;
    // One at a time: each takes as much room as the store.
    let turn = Arc::clone(&app.whole_file).lock_owned().await;
    let by = name_of(caller.as_ref());
    let made = tokio::task::spawn_blocking({
        let app = Arc::clone(&app);
        // Held on to also where the caller does not wait for the end.
        move || {
            (
                room(&app).map(|()| copy(&app.store, folder(&app.store_path))),
                turn,
            )
        }
    });
    let (made, turn) = made.await.map_err(|panic| internal(&panic))?;
    let copy = made?.map_err(|error| failed(&app, &error))?;
    tracing::info!(bytes = copy.length, by, "the store was copied for a backup");
    let file = tokio::fs::File::from_std(copy.file);
    let pieces = ReaderStream::with_capacity(file, COPY_PIECE_BYTES);
    // The room is free again once the file is closed, with the stream.
    let pieces = pieces.inspect(move |_| {
        let _held = &turn;
    });
    let headers = [
        (CONTENT_TYPE.as_str(), "application/octet-stream".to_owned()),
        (CONTENT_LENGTH.as_str(), copy.length.to_string()),
        (REPR_DIGEST, copy.digest),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

fn folder(store: &Path) -> &Path {
    let parent = store.parent().filter(|dir| !dir.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// Whether the copy leaves as much room as messages are accepted in. It is as large as the file at most.
fn room(app: &App) -> Result<(), Answer> {
    let looked = disk::free_bytes(folder(&app.store_path))
        .and_then(|free| Ok((free, std::fs::metadata(&app.store_path)?.len())));
    let (free, length) = looked.map_err(|error| internal(&error))?;
    if free >= length.saturating_add(app.accept_free) {
        return Ok(());
    }
    let (free, length, kept) = (ByteSize(free), ByteSize(length), ByteSize(app.accept_free));
    let detail = format!(
        "a copy takes up to {length} beside the store, of {free} that are free {kept} are kept by store.accept-free; \
         make room, or stop the host and copy the store to another disk"
    );
    Err(Problem::new(ProblemCode::DiskLow, detail).into())
}

fn copy(store: &Store, folder: &Path) -> Result<Copy, CopyError> {
    let mut file = tempfile::tempfile_in(folder)?;
    store.backup(file.try_clone()?, &mut |_| {})?;
    file.rewind()?;
    let (mut piece, mut length, mut hash) = (vec![0; COPY_PIECE_BYTES], 0, Sha256::new());
    loop {
        let count = file.read(&mut piece)?;
        if count == 0 {
            break;
        }
        hash.update(&piece[..count]);
        length += count as u64;
    }
    file.rewind()?;
    Ok(Copy {
        file,
        length,
        digest: repr_digest(&hash.finalize()),
    })
}

fn failed(app: &App, error: &CopyError) -> Answer {
    if app.phase.is_draining() {
        let detail = "the server is stopping; no copy was made, ask again";
        return Problem::new(ProblemCode::ShuttingDown, detail).into();
    }
    internal(error)
}
