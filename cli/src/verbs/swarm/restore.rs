//! `restore`: this host becomes the only manager of the cluster in a backup.

use super::{contents, join_command};
use crate::args::swarm::RestoreArgs;
use crate::client::{Client, Target, within};
use crate::error::CliError;
use crate::render::time::rfc3339;
use crate::verbs::secret::{self, PASSPHRASE};
use crate::verbs::{print, say};
use std::fs::File;
use std::io::Read;
use std::time::Duration;
use swarm_proto::v1::{self, restore_part::Part};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// The largest state there may be is read, checked, written and started from.
const DEADLINE: Duration = Duration::from_secs(180);
/// One more than any backup has; the daemon says that it is too long.
const MOST_BYTES: u64 = (1 << 30) + (2 << 20);
const PIECE: usize = 1 << 20;
/// Pieces read ahead of who takes them.
const AHEAD: usize = 2;

pub async fn run(target: &Target, args: RestoreArgs) -> Result<(), CliError> {
    let file = open(&args)?;
    let passphrase = secret::given(&PASSPHRASE, args.passphrase.passphrase_file.as_deref()).await?;
    let begin = v1::RestoreBegin {
        passphrase,
        advertise_addr: args.addresses.advertise_addr.unwrap_or_default(),
        listen_addr: args.addresses.listen_addr.unwrap_or_default(),
        data_path_addr: args.addresses.data_path_addr.unwrap_or_default(),
        availability: v1::Availability::from(args.addresses.availability).into(),
        labels: args.addresses.labels.into_iter().collect(),
    };
    let client = Client::connect(target).await?;
    let (parts, reading) = parts(begin, file);
    let answer = within(DEADLINE, client.local()?.restore(parts)).await;
    // What could not be read is no file that was cut short.
    if let Ok(error) = reading.try_recv() {
        return Err(CliError::Failed(format!(
            "cannot read {}: {error}; nothing was changed",
            args.file.display()
        )));
    }
    let answer = answer?.into_inner();
    print(&restored(&answer))?;
    if answer.autolock {
        say(
            "This swarm's managers are locked, as they were when it was saved: after a restart this one needs the unlock key, \
             which `swarmctl unlock-key` shows while it runs.",
        );
    }
    if !answer.still_there.is_empty() {
        say(&format!(
            "warning: managers of this swarm still answer: {}. There are two swarms of one identity now, and each decides \
             for itself: stop swarmd on those hosts, or run 'swarmctl leave --force' there; or, to give this one up, \
             run 'swarmctl leave --force' here",
            answer.still_there.join(", ")
        ));
    }
    Ok(())
}

fn open(args: &RestoreArgs) -> Result<Box<dyn Read + Send>, CliError> {
    let stdin = args.file.as_os_str() == "-";
    if stdin && args.passphrase.passphrase_file.as_ref().is_some_and(|file| file.as_os_str() == "-") {
        return Err(CliError::Usage(
            "standard input can be the backup or the passphrase, not both: give one of them as a file".into(),
        ));
    }
    if stdin {
        // As a whole: it may come slowly, and the daemon does not wait for long.
        let mut bytes = Vec::new();
        let read = std::io::stdin().take(MOST_BYTES).read_to_end(&mut bytes);
        read.map_err(|e| CliError::Failed(format!("cannot read standard input: {e}")))?;
        return Ok(Box::new(std::io::Cursor::new(bytes)));
    }
    match File::open(&args.file) {
        Ok(file) => Ok(Box::new(file)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Err(CliError::NotFound(format!("{} not found", args.file.display())))
        }
        Err(e) => Err(CliError::Failed(format!("cannot read {}: {e}", args.file.display()))),
    }
}

/// Piece by piece, as they are taken: the daemon sees by the first that a file is no backup, or how long it is. The
/// receiver hears what went wrong with the reading.
fn parts(
    begin: v1::RestoreBegin,
    file: impl Read + Send + 'static,
) -> (ReceiverStream<v1::RestorePart>, std::sync::mpsc::Receiver<std::io::Error>) {
    let (send, parts) = mpsc::channel(AHEAD);
    let (fail, failed) = std::sync::mpsc::channel();
    // Not one of the runtime's threads: those are waited for, and this one may never hear anything.
    std::thread::spawn(move || {
        let mut file = file.take(MOST_BYTES);
        let mut part = Part::Begin(begin);
        while send.blocking_send(v1::RestorePart { part: Some(part) }).is_ok() {
            let mut piece = Vec::with_capacity(PIECE);
            match Read::by_ref(&mut file).take(PIECE as u64).read_to_end(&mut piece) {
                Ok(0) => return,
                Ok(_) => part = Part::Piece(piece),
                Err(error) => {
                    let _ = fail.send(error);
                    return;
                }
            }
        }
    });
    (ReceiverStream::new(parts), failed)
}

fn restored(answer: &v1::RestoreResponse) -> String {
    let backup = answer.backup.clone().unwrap_or_default();
    format!(
        "Swarm restored: current node ({}) is its only manager now, with {} as of {}.\n\n\
         Nodes of before keep their names, addresses and certificates, and are Down until they come here: run \
         'swarmctl rejoin {}' on each.\n\
         To add a worker to this swarm, run the following command:\n\n{}",
        answer.node,
        contents(&backup),
        rfc3339(backup.made_ms),
        answer.advertise_addr,
        join_command(&answer.join_token_worker, &answer.advertise_addr),
    )
}
