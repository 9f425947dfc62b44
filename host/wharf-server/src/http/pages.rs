//! The pages of the problem codes, from the binary itself. Open to anyone: who is refused is to read why.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use wharf_api::{PROBLEM_INDEX, PROBLEM_PAGES, Problem, ProblemCode};

use super::problem::Answer;

type Page = ([(HeaderName, &'static str); 1], &'static str);

/// `GET /problems/`
pub(super) async fn index() -> Page {
    markdown(PROBLEM_INDEX)
}

/// `GET /problems/{code}`, and with `.md` behind it, as the index links it.
pub(super) async fn show(code: Result<Path<String>, PathRejection>) -> Result<Page, Answer> {
    let known = code.ok().and_then(|Path(code)| {
        let code = code.strip_suffix(".md").unwrap_or(&code);
        ProblemCode::parse(code)
    });
    match known {
        Some(code) => Ok(markdown(code.page())),
        None => Err(Problem::new(
            ProblemCode::NotFound,
            format!("there is no such problem; {PROBLEM_PAGES} lists them"),
        )
        .into()),
    }
}

fn markdown(page: &'static str) -> Page {
    ([(CONTENT_TYPE, "text/markdown; charset=utf-8")], page)
}
