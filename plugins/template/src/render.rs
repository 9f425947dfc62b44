//! The templates of one binding: read once, rendered for every message.

use std::fmt;
use std::io;

use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};

use crate::filter;

/// What one template may use up, in minijinja's fuel: an instruction, or 64 bytes of text that it
/// makes. That is some hundredths of a second, far below the host's limit for a call, and 64 MB, half
/// of the memory that the host gives an instance. A list of 19,000 objects, as a payload of the
/// default largest size (1 MiB) can hold, takes a third of it to be written line by line.
const FUEL: u64 = 1_000_000;

/// The largest payload that any configuration of wharf takes.
pub(crate) const BODY_BYTES_MAX: usize = 16 << 20;

/// What wharf takes as the value of a message's header.
pub(crate) const LINE_BYTES_MAX: usize = 8 << 10;

/// How much of a template is shown in a reason, in characters: an expression fits.
const EXCERPT_CHARS_MAX: usize = 80;

pub(crate) struct Templates {
    environment: Environment<'static>,
}

/// Why a template gave nothing. Says where and shows the template, never what the message holds.
#[derive(Debug, PartialEq)]
pub(crate) struct Failed {
    /// The template's name.
    pub(crate) template: String,
    pub(crate) line: Option<usize>,
    pub(crate) why: Why,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Why {
    /// It names something that no template has, whatever the message.
    Unknown(String),
    /// It cannot be made of this message.
    Message(String),
    OutOfFuel,
    TooLarge {
        bytes_max: usize,
    },
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "template `{}`", self.template)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        match &self.why {
            Why::Unknown(what) | Why::Message(what) => write!(f, ": {what}"),
            Why::OutOfFuel => write!(f, ": it takes more steps, or makes more text, than it may"),
            Why::TooLarge { bytes_max } => write!(f, ": it makes more than {bytes_max} bytes"),
        }
    }
}

impl Templates {
    /// `escape` is how the template of this name is escaped; others are not.
    pub(crate) fn new(escaped: &'static str, escape: AutoEscape) -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        // For the name of what is undefined.
        environment.set_debug(true);
        environment.set_auto_escape_callback(move |name| {
            if name == escaped {
                escape.clone()
            } else {
                AutoEscape::None
            }
        });
        filter::make_strict(&mut environment);
        Self { environment }
    }

    /// The error finishes a sentence such as "setting `body` is …".
    pub(crate) fn add(&mut self, name: &str, text: String) -> Result<(), String> {
        let added = self.environment.add_template_owned(name.to_owned(), text);
        added.map_err(|error| {
            let line = error.line().unwrap_or(1);
            let what = error
                .detail()
                .map_or(error.kind().to_string(), str::to_owned);
            format!("no template: line {line}: {what}")
        })
    }

    /// What the template of this name makes of `scope`.
    pub(crate) fn render(
        &self,
        name: &str,
        scope: &Value,
        bytes_max: usize,
    ) -> Result<Vec<u8>, Failed> {
        let mut out = Bounded {
            bytes: vec![],
            bytes_max,
            is_full: false,
        };
        let template = self.environment.get_template(name);
        match template.and_then(|template| template.render_captured_to(scope, &mut out)) {
            Ok(_) => Ok(out.bytes),
            Err(_) if out.is_full => Err(Failed {
                template: name.to_owned(),
                line: None,
                why: Why::TooLarge { bytes_max },
            }),
            Err(error) => Err(Failed {
                template: name.to_owned(),
                line: error.line(),
                why: why(&error),
            }),
        }
    }
}

/// An error's detail can hold values of the message, so it is shown only where it cannot.
fn why(error: &Error) -> Why {
    let detail = || error.detail().map(str::to_owned);
    let kind = error.kind();
    match kind {
        ErrorKind::OutOfFuel => Why::OutOfFuel,
        ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction => {
            Why::Unknown(detail().unwrap_or_else(|| kind.to_string()))
        }
        // The detail names what is undefined in the words of the template.
        ErrorKind::UndefinedError if error.detail().is_some() => {
            Why::Message(detail().unwrap_or_default())
        }
        _ => Why::Message(match excerpt(error) {
            Some(excerpt) => format!("{kind} in `{excerpt}`"),
            None => kind.to_string(),
        }),
    }
}

/// The piece of the template that failed, from the start of its expression or statement.
fn excerpt(error: &Error) -> Option<String> {
    let (source, range) = (error.template_source()?, error.range()?);
    let before = source.get(..range.start)?;
    let start = before.rfind("{{").max(before.rfind("{%"));
    let start = start.map_or(range.start, |delimiter| delimiter + 2);
    let piece = source.get(start..range.end)?.trim();
    let cut = piece.char_indices().rev().nth(EXCERPT_CHARS_MAX - 1);
    Some(piece[cut.map_or(0, |(at, _)| at)..].to_owned())
}

/// Keeps what is written, up to a limit.
struct Bounded {
    bytes: Vec<u8>,
    bytes_max: usize,
    is_full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.bytes_max - self.bytes.len() {
            self.is_full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
