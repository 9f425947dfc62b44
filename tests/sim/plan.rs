//! What a run is to do, and how it is asked for on the command line.

use crate::bug::Bug;

/// What is run where nothing else is asked for: the depth that a release is held to, and within which a bug is found.
const CUTS_DEFAULT: u64 = 10_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) cuts: u64,
    /// This store of the run alone.
    pub(crate) store: Option<u64>,
    pub(crate) bug: Option<Bug>,
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Run(Plan),
    /// The same with each bug in turn.
    EachBug(Plan),
}

pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Asked, String> {
    let mut arguments = arguments.into_iter();
    let mut plan = Plan {
        seed: 1,
        cuts: CUTS_DEFAULT,
        store: None,
        bug: None,
    };
    let mut is_each_bug = false;
    while let Some(name) = arguments.next() {
        if name == "--bugs" {
            is_each_bug = true;
            continue;
        }
        let value = arguments.next().ok_or(format!("{name} takes a value"))?;
        match name.as_str() {
            "--seed" => plan.seed = number(&value)?,
            "--cuts" => plan.cuts = number(&value)?,
            "--store" => plan.store = Some(number(&value)?),
            "--bug" => plan.bug = Some(Bug::named(&value)?),
            _ => return Err(format!("unknown argument {name:?}")),
        }
    }
    Ok(match is_each_bug {
        true => Asked::EachBug(plan),
        false => Asked::Run(plan),
    })
}

fn number(value: &str) -> Result<u64, String> {
    let number = value.parse();
    number.map_err(|_| format!("{value:?} is no number"))
}
