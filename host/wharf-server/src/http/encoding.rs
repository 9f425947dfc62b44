//! Bodies that come compressed: unfolded while they arrive, and bounded by what they unfold to.
//!
//! `gzip`, `deflate` (the zlib format, as RFC 9110, 8.4.1.2 has it) and `zstd`. Neither side of the decoder may have more
//! bytes than the body may have plain: not what comes out, so a bomb is refused at the limit, and not what goes in, so
//! that what unfolds to nothing is not read for ever.
//!
//! # Limits of the choice
//!
//! One coding a request: a list of several is refused. `br` is not taken: its decoder comes with its encoder, and costs
//! the binary more than all the others. Of zstd, windows over 8 MiB are refused, which is what RFC 9659 lets a sender use.

use std::io;
use std::pin::Pin;

use async_compression::tokio::bufread::{GzipDecoder, ZlibDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use futures_util::TryStreamExt as _;
use http_body_util::{LengthLimitError, Limited};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio_util::io::StreamReader;
use wharf_api::{Problem, ProblemCode};

/// The names that are taken, as `accept-encoding` tells them.
pub(super) const CODINGS: &str = "gzip, deflate, zstd";

/// The largest window of a zstd frame, as a power of two: 8 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Zstd,
}

/// Why there is no body.
#[derive(Debug)]
pub(super) enum Undecoded {
    /// It has more bytes than it may.
    TooLarge,
    /// It is not what its coding says, or it broke off.
    Broken(io::Error),
}

impl Coding {
    /// What the request says. None: the body is plain.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        let name = value.to_str().unwrap_or("").trim().to_ascii_lowercase();
        let is_one = values.next().is_none();
        match name.as_str() {
            "" | "identity" if is_one => Ok(None),
            "gzip" | "x-gzip" if is_one => Ok(Some(Self::Gzip)),
            "deflate" if is_one => Ok(Some(Self::Deflate)),
            "zstd" if is_one => Ok(Some(Self::Zstd)),
            _ => Err(Problem::new(
                ProblemCode::UnsupportedContentEncoding,
                format!(
                    "content-encoding: {name:?} is not read here; send one of {CODINGS}, or the body as it is"
                ),
            )
            .field("content-encoding")),
        }
    }

    /// The body, unfolded, if it has at most `most` bytes before and after.
    pub(super) async fn decode(self, body: Body, most: usize) -> Result<Bytes, Undecoded> {
        let body = Body::new(Limited::new(body, most));
        let encoded = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
        let decoder: Pin<Box<dyn AsyncRead + Send>> = match self {
            Self::Gzip => {
                let mut decoder = GzipDecoder::new(encoded);
                decoder.multiple_members(true);
                Box::pin(decoder)
            }
            Self::Deflate => Box::pin(ZlibDecoder::new(encoded)),
            Self::Zstd => {
                let window = DParameter::window_log_max(ZSTD_WINDOW_LOG_MAX);
                let mut decoder = ZstdDecoder::with_params(encoded, &[window]);
                decoder.multiple_members(true);
                Box::pin(decoder)
            }
        };
        let mut decoded = Vec::new();
        let read = decoder
            .take(most as u64 + 1)
            .read_to_end(&mut decoded)
            .await;
        match read {
            Ok(bytes) if bytes > most => Err(Undecoded::TooLarge),
            Ok(_) => Ok(decoded.into()),
            Err(error) if is_too_large(&error) => Err(Undecoded::TooLarge),
            Err(error) => Err(Undecoded::Broken(error)),
        }
    }
}

/// Whether it is the limit's error, which comes through the body's and the reader's.
fn is_too_large(error: &io::Error) -> bool {
    let mut cause = error
        .get_ref()
        .map(|error| error as &(dyn std::error::Error + 'static));
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use async_compression::tokio::write::{GzipEncoder, ZlibEncoder, ZstdEncoder};
    use axum::http::HeaderValue;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    const CODINGS_ALL: [Coding; 3] = [Coding::Gzip, Coding::Deflate, Coding::Zstd];

    async fn encode(coding: Coding, plain: &[u8]) -> Vec<u8> {
        macro_rules! encoded {
            ($encoder:ident) => {{
                let mut encoder = $encoder::new(Vec::new());
                encoder.write_all(plain).await.unwrap();
                encoder.shutdown().await.unwrap();
                encoder.into_inner()
            }};
        }
        match coding {
            Coding::Gzip => encoded!(GzipEncoder),
            Coding::Deflate => encoded!(ZlibEncoder),
            Coding::Zstd => encoded!(ZstdEncoder),
        }
    }

    /// In pieces, as a network brings it.
    async fn decode(coding: Coding, encoded: &[u8], most: usize) -> Result<Bytes, String> {
        let pieces: Vec<_> = encoded
            .chunks(7)
            .map(|piece| Ok::<_, io::Error>(Bytes::copy_from_slice(piece)))
            .collect();
        let body = Body::from_stream(futures_util::stream::iter(pieces));
        let decoded = coding.decode(body, most).await;
        decoded.map_err(|undecoded| match undecoded {
            Undecoded::TooLarge => "too large".to_owned(),
            Undecoded::Broken(error) => format!("broken: {error}"),
        })
    }

    #[tokio::test]
    async fn what_was_compressed_comes_back_within_the_limit() {
        let plain: Vec<u8> = (0..10_000_u32).flat_map(u32::to_le_bytes).collect();
        for coding in CODINGS_ALL {
            let encoded = encode(coding, &plain).await;
            assert_eq!(
                decode(coding, &encoded, plain.len()).await.unwrap(),
                plain,
                "{coding:?}"
            );
            let less = decode(coding, &encoded, plain.len() - 1).await;
            assert_eq!(less.unwrap_err(), "too large", "{coding:?}");

            // A bomb, and what breaks off at each byte.
            let bomb = encode(coding, &vec![0; 8 << 20]).await;
            assert!(bomb.len() < 1 << 15, "{coding:?}: {}", bomb.len());
            let refused = decode(coding, &bomb, 1 << 16).await;
            assert_eq!(refused.unwrap_err(), "too large", "{coding:?}");
            let small = encode(coding, b"hello").await;
            for end in 1..small.len() {
                let broken = decode(coding, &small[..end], 1 << 10).await;
                let error = broken.expect_err(&format!("{coding:?} to {end}"));
                assert!(
                    error.starts_with("broken: "),
                    "{coding:?} to {end}: {error}"
                );
            }
            let nonsense = decode(coding, b"{\"payload\":\"plain\"}", 1 << 10).await;
            assert!(nonsense.unwrap_err().starts_with("broken: "), "{coding:?}");
        }
    }

    /// What unfolds to nothing is not read for ever.
    #[tokio::test]
    async fn what_goes_in_is_bounded_too() {
        for coding in [Coding::Gzip, Coding::Zstd] {
            let nothing = encode(coding, b"").await;
            let much = nothing.repeat(100);
            assert_eq!(decode(coding, &much, much.len()).await.unwrap(), &b""[..]);
            let refused = decode(coding, &much, much.len() - 1).await;
            assert_eq!(refused.unwrap_err(), "too large", "{coding:?}");
        }
    }

    /// The head of a frame that asks for a window of 16 MiB: magic, no checksum and no size, window 2^(10 + 14).
    #[tokio::test]
    async fn a_large_window_is_refused() {
        let frame = |exponent: u8| [0x28, 0xb5, 0x2f, 0xfd, 0, exponent << 3, 1, 0, 0];
        assert_eq!(decode(Coding::Zstd, &frame(13), 9).await.unwrap(), &b""[..]);
        let refused = decode(Coding::Zstd, &frame(14), 9).await.unwrap_err();
        assert!(refused.starts_with("broken: "), "{refused}");
    }

    #[test]
    fn an_unknown_coding_is_named() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            Coding::of(&headers).map_err(|problem| problem.detail)
        };
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["identity"]), Ok(None));
        assert_eq!(of(&["GZip"]), Ok(Some(Coding::Gzip)));
        assert_eq!(of(&["deflate"]), Ok(Some(Coding::Deflate)));
        assert_eq!(of(&["zstd"]), Ok(Some(Coding::Zstd)));
        for bad in [&["br"][..], &["gzip, zstd"], &["compress"]] {
            assert!(of(bad).unwrap_err().contains(bad[0]), "{bad:?}");
        }
        assert!(of(&["gzip", "gzip"]).is_err());
    }
}
