use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

/// How much of the server's last words an error quotes.
const TAIL: u64 = 4096;

/// A running server, which ends with this value, and on unix also with this process, however that ends.
///
/// It holds a `std` child and no tokio one: a server shared by many tests outlives the runtime of the test that
/// started it.
#[derive(Debug)]
pub(super) struct ServerProcess {
    child: Child,
    /// A file and not a pipe, which somebody would have to keep reading. It has no name and so leaves nothing behind.
    stderr: File,
}

impl ServerProcess {
    pub(super) fn spawn(cli: &Path, args: &[OsString]) -> io::Result<Self> {
        let stderr = tempfile::tempfile()?;
        let child = supervised(cli)
            .args(args)
            .stdout(Stdio::null())
            .stderr(stderr.try_clone()?)
            .spawn()?;
        Ok(Self { child, stderr })
    }

    /// How the server ended, if it has.
    pub(super) fn exited(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Kills the server and waits until it is gone. Does nothing the second time.
    ///
    /// It blocks, but only for the few milliseconds the operating system takes.
    pub(super) fn kill(&mut self) {
        #[cfg(not(unix))]
        let _ = self.child.kill();
        // On unix, waiting closes the supervisor's standard input first, and that is its signal to kill.
        let _ = self.child.wait();
    }

    /// The end of what the server, which has stopped, wrote to its standard error.
    pub(super) fn last_words(&mut self) -> String {
        let mut tail = Vec::new();
        let read = self.stderr.seek(SeekFrom::End(0)).and_then(|length| {
            self.stderr
                .seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
            self.stderr.read_to_end(&mut tail)
        });
        match read {
            Ok(0) => "(nothing on standard error)".to_owned(),
            Ok(_) => String::from_utf8_lossy(&tail).trim().to_owned(),
            Err(error) => format!("(unreadable standard error: {error})"),
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Kills the server when its own standard input closes.
///
/// We hold the other end of that pipe, and the operating system closes it for us even when we are killed ourselves:
/// no destructor, signal handler or `unsafe` needed. `read` is a shell builtin, so the watcher is one process, which
/// goes away when the server ends first.
#[cfg(unix)]
const SUPERVISOR: &str = r#"
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
{ read -r line <&3; kill -9 "$server"; } 2>/dev/null &
watcher=$!
wait "$server"
status=$?
kill "$watcher" 2>/dev/null
wait
exit "$status"
"#;

#[cfg(unix)]
fn supervised(cli: &Path) -> Command {
    use std::os::unix::process::CommandExt;

    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", SUPERVISOR, "tower-temporal-dev-server"])
        .arg(cli)
        .stdin(Stdio::piped())
        // Ctrl-C in a terminal is for the tests: they may still need their server to clean up.
        .process_group(0);
    command
}

#[cfg(not(unix))]
fn supervised(cli: &Path) -> Command {
    let mut command = Command::new(cli);
    command.stdin(Stdio::null());
    command
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::{
        fs,
        thread::sleep,
        time::{Duration, Instant},
    };

    /// Runs a script in the place of a server.
    fn spawn(script: &str) -> ServerProcess {
        ServerProcess::spawn(Path::new("/bin/sh"), &["-c".into(), script.into()]).unwrap()
    }

    fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !holds() {
            assert!(Instant::now() < deadline, "{what}: not within 10 s");
            sleep(Duration::from_millis(10));
        }
    }

    /// Whether any process is left in the supervisor's process group: server, watcher or supervisor.
    fn group_lives(group: u32) -> bool {
        Command::new("/bin/kill")
            .args(["-0", "--", &format!("-{group}")])
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    }

    #[test]
    fn an_early_end_tells_status_and_last_words() {
        let mut server = spawn("echo 'port is taken' >&2; exit 3");
        eventually("exit", || server.exited().unwrap().is_some());
        assert_eq!(server.exited().unwrap().unwrap().code(), Some(3));
        assert_eq!(server.last_words(), "port is taken");
    }

    #[test]
    fn last_words_are_the_last() {
        let mut server = spawn("i=0; while [ $i -lt 2000 ]; do echo line $i >&2; i=$((i+1)); done");
        eventually("exit", || server.exited().unwrap().is_some());
        let words = server.last_words();
        assert!(words.ends_with("line 1999"), "{words}");
        assert!(words.len() <= TAIL as usize);
    }

    #[test]
    fn drop_leaves_no_process() {
        let server = spawn("exec sleep 60");
        let group = server.child.id();
        assert!(group_lives(group));
        drop(server);
        assert!(!group_lives(group));
    }

    #[test]
    fn a_server_that_is_killed_first_leaves_no_process() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let mut server = spawn(&format!(
            "echo $$ > '{0}.new'; mv '{0}.new' '{0}'; exec sleep 60",
            pid.display()
        ));
        eventually("pid", || pid.exists());
        let pid = fs::read_to_string(pid).unwrap();
        assert!(
            Command::new("/bin/kill")
                .args(["-9", pid.trim()])
                .status()
                .unwrap()
                .success()
        );

        eventually("exit", || server.exited().unwrap().is_some());
        assert_eq!(server.exited().unwrap().unwrap().code(), Some(128 + 9));
        eventually("empty group", || !group_lives(server.child.id()));
    }
}
