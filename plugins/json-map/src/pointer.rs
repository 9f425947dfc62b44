//! JSON pointers (RFC 6901), read from the settings.

#[derive(Debug, PartialEq)]
pub(crate) struct Pointer {
    /// As it was written, for messages.
    pub(crate) text: String,
    /// Its reference tokens, unescaped.
    pub(crate) path: Vec<String>,
}

impl Pointer {
    /// The error finishes the sentence "setting `map` has …".
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let path = path(text).ok_or_else(|| {
            format!(
                "`{text}`, not a JSON pointer: it starts with / or is empty, and ~ is written ~0, \
                 / in a name ~1"
            )
        })?;
        Ok(Self {
            text: text.to_owned(),
            path,
        })
    }
}

/// RFC 6901, sections 3 and 4. None: not a pointer.
fn path(pointer: &str) -> Option<Vec<String>> {
    if pointer.is_empty() {
        return Some(vec![]);
    }
    pointer
        .strip_prefix('/')?
        .split('/')
        .map(unescape)
        .collect()
}

fn unescape(token: &str) -> Option<String> {
    let mut parts = token.split('~');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (escape, rest) = part.split_at_checked(1)?;
        name.push(match escape {
            "0" => '~',
            "1" => '/',
            _ => return None,
        });
        name.push_str(rest);
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_rfc_6901() {
        let cases: &[(&str, Option<&[&str]>)] = &[
            ("", Some(&[])),
            ("/", Some(&[""])),
            ("/foo/0", Some(&["foo", "0"])),
            ("/a~1b/m~0n", Some(&["a/b", "m~n"])),
            ("/~01", Some(&["~1"])),
            ("/c%d/ /k\"l", Some(&["c%d", " ", "k\"l"])),
            ("//é", Some(&["", "é"])),
            ("foo", None),
            ("#/foo", None),
            ("/~", None),
            ("/a~2", None),
            ("/~é", None),
        ];
        for (pointer, expected) in cases {
            assert_eq!(
                path(pointer).as_deref(),
                expected.map(|all| all.map_owned()).as_deref()
            );
        }
    }

    trait MapOwned {
        fn map_owned(&self) -> Vec<String>;
    }

    impl MapOwned for [&str] {
        fn map_owned(&self) -> Vec<String> {
            self.iter().map(|text| (*text).to_owned()).collect()
        }
    }
}
