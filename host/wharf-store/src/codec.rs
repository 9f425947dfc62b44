//! How numbers, texts and pairs are written in stored values.
//!
//! Numbers are LEB128, texts carry their length before them. Written by hand rather than derived: the bytes are a
//! format that old files keep, and a field is read without the ones after it.

use wharf_core::{Pairs, TimeMs};

use crate::error::Malformed;

/// Appends fields to a value.
pub(crate) trait Put {
    fn put_u8(&mut self, value: u8);
    fn put_number(&mut self, value: u64);
    fn put_bytes(&mut self, value: &[u8]);
    fn put_pairs(&mut self, pairs: &Pairs);

    fn put_text(&mut self, value: &str) {
        self.put_bytes(value.as_bytes());
    }

    fn put_maybe_text(&mut self, value: Option<&str>) {
        self.put_u8(u8::from(value.is_some()));
        if let Some(text) = value {
            self.put_text(text);
        }
    }

    fn put_maybe_number(&mut self, value: Option<u64>) {
        self.put_u8(u8::from(value.is_some()));
        if let Some(number) = value {
            self.put_number(number);
        }
    }
}

impl Put for Vec<u8> {
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }

    fn put_number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    fn put_bytes(&mut self, value: &[u8]) {
        self.put_number(value.len() as u64);
        self.extend_from_slice(value);
    }

    fn put_pairs(&mut self, pairs: &Pairs) {
        self.put_number(pairs.len() as u64);
        for (name, value) in pairs {
            self.put_text(name);
            self.put_text(value);
        }
    }
}

/// Takes fields off a value.
pub(crate) struct Take<'a> {
    rest: &'a [u8],
}

impl<'a> Take<'a> {
    /// Reads a value that begins with a version byte, which must be `version`.
    pub(crate) fn versioned(value: &'a [u8], version: u8) -> Result<Self, Malformed> {
        let mut take = Self { rest: value };
        if take.u8()? != version {
            return Err(Malformed("its version is unknown"));
        }
        Ok(take)
    }

    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// What is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Asserts that nothing is left.
    pub(crate) fn end(self) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Malformed("it has bytes past its end"))
        }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(Malformed("it ends early"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn number(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed("a number is too long"))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.number()?).map_err(|_| Malformed("a number is too large"))
    }

    /// A count of things that take at least one byte each, so a broken one cannot ask for more memory than there
    /// are bytes.
    pub(crate) fn count(&mut self) -> Result<usize, Malformed> {
        let count =
            usize::try_from(self.number()?).map_err(|_| Malformed("a count is too large"))?;
        if count > self.rest.len() {
            return Err(Malformed("a count is larger than the value"));
        }
        Ok(count)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.count()?;
        self.take(len)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed("a text is not UTF-8"))
    }

    pub(crate) fn pairs(&mut self) -> Result<Pairs, Malformed> {
        let count = self.count()?;
        let mut pairs = Pairs::with_capacity(count);
        for _ in 0..count {
            pairs.push((self.text()?.to_owned(), self.text()?.to_owned()));
        }
        Ok(pairs)
    }

    pub(crate) fn flag(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("a flag is neither 0 nor 1")),
        }
    }

    pub(crate) fn maybe_text(&mut self) -> Result<Option<&'a str>, Malformed> {
        Ok(if self.flag()? {
            Some(self.text()?)
        } else {
            None
        })
    }

    pub(crate) fn maybe_number(&mut self) -> Result<Option<u64>, Malformed> {
        Ok(if self.flag()? {
            Some(self.number()?)
        } else {
            None
        })
    }

    pub(crate) fn maybe_time(&mut self) -> Result<Option<TimeMs>, Malformed> {
        Ok(self.maybe_number()?.map(TimeMs))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fields_round_trip(
            number: u64,
            text: String,
            pairs: Vec<(String, String)>,
            maybe: Option<u64>,
        ) {
            let mut value = vec![1];
            value.put_number(number);
            value.put_text(&text);
            value.put_pairs(&pairs);
            value.put_maybe_number(maybe);
            value.put_maybe_text(Some(&text));
            let mut take = Take::versioned(&value, 1).unwrap();
            prop_assert_eq!(take.number().unwrap(), number);
            prop_assert_eq!(take.text().unwrap(), &text);
            prop_assert_eq!(take.pairs().unwrap(), pairs);
            prop_assert_eq!(take.maybe_number().unwrap(), maybe);
            prop_assert_eq!(take.maybe_text().unwrap(), Some(text.as_str()));
            take.end().unwrap();
        }

        #[test]
        fn broken_values_are_refused_not_believed(value: Vec<u8>) {
            let mut take = Take::new(&value);
            let _ = take.pairs();
            let _ = Take::new(&value).number();
        }
    }
}
