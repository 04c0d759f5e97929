//! TLS is the endpoint's: what stands in front of the shared server ends it.

use super::{
    client_of, options,
    transports::{forward, works},
    without_retries,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, Issuer, KeyPair, SigningKey,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tower_temporal::rpc;

/// Issues certificates, and is believed by whoever is given its own.
type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn issue(name: &str, issuer: &Issuer<'_, impl SigningKey>) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    (params.signed_by(&key, issuer).unwrap(), key)
}

/// Ends TLS in front of the shared server. With `clients`, it asks for a certificate of that authority.
async fn terminator(server: &Authority, clients: Option<&Authority>) -> Endpoint {
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = match clients {
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.der().clone()).unwrap();
            let roots = Arc::new(roots);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            config.with_client_cert_verifier(verifier.build().unwrap())
        }
        None => config.with_no_client_auth(),
    };
    let (certificate, key) = issue("localhost", server);
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = config
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that is turned away is what some tests are about.
                if let Ok(connection) = acceptor.accept(connection).await {
                    forward(connection).await;
                }
            });
        }
    });
    Endpoint::from_shared(format!("https://localhost:{port}")).unwrap()
}

/// What a client needs that believes this authority.
fn believing(authority: &Authority) -> ClientTlsConfig {
    ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem()))
}

#[tokio::test]
async fn tls() {
    let server = authority();
    let endpoint = terminator(&server, None).await;
    let believes = endpoint.clone().tls_config(believing(&server)).unwrap();
    let channel = believes.connect().await.unwrap();
    let connection = rpc::over(channel).connect(options()).await.unwrap();
    works(&client_of(connection).await).await;

    let another = authority();
    let believes_another = endpoint.tls_config(believing(&another)).unwrap();
    let connected = rpc::over(believes_another.connect_lazy())
        .connect(without_retries())
        .await;
    let error = connected.expect_err("it does not know the server");
    let text = error.to_string();
    assert!(text.contains("invalid peer certificate"), "{text}");
}

#[tokio::test]
async fn mutual_tls() {
    let (server, clients) = (authority(), authority());
    let endpoint = terminator(&server, Some(&clients)).await;
    let (certificate, key) = issue("client", &clients);
    let identity = Identity::from_pem(certificate.pem(), key.serialize_pem());
    let known = endpoint
        .clone()
        .tls_config(believing(&server).identity(identity))
        .unwrap();
    let channel = known.connect().await.unwrap();
    let connection = rpc::over(channel).connect(options()).await.unwrap();
    works(&client_of(connection).await).await;

    let unknown = endpoint.tls_config(believing(&server)).unwrap();
    let connected = rpc::over(unknown.connect_lazy())
        .connect(without_retries())
        .await;
    let error = connected.expect_err("it has no certificate");
    let text = error.to_string();
    assert!(text.contains("CertificateRequired"), "{text}");
}
