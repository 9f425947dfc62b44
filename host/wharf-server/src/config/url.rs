//! The URLs that channels are configured with. They can hold credentials, so no problem shows one.

use super::Config;

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

/// Why a URL cannot be posted to.
fn problem(url: &str) -> Option<&'static str> {
    let Some((scheme, _)) = url.split_once("://") else {
        return Some("it is not absolute: write http://… or https://…");
    };
    if !["http", "https"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
    {
        return Some("its scheme is neither http nor https");
    }
    let Ok(uri) = url.parse::<http::Uri>() else {
        return Some(
            "it is no URL: it lacks a host, or has characters that must be written as %XX",
        );
    };
    let Some(authority) = uri.authority() else {
        return Some("it has no host");
    };
    if authority.as_str().contains('@') {
        return Some("it carries a user name: send credentials in a header");
    }
    let host = authority.host();
    if host.trim_end_matches('.').is_empty() {
        return Some("it has no host");
    }
    let port = authority.as_str().strip_prefix(host)?.strip_prefix(':')?;
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse::<u16>().is_ok_and(|port| port > 0);
    (!is_port).then_some("its port is none from 1 to 65535")
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
