use temporalio_client::Client;

/// The SDK's client as a service: one request type per call.
///
/// It is always ready, and its clones share one connection. See the [module](super) for an example.
#[derive(Clone, Debug)]
pub struct ClientService {
    client: Client,
}

impl ClientService {
    /// Serves requests with `client`. Its own interceptors run beneath.
    pub const fn new(client: Client) -> Self {
        Self { client }
    }

    /// The SDK's client.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The SDK's client.
    pub fn into_client(self) -> Client {
        self.client
    }
}

impl From<Client> for ClientService {
    fn from(client: Client) -> Self {
        Self::new(client)
    }
}
