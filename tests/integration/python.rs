//! Workers of the Python SDK, for what crosses languages.

use std::{
    env,
    ffi::OsString,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Mutex,
    time::Duration,
};
use tower_temporal_test::DevServer;

/// How long such a worker may take to do something before it is said to hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the scripts import, and what pip has to get for that.
const MODULES: &str = "temporalio, nexusrpc, opentelemetry.sdk";
const PACKAGE: &str = "temporalio[opentelemetry]==1.35.*";

/// A worker of the Python SDK on the shared server, which ends when this is dropped.
pub(crate) struct PythonWorker {
    process: Child,
    /// None while somebody reads it.
    output: Option<BufReader<ChildStdout>>,
}

impl PythonWorker {
    /// Starts a script of this directory with a task queue, or says that there is no Python to run it.
    ///
    /// The script prints `ready` once it polls, and ends when its standard input does.
    pub(crate) async fn start(script: &str, task_queue: &str) -> Option<Self> {
        let python = tokio::task::spawn_blocking(python)
            .await
            .expect("nothing panics there");
        let Some(python) = python else {
            let text = format!("there is no Python with {MODULES}, and pip can't get {PACKAGE}");
            assert_ne!(
                env::var("CI").as_deref(),
                Ok("true"),
                "other languages must be tested here, but {text}"
            );
            eprintln!("SKIPPED: {text}");
            return None;
        };
        let server = DevServer::shared().await;
        // The Python SDK wants no scheme.
        let address = server.address();
        let address = address.split_once("://").map_or(address, |(_, rest)| rest);
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration");
        let mut process = Command::new(python)
            .arg(directory.join(script))
            .args([address, server.namespace(), task_queue])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python runs");
        let output = process.stdout.take().expect("it is piped");
        let mut this = Self {
            process,
            output: Some(BufReader::new(output)),
        };
        let line = this
            .read(|output| {
                let mut line = String::new();
                output.read_line(&mut line).map(|_| line)
            })
            .await;
        assert_eq!(line.trim(), "ready", "the Python worker did not start");
        Some(this)
    }

    /// Has the worker end, as it does when the process that started it dies, and gives what it printed since it was ready.
    pub(crate) async fn end(mut self) -> String {
        drop(self.process.stdin.take());
        let text = self
            .read(|output| {
                let mut text = String::new();
                output.read_to_string(&mut text).map(|_| text)
            })
            .await;
        // Its output has ended, so it has.
        let status = self.process.wait().expect("it can be waited for");
        assert!(status.success(), "the Python worker failed: {status}");
        text
    }

    async fn read(
        &mut self,
        read: impl FnOnce(&mut BufReader<ChildStdout>) -> std::io::Result<String> + Send + 'static,
    ) -> String {
        let mut output = self.output.take().expect("nobody else reads");
        let reading = tokio::task::spawn_blocking(move || {
            let text = read(&mut output);
            (output, text)
        });
        let (output, text) = tokio::time::timeout(PATIENCE, reading)
            .await
            .expect("the Python worker should have said something by now")
            .expect("nothing panics there");
        self.output = Some(output);
        text.expect("its output can be read")
    }
}

impl Drop for PythonWorker {
    fn drop(&mut self) {
        // It would end by itself when this process does; a test that is over need not keep it until then.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A Python that has what the workers need: the system's, or one of a virtual environment under `target/`.
fn python() -> Option<OsString> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().ok()?;
    let import = format!("import {MODULES}");
    let suits = |python: &OsString| succeeds(Command::new(python).args(["-c", &import]));
    let system = OsString::from("python3");
    if suits(&system) {
        return Some(system);
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python-venv");
    let own = directory.join("bin/python").into_os_string();
    if !suits(&own) {
        succeeds(Command::new(&system).args(["-m", "venv"]).arg(&directory));
        succeeds(Command::new(&own).args(["-m", "pip", "install", "--quiet", PACKAGE]));
    }
    suits(&own).then_some(own)
}

fn succeeds(command: &mut Command) -> bool {
    let output = command.stdin(Stdio::null()).output();
    output.is_ok_and(|output| output.status.success())
}
