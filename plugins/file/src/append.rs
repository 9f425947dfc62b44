//! Appends a line, through `wasi:filesystem` itself: a standard library would write it in pieces.

use std::time::Duration;

use wharf_plugin_common::types::{Effect, Failure, Scope};

use crate::bindings::wasi::filesystem::preopens::get_directories;
use crate::bindings::wasi::filesystem::types::{
    Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags, filesystem_error_code,
};
use crate::bindings::wasi::io::streams::StreamError;

/// How often, a millisecond apart, a part of a line is looked at: longer than a system keeps a thread from running.
const LOOKS: u32 = 20;

/// Appends a line to the file of this path, and sees it onto the disk where that is asked for.
pub(crate) fn append(path: &str, line: &[u8], sync: bool) -> Result<(), Failure> {
    let folders = get_directories();
    let places = folders.iter().map(|(_, at)| at.as_str());
    let (place, name) = find(path, places).ok_or_else(|| no_folder(path, folders.len()))?;
    let folder = &folders[place].0;
    let (file, is_new) = open(folder, name).map_err(|code| open_failed(path, code))?;

    let is_torn = ends_amid_a_line(&file).map_err(|code| open_failed(path, code))?;
    let begun = if is_torn { write(&file, b"\n") } else { Ok(()) };
    begun
        .and_then(|()| write(&file, line))
        .map_err(|why| failed("write-failed", path, &why, Effect::Unknown))?;
    if sync {
        let synced = file.sync().and_then(|()| match is_new {
            true => sync_folder(folder, name),
            false => Ok(()),
        });
        synced.map_err(|code| failed("sync-failed", path, code.name(), Effect::Unknown))?;
    }
    Ok(())
}

/// Which of the folders a path lies in, and its name there. A relative one lies in the first.
fn find<'p, 'f>(path: &'p str, places: impl Iterator<Item = &'f str>) -> Option<(usize, &'p str)> {
    if !path.starts_with('/') {
        return places.enumerate().next().map(|(first, _)| (first, path));
    }
    let inside = |at: &str| path.strip_prefix(at)?.strip_prefix('/');
    places
        .enumerate()
        .filter_map(|(place, at)| Some((place, inside(at)?)))
        .min_by_key(|(_, name)| name.len())
}

/// The file, and whether it was made.
fn open(folder: &Descriptor, name: &str) -> Result<(Descriptor, bool), ErrorCode> {
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    let open = |how| folder.open_at(PathFlags::SYMLINK_FOLLOW, name, how, flags);
    match open(OpenFlags::empty()) {
        Err(ErrorCode::NoEntry) => open(OpenFlags::CREATE).map(|file| (file, true)),
        other => other.map(|file| (file, false)),
    }
}

/// Whether a crash, or a full disk, left a part of a line. Another instance that is amid its write looks the same for
/// a moment, so a part counts only once it has stayed as it is; should that moment ever be longer, the file gets an
/// empty line.
fn ends_amid_a_line(file: &Descriptor) -> Result<bool, ErrorCode> {
    let mut size = 0;
    let mut looks = 0;
    while looks < LOOKS {
        let now = file.stat()?.size;
        if now == 0 {
            return Ok(false);
        }
        let (last, _) = file.read(1, now - 1)?;
        if last == b"\n" {
            return Ok(false);
        }
        looks = if now == size { looks + 1 } else { 1 };
        size = now;
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(true)
}

/// In one write where the host takes the line at once.
fn write(file: &Descriptor, line: &[u8]) -> Result<(), String> {
    let stream = file
        .append_via_stream()
        .map_err(|code| code.name().to_owned())?;
    let mut rest = line;
    while !rest.is_empty() {
        stream.subscribe().block();
        let room = usize::try_from(stream.check_write().map_err(words)?).unwrap_or(usize::MAX);
        let (part, left) = rest.split_at(rest.len().min(room));
        stream.write(part).map_err(words)?;
        stream.blocking_flush().map_err(words)?;
        rest = left;
    }
    Ok(())
}

fn words(error: StreamError) -> String {
    match error {
        StreamError::LastOperationFailed(error) => match filesystem_error_code(&error) {
            Some(code) => code.name().to_owned(),
            None => error.to_debug_string(),
        },
        StreamError::Closed => "closed".to_owned(),
    }
}

/// A new file is found again after a crash only once its folder is on disk too.
fn sync_folder(folder: &Descriptor, name: &str) -> Result<(), ErrorCode> {
    let Some((parent, _)) = name.rsplit_once('/') else {
        return folder.sync();
    };
    let parent = folder.open_at(
        PathFlags::SYMLINK_FOLLOW,
        parent,
        OpenFlags::DIRECTORY,
        DescriptorFlags::READ,
    )?;
    parent.sync()
}

fn no_folder(path: &str, folders_count: usize) -> Failure {
    let what = match folders_count {
        0 => "no folder was granted".to_owned(),
        _ => format!("none of the granted folders has the path {path}"),
    };
    let reason = format!(
        "{what}; `folders = [{{ path = \"out\", at = \"/out\", write = true }}]` in the plugin's \
         table, such as [plugins.file], grants one"
    );
    failure("no-folder", reason, Effect::None)
}

fn open_failed(path: &str, code: ErrorCode) -> Failure {
    let help = match code {
        ErrorCode::NotPermitted | ErrorCode::ReadOnly | ErrorCode::Access => {
            "; its folder must be granted with `write = true`, and the host must be able to write there"
        }
        ErrorCode::NoEntry => "; the folder that it is in must be made first",
        _ => "",
    };
    failed(
        "open-failed",
        path,
        &format!("{}{help}", code.name()),
        Effect::None,
    )
}

fn failed(code: &str, path: &str, why: &str, effect: Effect) -> Failure {
    failure(code, format!("the file {path}: {why}"), effect)
}

fn failure(code: &str, reason: String, effect: Effect) -> Failure {
    Failure {
        code: code.to_owned(),
        reason,
        effect,
        scope: Scope::Channel,
        pause: false,
        after_ms: None,
        notes: vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, places: &[&str], expected: Option<(usize, &str)>) {
        assert_eq!(find(path, places.iter().copied()), expected, "{path}");
    }

    /// The folder whose place is the longest has it; a place is whole steps.
    #[test]
    fn a_path_lies_in_one_folder() {
        let places = ["/out", "/out/deep", "/other"];
        check("/out/a", &places, Some((0, "a")));
        check("/out/deep/a", &places, Some((1, "a")));
        check("/out/deeper/a", &places, Some((0, "deeper/a")));
        check("/other/a/b", &places, Some((2, "a/b")));
        check("a/b", &places, Some((0, "a/b")));
        check("/elsewhere/a", &places, None);
        check("/outer/a", &places, None);
        check("/out", &places, None);
        check("a", &[], None);
    }
}
