//! The filters of the engine that take what is undefined for nothing, made as strict as all others.
//! They write `null` or an empty text for it, so that a misspelt name would go out unseen.

use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, State, Value, filters};

pub(crate) fn make_strict(environment: &mut Environment<'_>) {
    environment.add_filter("tojson", tojson);
    environment.add_filter("urlencode", urlencode);
    environment.add_filter("escape", escape);
    environment.add_filter("e", escape);
}

fn tojson(value: &Value, indent: Option<Value>, args: Kwargs) -> Result<Value, Error> {
    filters::tojson(defined(value)?, indent, args)
}

fn urlencode(value: &Value) -> Result<String, Error> {
    filters::urlencode(defined(value)?)
}

fn escape(state: &mut State<'_, '_>, value: &Value) -> Result<Value, Error> {
    filters::escape(state, defined(value)?)
}

fn defined(value: &Value) -> Result<&Value, Error> {
    match value.is_undefined() {
        true => Err(ErrorKind::UndefinedError.into()),
        false => Ok(value),
    }
}
