//! Holders of TLS client certificates.

use std::{fmt, sync::Arc};

use oneport_proto::{ClientCert, Denial, Grants, Head, Identity, Refusal};

use super::authorize::{Authorize, Decision, Never, Verdict};

/// A name that a certificate may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertName {
    /// The common name of its subject.
    CommonName(String),
    /// A DNS name among its alternative names, whatever the case of its letters. A wildcard in the
    /// certificate stands for itself alone.
    Dns(String),
    /// A SPIFFE id, `spiffe://trust-domain/path`, and all ids below it.
    Spiffe(String),
}

impl fmt::Display for CertName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (CertName::CommonName(name) | CertName::Dns(name) | CertName::Spiffe(name)) = self;
        f.write_str(name)
    }
}

/// Decides by the client certificate that the TLS handshake verified. The first rule that the
/// certificate fits holds. A caller without TLS or without a certificate is refused, and so is one
/// whom no rule is about.
///
/// By the SPIFFE standard a certificate has exactly one URI, so one with several is ambiguous: no
/// rule about SPIFFE ids fits it.
#[derive(Clone, Debug, Default)]
pub struct ClientCerts {
    rules: Vec<(CertName, Identity)>,
}

impl ClientCerts {
    /// Lets in holders of certificates with this name, who are granted `grants`. The name is their
    /// identity.
    #[must_use]
    pub fn allow(mut self, name: CertName, grants: Arc<dyn Grants>) -> ClientCerts {
        let identity = Identity::with_grants(name.to_string(), grants);
        self.rules.push((name, identity));
        self
    }

    fn verdict(&self, cert: Option<&ClientCert>) -> Verdict {
        let fits = |cert| self.rules.iter().find(|(name, _)| name.fits(cert));
        match cert.and_then(fits) {
            Some((_, identity)) => Ok(Some(identity.clone())),
            None => Err(Refusal::Denied(Denial::Plain)),
        }
    }
}

impl Authorize for ClientCerts {
    type Future = Never;

    fn authorize(&self, head: &Head) -> Decision<Never> {
        let tls = head.session.tls.as_ref();
        Decision::Now(self.verdict(tls.and_then(|tls| tls.client.as_ref())))
    }
}

impl CertName {
    fn fits(&self, cert: &ClientCert) -> bool {
        match self {
            CertName::CommonName(name) => !name.is_empty() && cert.common_name == *name,
            CertName::Dns(name) => cert
                .dns_names
                .iter()
                .any(|dns| dns.eq_ignore_ascii_case(name)),
            CertName::Spiffe(id) => match cert.uris.as_slice() {
                [uri] => is_spiffe(uri) && is_below(id, uri),
                _ => false,
            },
        }
    }
}

/// Whether `uri` is `id` or one of the ids below it.
fn is_below(id: &str, uri: &str) -> bool {
    match uri.strip_prefix(id.trim_end_matches('/')) {
        Some(rest) => rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

/// Whether this is a SPIFFE id by its standard: a trust domain and a path without empty or relative
/// segments, no port, no query, no escapes.
fn is_spiffe(uri: &str) -> bool {
    let Some(id) = uri.strip_prefix("spiffe://") else {
        return false;
    };
    let mut segments = id.split('/');
    let domain = segments.next().unwrap_or_default();
    let in_domain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
    let in_path = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    !domain.is_empty()
        && domain.bytes().all(in_domain)
        && segments
            .all(|segment| !matches!(segment, "" | "." | "..") && segment.bytes().all(in_path))
}

#[cfg(test)]
mod tests {
    use oneport_proto::Everything;

    use super::*;

    const WEB: &str = "spiffe://dc1.consul/ns/default/svc/web";

    fn who(name: CertName, cert: &ClientCert) -> Option<String> {
        let certs = ClientCerts::default().allow(name, Arc::new(Everything));
        let verdict = certs.verdict(Some(cert)).ok()?;
        verdict.map(|identity| identity.name().to_owned())
    }

    fn with_uris(uris: &[&str]) -> ClientCert {
        ClientCert {
            uris: uris.iter().map(|&uri| uri.to_owned()).collect(),
            ..ClientCert::default()
        }
    }

    #[test]
    fn a_certificate_is_known_by_its_names() {
        let cert = ClientCert {
            common_name: "web".into(),
            dns_names: vec!["Server.dc1.consul".into()],
            uris: vec![WEB.into()],
        };
        for name in [
            CertName::CommonName("web".into()),
            CertName::Dns("server.dc1.consul".into()),
            CertName::Spiffe(WEB.into()),
            CertName::Spiffe("spiffe://dc1.consul".into()),
            CertName::Spiffe("spiffe://dc1.consul/ns/default/".into()),
        ] {
            assert_eq!(who(name.clone(), &cert), Some(name.to_string()));
        }
        for name in [
            CertName::CommonName(String::new()),
            CertName::CommonName("Web".into()),
            CertName::Dns("dc1.consul".into()),
            CertName::Spiffe("spiffe://dc1.consul/ns/def".into()),
            CertName::Spiffe("spiffe://dc1.consu".into()),
        ] {
            assert_eq!(who(name, &cert), None);
        }
        assert_eq!(
            who(CertName::CommonName(String::new()), &ClientCert::default()),
            None
        );
    }

    #[test]
    fn an_ambiguous_or_malformed_id_is_nobodys() {
        let all = || CertName::Spiffe("spiffe://dc1.consul".into());
        assert!(who(all(), &with_uris(&[WEB])).is_some());
        for uris in [
            [WEB, WEB].as_slice(),
            &[],
            &["spiffe://dc1.consul/../x"],
            &["spiffe://dc1.consul//x"],
            &["spiffe://dc1.consul/x/"],
            &["spiffe://dc1.consul/x?y"],
            &["spiffe://dc1.consul/%2e"],
            &["https://dc1.consul/x"],
        ] {
            assert_eq!(who(all(), &with_uris(uris)), None, "{uris:?}");
        }
    }

    #[test]
    fn no_certificate_is_a_no() {
        let certs =
            ClientCerts::default().allow(CertName::CommonName("a".into()), Arc::new(Everything));
        assert!(certs.verdict(None).is_err());
    }
}
