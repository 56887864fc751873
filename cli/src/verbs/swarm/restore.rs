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

/// The largest state there may be is read, checked, written and started from.
const DEADLINE: Duration = Duration::from_secs(180);
/// One more than any backup has; the daemon says that it is too long.
const MOST_BYTES: u64 = (1 << 30) + (2 << 20);
const PIECE: usize = 1 << 20;

pub async fn run(target: &Target, args: RestoreArgs) -> Result<(), CliError> {
    let file = read(&args)?;
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
    let answer = within(DEADLINE, client.local()?.restore(parts(begin, file))).await?.into_inner();
    print(&restored(&answer))?;
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

fn read(args: &RestoreArgs) -> Result<Vec<u8>, CliError> {
    let stdin = args.file.as_os_str() == "-";
    if stdin && args.passphrase.passphrase_file.as_ref().is_some_and(|file| file.as_os_str() == "-") {
        return Err(CliError::Usage(
            "standard input can be the backup or the passphrase, not both: give one of them as a file".into(),
        ));
    }
    let mut bytes = Vec::new();
    let read = match stdin {
        true => std::io::stdin().take(MOST_BYTES).read_to_end(&mut bytes),
        false => File::open(&args.file).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes)),
    };
    match read {
        Ok(_) => Ok(bytes),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Err(CliError::NotFound(format!("{} not found", args.file.display())))
        }
        Err(e) => Err(CliError::Failed(format!("cannot read {}: {e}", args.file.display()))),
    }
}

fn parts(
    begin: v1::RestoreBegin,
    file: Vec<u8>,
) -> impl tokio_stream::Stream<Item = v1::RestorePart> + Send + 'static {
    let pieces = (0..file.len()).step_by(PIECE).map(move |at| {
        let piece = file.get(at..).unwrap_or_default();
        Part::Piece(piece.get(..PIECE).unwrap_or(piece).to_vec())
    });
    let parts = std::iter::once(Part::Begin(begin)).chain(pieces);
    tokio_stream::iter(parts.map(|part| v1::RestorePart { part: Some(part) }))
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
