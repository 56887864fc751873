//! `backup`: the whole cluster in one sealed file, or on standard output.

use crate::args::swarm::BackupArgs;
use crate::client::{Client, DEADLINE, Target, call, within};
use crate::error::CliError;
use crate::verbs::INTERRUPTED;
use crate::verbs::new_file::NewFile;
use crate::verbs::secret::{self, NEW_PASSPHRASE};
use crate::verbs::{print, say};
use std::io::{IsTerminal, Write};
use swarm_proto::v1::{self, backup_part::Part};
use tonic::Streaming;

pub async fn run(target: &Target, args: BackupArgs) -> Result<(), CliError> {
    // Whoever breaks it off must not find half a file: what was begun is dropped, and removes it.
    tokio::select! {
        done = taken(target, args) => done,
        _ = tokio::signal::ctrl_c() => Err(CliError::Ended(INTERRUPTED)),
    }
}

async fn taken(target: &Target, args: BackupArgs) -> Result<(), CliError> {
    Output::check(&args)?;
    let passphrase = secret::new(&NEW_PASSPHRASE, args.passphrase.passphrase_file.as_deref()).await?;
    let mut out = Output::open(&args)?;
    let client = Client::connect(target).await?;
    let mut control = client.control();
    let mut parts = call(control.backup(v1::BackupRequest { passphrase })).await?;
    let summary = receive(&mut parts, &mut out).await?;
    out.finish(&summary)
}

/// Everything, or an error: a stream that ended well was whole.
async fn receive(
    parts: &mut Streaming<v1::BackupPart>,
    out: &mut Output,
) -> Result<v1::BackupSummary, CliError> {
    let (mut summary, mut written) = (v1::BackupSummary::default(), 0);
    while let Some(part) = within(DEADLINE, parts.message()).await? {
        match part.part {
            Some(Part::Summary(said)) => summary = said,
            Some(Part::Piece(piece)) => {
                out.write(&piece)?;
                written += piece.len() as u64;
            }
            None => {}
        }
    }
    if written != summary.file_bytes || written == 0 {
        return Err(CliError::Failed(format!(
            "the backup is not whole: {written} of {} bytes came; nothing was kept",
            summary.file_bytes
        )));
    }
    Ok(summary)
}

enum Output {
    Stdout,
    File(NewFile),
}

impl Output {
    /// Before a passphrase is asked for.
    fn check(args: &BackupArgs) -> Result<(), CliError> {
        match args.file.as_os_str() == "-" {
            true if std::io::stdout().is_terminal() => {
                Err(CliError::Usage("a backup is no text: send it to a file or a pipe".into()))
            }
            true => Ok(()),
            false => NewFile::create(&args.file, args.force).map(drop),
        }
    }

    fn open(args: &BackupArgs) -> Result<Self, CliError> {
        match args.file.as_os_str() == "-" {
            true => Ok(Self::Stdout),
            false => NewFile::create(&args.file, args.force).map(Self::File),
        }
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), CliError> {
        match self {
            Self::File(file) => file.write(piece),
            Self::Stdout => std::io::stdout()
                .write_all(piece)
                .map_err(|e| CliError::Failed(format!("cannot write the backup: {e}"))),
        }
    }

    fn finish(self, summary: &v1::BackupSummary) -> Result<(), CliError> {
        let of = format!(
            "Backup of swarm {} at revision {}: {}, {} bytes",
            summary.cluster,
            summary.revision,
            super::contents(summary),
            summary.file_bytes
        );
        match self {
            Self::File(file) => {
                let place = file.finish()?;
                print(&format!("{of}, in {}.\n", place.display()))
            }
            Self::Stdout => {
                let flushed = std::io::stdout().flush();
                flushed.map_err(|e| CliError::Failed(format!("cannot write the backup: {e}")))?;
                say(&format!("{of}."));
                Ok(())
            }
        }
    }
}
