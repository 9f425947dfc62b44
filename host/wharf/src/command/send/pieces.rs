//! A batch in pieces of whole lines: what is read is sent before the rest is read.

use std::io::{self, BufRead};

/// Lines sent in one request: few enough that one answer is quick, enough that one commit is cheap.
const PIECE_LINES: u64 = 500;

/// Bytes sent in one request, unless one line alone has more.
const PIECE_BYTES: usize = 8 << 20;

pub(super) struct Pieces<R> {
    input: R,
    /// A line that was read and had no place in the piece before.
    next: Vec<u8>,
    /// Its number, from 1.
    line: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    pub(super) first_line: u64,
    pub(super) lines: u64,
}

impl<R: BufRead> Pieces<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            next: Vec::new(),
            line: 1,
        }
    }

    /// The next piece; empty at the end.
    fn read(&mut self) -> io::Result<Piece> {
        let mut piece = Piece {
            bytes: Vec::new(),
            first_line: self.line,
            lines: 0,
        };
        while piece.lines < PIECE_LINES {
            if self.next.is_empty() && self.input.read_until(b'\n', &mut self.next)? == 0 {
                break;
            }
            if piece.lines > 0 && piece.bytes.len() + self.next.len() > PIECE_BYTES {
                break;
            }
            piece.bytes.append(&mut self.next);
            piece.lines += 1;
        }
        self.line += piece.lines;
        Ok(piece)
    }
}

impl<R: BufRead> Iterator for Pieces<R> {
    type Item = io::Result<Piece>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read()
            .map(|piece| (piece.lines > 0).then_some(piece))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &[u8], expected: &[(u64, u64)]) {
        let pieces: Vec<Piece> = Pieces::new(input).map(Result::unwrap).collect();
        let bytes: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| piece.bytes.clone())
            .collect();
        assert!(bytes == input, "the pieces are not the input");
        let lines = pieces.iter().map(|piece| (piece.first_line, piece.lines));
        assert_eq!(lines.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn pieces_are_whole_lines_and_all_of_the_input() {
        check(b"", &[]);
        check(b"no line break", &[(1, 1)]);
        check(b"\n\na\n", &[(1, 3)]);
        let numbers: Vec<u8> = (0..1201)
            .flat_map(|n| format!("{n}\n").into_bytes())
            .collect();
        check(&numbers, &[(1, 500), (501, 500), (1001, 201)]);
        check(
            &numbers[..numbers.len() - 1],
            &[(1, 500), (501, 500), (1001, 201)],
        );
        let large = [vec![b'x'; PIECE_BYTES + 7], b"\n".to_vec()].concat();
        check(
            &[b"a\n", &large[..], b"b\nc"].concat(),
            &[(1, 1), (2, 1), (3, 2)],
        );
        let half = [vec![b'x'; PIECE_BYTES / 2 - 1], b"\n".to_vec()].concat();
        check(&half.repeat(5), &[(1, 2), (3, 2), (5, 1)]);
    }
}
