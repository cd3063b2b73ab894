//! What the kernel knows about a process: its processor time and its memory. Linux only.

use std::{
    fs, io,
    ops::Sub,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::cli::exit::{Exit, Failure};

/// Types of entries of the auxiliary vector (getauxval(3)).
const AT_PAGESZ: usize = 6;
const AT_CLKTCK: usize = 17;

/// A process that is looked at.
#[derive(Clone, Debug)]
pub(super) struct Process {
    dir: PathBuf,
    /// Ticks of processor time in a second, and bytes in a page.
    ticks: u64,
    page: u64,
}

/// Processor time of all threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cpu {
    pub(super) user: Duration,
    pub(super) system: Duration,
}

impl Sub for Cpu {
    type Output = Cpu;

    fn sub(self, before: Cpu) -> Cpu {
        Cpu {
            user: self.user.saturating_sub(before.user),
            system: self.system.saturating_sub(before.system),
        }
    }
}

impl Cpu {
    pub(super) fn total(self) -> Duration {
        self.user + self.system
    }
}

impl Process {
    /// The process of this id.
    pub(super) fn of(pid: u32) -> Result<Process, Failure> {
        let process = Process::at(&format!("/proc/{pid}"));
        let looked = process.and_then(|process| process.cpu().map(|_| process));
        looked.map_err(|error| {
            let message = format!("--server-pid is {pid}, but it cannot be looked at: {error}");
            Failure::new(Exit::Usage, message)
        })
    }

    /// This process, where the kernel tells.
    pub(super) fn own() -> Option<Process> {
        Process::at("/proc/self").ok()
    }

    fn at(dir: &str) -> io::Result<Process> {
        let auxv = fs::read("/proc/self/auxv")?;
        let find = |kind| auxiliary(&auxv, kind).ok_or(io::ErrorKind::InvalidData);
        Ok(Process {
            dir: dir.into(),
            ticks: find(AT_CLKTCK)?,
            page: find(AT_PAGESZ)?,
        })
    }

    /// How long it has run.
    pub(super) fn cpu(&self) -> io::Result<Cpu> {
        let stat = read(&self.dir, "stat")?;
        let (user, system) = ticks(&stat).ok_or(io::ErrorKind::InvalidData)?;
        let span = |ticks| Duration::from_nanos(ticks * (1_000_000_000 / self.ticks.max(1)));
        Ok(Cpu {
            user: span(user),
            system: span(system),
        })
    }

    /// Its resident memory, in bytes.
    pub(super) fn resident(&self) -> io::Result<u64> {
        // The sum over all mappings is exact; the counter of the whole lags behind.
        let exact = read(&self.dir, "smaps_rollup").ok();
        if let Some(bytes) = exact.and_then(|text| rollup(&text)) {
            return Ok(bytes);
        }
        let pages = read(&self.dir, "statm")?;
        let pages: Option<u64> = pages.split(' ').nth(1).and_then(|n| n.parse().ok());
        Ok(pages.ok_or(io::ErrorKind::InvalidData)? * self.page)
    }
}

fn read(dir: &Path, file: &str) -> io::Result<String> {
    fs::read_to_string(dir.join(file))
}

/// An entry of the auxiliary vector: pairs of words of the machine's size.
fn auxiliary(vector: &[u8], kind: usize) -> Option<u64> {
    const WORD: usize = size_of::<usize>();
    let words = vector.chunks_exact(WORD).map(|word| {
        let mut bytes = [0; WORD];
        bytes.copy_from_slice(word);
        usize::from_ne_bytes(bytes)
    });
    let words: Vec<usize> = words.collect();
    let pair = words.chunks_exact(2).find(|pair| pair[0] == kind)?;
    u64::try_from(pair[1]).ok()
}

/// User and system time in proc(5)'s stat: the 14th and 15th fields. The second is the program's
/// name in parentheses, and may hold anything.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let mut next = || fields.next()?.parse().ok();
    Some((next()?, next()?))
}

fn rollup(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 22 33 44\n";
        assert_eq!(ticks(stat), Some((11, 22)));
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[test]
    fn the_rollup_is_in_kilobytes() {
        let text = "5500-7ff [rollup]\nRss:                2048 kB\nPss: 1 kB\n";
        assert_eq!(rollup(text), Some(2 * 1024 * 1024));
        assert_eq!(rollup(""), None);
    }

    #[test]
    fn the_auxiliary_vector_is_pairs() {
        let words: [usize; 6] = [6, 4096, 17, 100, 0, 0];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert_eq!(auxiliary(&bytes, AT_CLKTCK), Some(100));
        assert_eq!(auxiliary(&bytes, AT_PAGESZ), Some(4096));
        assert_eq!(auxiliary(&bytes, 99), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_can_be_looked_at() {
        let own = Process::own().unwrap();
        assert!(own.cpu().is_ok());
        assert!(own.resident().unwrap() > 100_000);
        let error = Process::of(u32::MAX).unwrap_err();
        assert!(error.message().starts_with("--server-pid is 4294967295"));
    }
}
