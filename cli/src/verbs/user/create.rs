//! `user create`: a key made here, a certificate for it, and both in one file of its owner.

use crate::args::user::UserCreateArgs;
use crate::client::{Client, Target, call, request_id};
use crate::error::CliError;
use crate::verbs::new_file::NewFile;
use crate::verbs::{print, say};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use swarm_identity::{UserIdentity, new_key_and_csr};
use swarm_model::User;
use swarm_proto::v1;

pub async fn run(target: &Target, args: UserCreateArgs) -> Result<(), CliError> {
    if args.expiry.is_some_and(|expiry| !User::EXPIRY_MS.contains(&expiry)) {
        return Err(CliError::Usage(
            "--expiry: a certificate must be valid for some time: 1m to 10 years".into(),
        ));
    }
    // Before anything is asked: a user without a file would be of no use.
    let place = args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{}.swarm-identity", args.name)));
    let out = Output::open(&place, args.force)?;
    let (key, csr_der) = new_key_and_csr().map_err(|e| CliError::Failed(e.to_string()))?;
    let client = Client::connect(target).await?;
    let request = v1::CreateUserRequest {
        name: args.name,
        role: v1::UserRole::from(args.role).into(),
        expiry_ms: args.expiry.unwrap_or(0),
        csr_der,
        request_id: request_id()?,
    };
    let answer = call(client.control().create_user(request)).await?;
    let unusable =
        |e: &dyn std::fmt::Display| CliError::Failed(format!("the manager's answer cannot be used: {e}"));
    let identity = UserIdentity::new(key, &answer.certificate_chain).map_err(|e| unusable(&e))?;
    let pem = identity.to_pem().map_err(|e| unusable(&e))?;
    out.put(&pem, &answer.user.map(|user| user.id).unwrap_or_default())
}

enum Output {
    Stdout,
    File(NewFile),
}

impl Output {
    /// A key that is shown at a terminal stays in its memory, and in that of whoever looks on.
    fn open(place: &Path, replace: bool) -> Result<Self, CliError> {
        if place.as_os_str() != "-" {
            return NewFile::create(place, replace).map(Self::File);
        }
        match std::io::stdout().is_terminal() {
            true => Err(CliError::Usage(
                "an identity holds a secret key, which is not for a terminal: send it to a file or a pipe"
                    .into(),
            )),
            false => Ok(Self::Stdout),
        }
    }

    fn put(self, pem: &str, user: &str) -> Result<(), CliError> {
        match self {
            Self::Stdout => {
                print(pem)?;
                say(&format!("User {user} was made."));
                Ok(())
            }
            Self::File(mut file) => {
                file.write(pem.as_bytes())?;
                let place = file.finish()?;
                print(&format!("{user}\n"))?;
                say(&format!(
                    "The identity is in {}. From outside: swarmctl -H tcp://HOST:2377 --identity {} node ls",
                    place.display(),
                    place.display()
                ));
                Ok(())
            }
        }
    }
}
