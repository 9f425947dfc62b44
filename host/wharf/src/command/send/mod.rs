//! `wharf send`: a file or standard input as one message, one CloudEvent, or a batch of NDJSON.

mod batch;
mod pieces;
mod progress;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::Context as _;
use serde_json::value::RawValue;
use wharf_api::MessageInput;

use crate::arguments::Send;
use crate::command::client;
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(arguments: Send) -> Result<(), Failure> {
    let input = Input::open(arguments.file.as_deref())?;
    if arguments.ndjson {
        return batch::send(&arguments, input);
    }
    let input = input.read_all()?;
    let client = client(&arguments.host);
    let answer = if arguments.cloudevent {
        client.send_event(&input)?
    } else {
        let message = message(&arguments, input)?;
        let key = arguments.idempotency_key.as_deref();
        client.send(&serde_json::to_vec(&message)?, key)?
    };
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

/// Where the input comes from.
struct Input {
    reader: Box<dyn BufRead>,
    /// Its size in bytes, where it is known.
    size: Option<u64>,
    /// What an error calls it.
    name: String,
}

impl Input {
    /// The file; standard input for `-`, or none.
    fn open(file: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = file.filter(|path| *path != Path::new("-")) else {
            return Ok(Self {
                reader: Box::new(std::io::stdin().lock()),
                size: None,
                name: "standard input".to_owned(),
            });
        };
        let name = path.display().to_string();
        let file = File::open(path)
            .with_context(|| format!("cannot read {name}"))
            .map_err(|e| {
                Failure::failed(e).hint("check the path; without --file, standard input is read")
            })?;
        let size = file.metadata().ok().filter(|file| file.is_file());
        Ok(Self {
            size: size.map(|file| file.len()),
            reader: Box::new(BufReader::new(file)),
            name,
        })
    }

    fn read_all(mut self) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        match self.reader.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(unreadable(&self.name, error)),
        }
    }
}

fn unreadable(name: &str, error: std::io::Error) -> Failure {
    Failure::failed(anyhow::Error::new(error).context(format!("cannot read {name}")))
}
