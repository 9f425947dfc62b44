//! `wharf send`: a file, standard input, or a batch of NDJSON.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::value::RawValue;
use wharf_api::{BatchLine, MessageInput};

use crate::arguments::Send;
use crate::command::client;
use crate::failure::Failure;
use crate::output;

/// Lines sent in one request: few enough that one answer is quick, enough that one commit is cheap.
const BATCH_LINES: usize = 500;

/// Bytes sent in one request, unless one line alone has more.
const BATCH_BYTES: usize = 8 << 20;

pub(crate) fn run(arguments: Send) -> Result<(), Failure> {
    let input = read(arguments.file.as_deref())?;
    if arguments.ndjson {
        return send_batch(&arguments, &input);
    }
    let message = message(&arguments, input)?;
    let answer = client(&arguments.host).send(&serde_json::to_vec(&message)?)?;
    if arguments.json {
        return output::json(&answer);
    }
    output::text(&answer.id)?;
    if answer.duplicate {
        eprintln!("it was accepted before; nothing new was made");
    } else if answer.deliveries == 0 {
        eprintln!("no route matched it: it is kept as unroutable");
    }
    Ok(())
}

fn message(arguments: &Send, input: Vec<u8>) -> Result<MessageInput, Failure> {
    let mut message = MessageInput {
        id: arguments.id.clone(),
        attributes: arguments.attributes.iter().cloned().collect(),
        headers: arguments.headers.clone(),
        content_type: arguments.content_type.clone(),
        ordering_key: arguments.ordering_key.clone(),
        ..MessageInput::default()
    };
    let has_type = arguments.content_type.is_some()
        || arguments
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    match String::from_utf8(input) {
        Ok(text) => {
            let is_json = serde_json::from_str::<&RawValue>(&text).is_ok();
            if is_json && !has_type {
                message.content_type = Some("application/json".to_owned());
            }
            message.payload = Some(text);
        }
        Err(error) => {
            use base64::Engine as _;
            let bytes = error.into_bytes();
            message.payload_base64 = Some(base64::engine::general_purpose::STANDARD.encode(bytes));
        }
    }
    Ok(message)
}

fn send_batch(arguments: &Send, input: &[u8]) -> Result<(), Failure> {
    let client = client(&arguments.host);
    let mut refused = 0;
    let mut first_line = 0;
    for batch in batches(input) {
        let answers = client.send_batch(batch)?;
        for mut answer in answers {
            answer.line += first_line;
            refused += u64::from(answer.status != 202);
            // Whoever stops reading the answers still wants the rest to be sent.
            match print(arguments.json, &answer) {
                Err(failure) if failure.is_unread() => {}
                printed => printed?,
            }
        }
        first_line +=
            batch.split(|b| *b == b'\n').count() as u64 - u64::from(batch.ends_with(b"\n"));
    }
    if refused > 0 {
        return Err(Failure::failed(anyhow::anyhow!(
            "{refused} of the batch were refused; the others are accepted"
        ))
        .hint("correct the lines that are named above, and send them again"));
    }
    Ok(())
}

/// The input in pieces of whole lines.
fn batches(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = input;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = 0;
        for _ in 0..BATCH_LINES {
            let line = rest[end..]
                .iter()
                .position(|b| *b == b'\n')
                .map_or(rest.len(), |at| end + at + 1);
            if end > 0 && line > BATCH_BYTES {
                break;
            }
            end = line;
            if end == rest.len() {
                break;
            }
        }
        let (batch, after) = rest.split_at(end);
        rest = after;
        Some(batch)
    })
}

fn print(json: bool, answer: &BatchLine) -> Result<(), Failure> {
    if json {
        return output::text(&serde_json::to_string(answer)?);
    }
    match (&answer.accepted, &answer.problem) {
        (Some(accepted), _) => output::text(&accepted.id),
        (None, Some(problem)) => {
            eprintln!("line {}: {problem}", answer.line);
            Ok(())
        }
        (None, None) => Ok(()),
    }
}

fn read(file: Option<&Path>) -> Result<Vec<u8>, Failure> {
    match file {
        Some(path) if path != Path::new("-") => std::fs::read(path)
            .with_context(|| format!("cannot read {}", path.display()))
            .map_err(|e| {
                Failure::failed(e).hint("check the path; without --file, standard input is read")
            }),
        _ => {
            let mut bytes = Vec::new();
            std::io::stdin()
                .lock()
                .read_to_end(&mut bytes)
                .context("cannot read standard input")
                .map_err(Failure::failed)?;
            Ok(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_whole_lines_and_all_of_the_input() {
        let input: Vec<u8> = (0..1201)
            .flat_map(|n| format!("{n}\n").into_bytes())
            .collect();
        let pieces: Vec<&[u8]> = batches(&input).collect();
        assert_eq!(pieces.len(), 3);
        assert!(pieces.iter().all(|piece| piece.ends_with(b"\n")));
        assert_eq!(pieces.concat(), input);
        assert_eq!(
            batches(b"no line break").collect::<Vec<_>>(),
            [b"no line break"]
        );
        assert_eq!(batches(b"").count(), 0);
    }
}
