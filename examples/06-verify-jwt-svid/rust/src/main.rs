//! Reads tokens, one a line, and says of each whose it is, or why it is refused. With jsonwebtoken.
//!
//! ISSUER, AUDIENCE, TRUST_DOMAIN: whose tokens, made for whom, about workloads of which trust domain
//! SSL_CERT_FILE: PEM that vouches for the issuer's certificate, where no public authority does

use std::env;
use std::error::Error;
use std::io;
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const MAX_AGE: Duration = Duration::from_secs(300);
const COOL_DOWN: Duration = Duration::from_secs(30);

/// The keys of an issuer: kept for MAX_AGE. A new `kid` has them read again, once in COOL_DOWN.
struct Keys {
    http: Agent,
    jwks_uri: String,
    keys: JwkSet,
    read: Instant,
}

impl Keys {
    /// Once, when the service starts: discovery says where the keys are.
    fn discover(issuer: &str) -> Result<Self> {
        let system = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .build();
        let timeout = Some(Duration::from_secs(10));
        let http: Agent = Agent::config_builder()
            .tls_config(system)
            .timeout_global(timeout)
            .build()
            .into();
        let discovery: Value = get(&http, &format!("{issuer}/.well-known/openid-configuration"))?;
        if discovery["issuer"] != issuer {
            return Err("the discovery document is of another issuer".into());
        }
        let jwks_uri = discovery["jwks_uri"]
            .as_str()
            .ok_or("no jwks_uri")?
            .to_owned();
        let keys = get(&http, &jwks_uri)?;
        Ok(Self {
            http,
            jwks_uri,
            keys,
            read: Instant::now(),
        })
    }

    /// The key, and the only algorithm that goes with it: what the token says never chooses.
    fn find(&mut self, kid: &str) -> Result<(DecodingKey, Algorithm)> {
        let age = self.read.elapsed();
        if age > MAX_AGE || (age > COOL_DOWN && self.keys.find(kid).is_none()) {
            self.read = Instant::now(); // also where it fails
            match get(&self.http, &self.jwks_uri) {
                Ok(keys) => self.keys = keys,
                // While the issuer is away, the keys that are there serve.
                Err(error) if self.keys.find(kid).is_none() => return Err(error),
                Err(_) => {}
            }
        }
        let key = self.keys.find(kid).ok_or("no key of this kid")?;
        let algorithm = match key.common.key_algorithm.map(TryInto::try_into) {
            Some(Ok(algorithm @ (Algorithm::ES256 | Algorithm::RS256))) => algorithm,
            _ => return Err("a key for another algorithm".into()),
        };
        Ok((DecodingKey::from_jwk(key)?, algorithm))
    }
}

fn get<T: serde::de::DeserializeOwned>(http: &Agent, url: &str) -> Result<T> {
    Ok(http.get(url).call()?.body_mut().read_json()?)
}

struct Wanted {
    issuer: String,
    audience: String,
    trust_domain: String,
}

fn verify(token: &str, keys: &mut Keys, wanted: &Wanted) -> Result<Value> {
    let kid = decode_header(token)?.kid.ok_or("no kid")?;
    let (key, algorithm) = keys.find(&kid)?;
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[&wanted.issuer]);
    validation.set_audience(&[&wanted.audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_nbf = true;
    validation.leeway = 0;
    let claims = decode::<Value>(token, &key, &validation)?.claims;
    let subject = claims["sub"].as_str().unwrap_or_default();
    if !subject.starts_with(&format!("spiffe://{}/", wanted.trust_domain)) {
        return Err("no workload of this trust domain".into());
    }
    Ok(claims)
}

fn main() -> Result<()> {
    let wanted = Wanted {
        issuer: env::var("ISSUER")?,
        audience: env::var("AUDIENCE")?,
        trust_domain: env::var("TRUST_DOMAIN")?,
    };
    let mut keys = Keys::discover(&wanted.issuer)?;
    for token in io::stdin().lines() {
        match verify(&token?, &mut keys, &wanted) {
            Ok(claims) => println!("accepted {claims}"),
            Err(error) => println!("refused {error}"),
        }
    }
    Ok(())
}
