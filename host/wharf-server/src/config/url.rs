//! The URLs that channels are configured with. They can hold credentials, so no problem shows one.

use super::Config;
use crate::egress::Origin;

/// What is wrong with the `config.url` of the channels that have one, one sentence each.
#[must_use]
pub fn check_urls(config: &Config) -> Vec<String> {
    config
        .channels
        .iter()
        .filter_map(|channel| {
            let (_, url) = channel.send.settings.iter().find(|(key, _)| key == "url")?;
            let why = problem(url)?;
            Some(format!(
                "channel {:?}: config.url: {why}",
                channel.name.as_str()
            ))
        })
        .collect()
}

/// Why a URL cannot be posted to: what the exchange itself would say, or why it does not get that far.
fn problem(url: &str) -> Option<String> {
    if !url.contains("://") {
        return Some("it is not absolute: write http://… or https://…".to_owned());
    }
    match url.parse() {
        Ok(uri) => Origin::of(&uri).err(),
        Err(_) => Some(
            "it is no URL: it lacks a host, or has characters that must be written as %XX"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::problem;

    #[test]
    fn a_url_is_absolute_and_names_a_host_but_no_user() {
        for good in [
            "http://a.example",
            "https://a.example/hook?key=1",
            "HTTPS://A.example:443/",
            "http://127.0.0.1:65535/",
            "http://[::1]/",
            "http://[::1]:8080/",
        ] {
            assert_eq!(problem(good), None, "{good}");
        }
        for (bad, why) in [
            ("", "absolute"),
            ("nonsense", "absolute"),
            ("/hook", "absolute"),
            ("a.example:80", "absolute"),
            ("ftp://a.example", "scheme"),
            ("http://", "host"),
            ("http:///hook", "host"),
            ("http://:80/", "host"),
            ("http://a b/", "%XX"),
            ("http://user:s3cret@a.example/", "user name"),
            ("http://a.example:0/", "port"),
            ("http://a.example:65536/", "port"),
            ("http://a.example:/", "port"),
            ("http://[::1]:70000/", "port"),
        ] {
            let found = problem(bad).unwrap_or_else(|| panic!("{bad} is fine"));
            assert!(found.contains(why), "{bad}: {found}");
        }
    }
}
