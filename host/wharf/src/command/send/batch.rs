//! `wharf send --ndjson`

use wharf_api::BatchLine;

use super::pieces::Pieces;
use super::progress::Progress;
use super::{Input, unreadable};
use crate::arguments::Send;
use crate::command::client;
use crate::failure::Failure;
use crate::output;

pub(super) fn send(arguments: &Send, input: Input) -> Result<(), Failure> {
    let client = client(&arguments.host);
    let key = arguments.idempotency_key.as_deref();
    let mut progress = Progress::new(input.size);
    for piece in Pieces::new(input.reader) {
        let piece = piece.map_err(|error| unreadable(&input.name, error))?;
        let answers = client
            .send_batch(&piece.bytes, piece.first_line, key)
            .map_err(|error| {
                let last_line = piece.first_line + piece.lines - 1;
                Failure::from(error)
                    .context(format!("at lines {} to {last_line}", piece.first_line))
            })?;
        // Whoever stops reading the answers still wants the rest to be sent.
        match progress.pause(|| print(arguments.json, &answers)) {
            Err(failure) if failure.is_unread() => {}
            printed => printed?,
        }
        let refused = answers.iter().filter(|answer| answer.status != 202).count() as u64;
        progress.advance(piece.bytes.len(), answers.len() as u64 - refused, refused);
    }
    match progress.end() {
        0 => Ok(()),
        refused => Err(Failure::failed(anyhow::anyhow!(
            "{refused} of the batch were refused; the others are accepted"
        ))
        .hint("correct the lines that are named above, and send them again")),
    }
}

/// Ids, or all of it as JSON, to standard output; problems to standard error.
fn print(json: bool, answers: &[BatchLine]) -> Result<(), Failure> {
    let mut lines = Vec::with_capacity(answers.len());
    for answer in answers {
        match (&answer.accepted, &answer.problem) {
            _ if json => lines.push(serde_json::to_string(answer)?),
            (Some(accepted), _) => lines.push(accepted.id.clone()),
            (None, Some(problem)) => eprintln!("line {}: {problem}", answer.line),
            (None, None) => {}
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    output::text(&lines.join("\n"))
}
