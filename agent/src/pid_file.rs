//! The file that says which process an agent is.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    process,
};

use rustix::process::{Pid, test_kill_process};

/// Why there is no pid file.
#[derive(Debug, thiserror::Error)]
pub enum PidFileError {
    /// Another process that lives has the file.
    #[error(
        "pid_file {} names process {pid}, which is running: end it, or remove the file if that is another program",
        path.display()
    )]
    Alive {
        /// The file.
        path: PathBuf,
        /// The process.
        pid: i32,
    },
    /// It cannot be read or written.
    #[error("pid_file {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// A pid file; it is removed when this is dropped, unless another process has taken it over.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
}

/// A path whose file may be written.
#[derive(Debug)]
pub(crate) struct Claim {
    path: PathBuf,
}

impl PidFile {
    /// Makes sure that no living process has the file.
    pub(crate) fn claim(path: &Path) -> Result<Claim, PidFileError> {
        let path = path.to_owned();
        match fs::read_to_string(&path) {
            Ok(text) => match living(&text) {
                Some(pid) => Err(PidFileError::Alive { path, pid }),
                None => Ok(Claim { path }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Claim { path }),
            Err(source) => Err(PidFileError::Io { path, source }),
        }
    }
}

impl Claim {
    /// Writes the file, all at once: nobody reads half of it.
    pub(crate) fn write(self) -> Result<PidFile, PidFileError> {
        match write(&self.path) {
            Ok(()) => Ok(PidFile { path: self.path }),
            Err(source) => Err(PidFileError::Io {
                path: self.path,
                source,
            }),
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let ours = fs::read_to_string(&self.path).is_ok_and(|text| pid(&text) == Some(own()));
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the pid file");
        }
    }
}

/// The process that a pid file names.
pub(crate) fn read(path: &Path) -> io::Result<Option<Pid>> {
    let text = fs::read_to_string(path)?;
    Ok(pid(&text).and_then(Pid::from_raw))
}

fn write(path: &Path) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    // For everybody to read, as pid files are.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    let mut file = builder
        .permissions(open)
        .tempfile_in(dir.unwrap_or(Path::new(".")))?;
    writeln!(file, "{}", own())?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn own() -> i32 {
    // The kernel counts processes with an i32.
    i32::try_from(process::id()).unwrap_or(0)
}

fn pid(text: &str) -> Option<i32> {
    text.trim().parse().ok()
}

/// The living process, other than this one, that a pid file names. In a container a new process
/// often has the number that the former one left in the file.
fn living(text: &str) -> Option<i32> {
    let number = pid(text).filter(|number| *number > 0 && *number != own())?;
    let lives = match test_kill_process(Pid::from_raw(number)?) {
        Ok(()) => true,
        // It is there, and is not ours to signal.
        Err(error) => error == rustix::io::Errno::PERM,
    };
    lives.then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_comes_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let file = PidFile::claim(&path).unwrap().write().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", own()));
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_living_process_keeps_its_file_and_a_dead_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        // Process 1 lives as long as the system does.
        fs::write(&path, "1\n").unwrap();
        let error = PidFile::claim(&path).unwrap_err().to_string();
        assert!(
            error.contains("names process 1, which is running"),
            "{error}"
        );
        // No process has the largest number that there is.
        for stale in ["2147483647\n", "no number", "", "-1"] {
            fs::write(&path, stale).unwrap();
            assert!(PidFile::claim(&path).is_ok(), "{stale:?}");
        }
    }

    #[test]
    fn a_file_that_another_took_over_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let file = PidFile::claim(&path).unwrap().write().unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(file);
        assert!(path.exists());
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let path = Path::new("/nowhere/at/all/pid");
        let error = PidFile::claim(path).unwrap().write().unwrap_err();
        assert_eq!(error.to_string(), "pid_file /nowhere/at/all/pid");
    }
}
