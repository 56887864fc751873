//! Where a passphrase or a key comes from: a file, standard input, or a terminal that does not show it.
//! Must not know what it opens.

use super::{INTERRUPTED, say};
use crate::error::CliError;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use tokio::sync::oneshot;

/// More than any passphrase may have.
const MOST_BYTES: u64 = 4096;

/// What is asked for.
pub struct Secret {
    name: &'static str,
    question: &'static str,
    /// What reads it from a file.
    flag: &'static str,
}

pub const NEW_PASSPHRASE: Secret =
    Secret { name: "passphrase", question: "Passphrase for the backup: ", flag: "--passphrase-file" };
pub const PASSPHRASE: Secret =
    Secret { name: "passphrase", question: "Passphrase of the backup: ", flag: "--passphrase-file" };
pub const UNLOCK_KEY: Secret = Secret { name: "unlock key", question: "Unlock key: ", flag: "--key-file" };

/// For something new: at a terminal it is asked for twice.
pub async fn new(secret: &Secret, file: Option<&Path>) -> Result<String, CliError> {
    if let Some(path) = file {
        return from_file(secret, path);
    }
    let first = ask(secret, secret.question).await?;
    match ask(secret, "The same once more: ").await? == first {
        true => Ok(first),
        false => Err(CliError::Failed(format!("the two {}s differ; nothing was done", secret.name))),
    }
}

/// For something that is there.
pub async fn given(secret: &Secret, file: Option<&Path>) -> Result<String, CliError> {
    match file {
        Some(path) => from_file(secret, path),
        None => ask(secret, secret.question).await,
    }
}

/// Without the line's end, which editors and `echo` add.
fn from_file(secret: &Secret, path: &Path) -> Result<String, CliError> {
    let mut text = String::new();
    let read = match path.as_os_str() == "-" {
        true => io::stdin().take(MOST_BYTES).read_to_string(&mut text),
        false => File::open(path).and_then(|f| f.take(MOST_BYTES).read_to_string(&mut text)),
    };
    let failed =
        |e| CliError::Failed(format!("cannot read the {} from {}: {e}", secret.name, path.display()));
    read.map_err(failed)?;
    Ok(line(&text).to_owned())
}

fn line(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

async fn ask(secret: &Secret, question: &str) -> Result<String, CliError> {
    let Secret { name, flag, .. } = secret;
    let no_terminal =
        |_| CliError::Usage(format!("there is no terminal to ask for the {name}: use {flag} FILE or -"));
    let failed = |error: io::Error| CliError::Failed(format!("cannot ask for the {name}: {error}"));
    let mut terminal = File::options().read(true).write(true).open("/dev/tty").map_err(no_terminal)?;
    let reader = terminal.try_clone().map_err(failed)?;
    let _quiet = Quiet::new(terminal.try_clone().map_err(failed)?).map_err(failed)?;
    terminal.write_all(question.as_bytes()).map_err(failed)?;
    let (send, receive) = oneshot::channel();
    // Not one of the runtime's threads: those are waited for, and this one may never hear anything.
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = BufReader::new(reader).take(MOST_BYTES).read_line(&mut text);
        let _ = send.send(read.map(|_| text));
    });
    let answer = tokio::select! {
        answer = receive => answer.unwrap_or_else(|_| Err(io::ErrorKind::UnexpectedEof.into())),
        _ = tokio::signal::ctrl_c() => {
            say("");
            return Err(CliError::Ended(INTERRUPTED));
        }
    };
    let _ = terminal.write_all(b"\n");
    answer.map(|text| line(&text).to_owned()).map_err(failed)
}

/// A terminal that shows nothing of what is typed until this is dropped.
struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    fn new(terminal: File) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut quiet = before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(&terminal, SetArg::TCSAFLUSH, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, SetArg::TCSAFLUSH, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_the_line_is_cut_off() {
        for (text, expected) in [("a b ", "a b "), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("", "")] {
            assert_eq!(line(text), expected, "{text:?}");
        }
    }
}
