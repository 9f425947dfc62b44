//! What a plugin's HTTP requests may ask for: `allow-http` and `allow-http-methods` of its table.
//!
//! Where a connection may go is another question, judged address by address: see [`egress`](crate::egress).

use crate::egress::UrlPattern;

/// The grant of one plugin. The default grants nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpGrant {
    /// The URLs that it may ask for.
    pub urls: Vec<UrlPattern>,
    /// The methods that it may use, in upper case. None: all of them.
    pub methods: Option<Vec<String>>,
}

impl HttpGrant {
    /// Whether a URL's parts are granted. `port` is the URL's explicit one.
    #[must_use]
    pub fn has_url(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        self.urls.iter().any(|url| url.matches(scheme, host, port))
    }

    /// Whether a method is granted. Methods are told apart by case.
    #[must_use]
    pub fn has_method(&self, method: &str) -> bool {
        self.methods
            .as_ref()
            .is_none_or(|methods| methods.iter().any(|granted| granted == method))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_is_not_granted() {
        let nothing = HttpGrant::default();
        assert!(!nothing.has_url("https", "a.example", None));
        assert!(nothing.has_method("DELETE"));

        let some = HttpGrant {
            urls: ["https://a.example", "http://*:8080"]
                .map(|text| UrlPattern::parse(text).unwrap())
                .to_vec(),
            methods: Some(vec!["GET".to_owned(), "POST".to_owned()]),
        };
        assert!(some.has_url("https", "a.example", None));
        assert!(some.has_url("http", "b.example", Some(8080)));
        assert!(!some.has_url("http", "a.example", None));
        assert!(some.has_method("POST"));
        assert!(!some.has_method("post") && !some.has_method("DELETE"));
    }
}
