//! A program that runs for the time of a test, its output kept in a file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::until_some;

/// Where a program lies; panics with what to do when it is missing.
#[track_caller]
pub fn tool(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/bin", "/usr/local/bin", "/usr/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| panic!("the program {name} is missing: run tests/run, which installs it"))
}

/// A running child. It is killed when dropped.
pub struct Process {
    name: String,
    child: Child,
    output: PathBuf,
}

impl Process {
    /// Starts it with standard output and error going to `output`.
    #[track_caller]
    pub fn start(name: &str, command: &mut Command, output: &Path) -> Self {
        let file = File::options().create(true).append(true).open(output).expect("the output file can be opened");
        let error = file.try_clone().expect("a file can be cloned");
        let child = command.stdin(Stdio::null()).stdout(file).stderr(error).spawn();
        let child = child.unwrap_or_else(|problem| panic!("{name} does not start: {problem}"));
        Self { name: name.to_owned(), child, output: output.to_owned() }
    }

    /// Everything it has printed.
    pub fn printed(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// Its last lines.
    pub fn last_lines(&self, count: usize) -> String {
        let text = self.printed();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }

    /// Its exit status, when it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked for its state")
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        until_some(&what, limit, || self.ended())
    }

    /// Sends a signal.
    #[allow(unsafe_code)]
    pub fn signal(&self, signal: libc::c_int) {
        // SAFETY: plain system call; the child has not been waited for, so its id cannot be another's.
        unsafe { libc::kill(self.child.id() as libc::pid_t, signal) };
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let running = self.ended().is_none();
        self.kill();
        if std::thread::panicking() {
            let state = if running { "was running" } else { "had ended" };
            println!("--- {} ({state}), last lines ---\n{}", self.name, self.last_lines(60));
        }
    }
}
