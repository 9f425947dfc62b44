//! `wharf store stat`

use indicatif::HumanBytes;
use wharf_api::StoreView;
use wharf_server::store_file;

use super::bar::Bar;
use super::open::{self, Store};
use crate::arguments::StoreStat;
use crate::failure::Failure;
use crate::output;

pub(super) fn run(arguments: &StoreStat) -> Result<(), Failure> {
    let with_sizes = !arguments.quick;
    let store = open::anywhere(&arguments.place, with_sizes)?;
    let bar = Bar::new("reading");
    let view = match store {
        Store::Host(client) => client.store(with_sizes)?,
        Store::File(file) => {
            let failed = |cause: anyhow::Error| {
                Failure::failed(cause)
                    .context(format!("cannot read {}", file.path().display()))
                    .hint("`wharf store check` says all that is wrong")
            };
            let found = file.inspect(with_sizes, &mut |progress| bar.tell(progress));
            let found = found.map_err(|cause| failed(cause.into()))?;
            let metadata = std::fs::metadata(file.path());
            let metadata = metadata.map_err(|cause| failed(cause.into()))?;
            store_file::view(&found, metadata.len())
        }
    };
    bar.clear();
    if arguments.json {
        return output::json(&view);
    }
    output::text(&text(&view))
}

fn text(view: &StoreView) -> String {
    let bytes = |bytes: u64| HumanBytes(bytes).to_string();
    let mut facts = vec![
        ("format", view.format.to_string()),
        ("last stop", view.stop.as_str().to_owned()),
        ("messages", view.messages.to_string()),
    ];
    let mut counted: Vec<_> = view.deliveries.iter().chain(&view.standings).collect();
    counted.sort();
    for (name, count) in counted {
        facts.push((name.as_str(), count.to_string()));
    }
    let journal = match view.first_row {
        Some(first) => format!("rows {first} to {}", view.last_row),
        None => "no rows".to_owned(),
    };
    facts.extend([
        ("journal", journal),
        (
            "ids",
            format!("from message {} on, {} runs", view.ids_from, view.id_runs),
        ),
        (
            "chunks",
            format!("{}, {} with something new", view.chunks, view.open_chunks),
        ),
        ("claims on disk", view.claimed.to_string()),
        ("parked", view.parked.to_string()),
        ("file", bytes(view.file_bytes)),
    ]);
    if let Some(free) = view.free_bytes {
        facts.push(("free in it", bytes(free)));
    }
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let facts: Vec<_> = facts
        .iter()
        .map(|(name, value)| format!("{name:width$}  {value}"))
        .collect();
    let size = |size: Option<u64>| size.map_or("-".to_owned(), bytes);
    let rows: Vec<_> = view
        .tables
        .iter()
        .map(|table| {
            vec![
                table.name.clone(),
                table.rows.to_string(),
                size(table.stored_bytes),
                size(table.overhead_bytes),
            ]
        })
        .collect();
    let table = output::table(&["TABLE", "ROWS", "STORED", "OVERHEAD"], &rows);
    format!("{}\n\n{table}", facts.join("\n"))
}
