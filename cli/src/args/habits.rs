//! What users of Docker type out of habit, and what it is called here. Must not know what a verb does.

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The word typed where a verb was expected, and what to type.
const HABITS: &[(&str, &str)] = &[
    ("swarm", "leave out 'swarm': swarmctl init, join, join-token, leave, unlock, update, ca"),
    ("promote", "swarmctl node promote NODE"),
    ("demote", "swarmctl node demote NODE"),
    ("drain", "swarmctl node update --availability drain NODE"),
    ("ls", "swarmctl node ls, network ls or ps"),
    ("inspect", "swarmctl node inspect NODE or network inspect NETWORK"),
    ("create", "swarmctl network create NAME"),
    ("connect", "swarmctl network connect NETWORK SANDBOX"),
    ("disconnect", "swarmctl network disconnect NETWORK SANDBOX"),
    ("stop", "swarmctl rm SANDBOX ends a sandbox"),
    ("kill", "swarmctl rm --force SANDBOX ends a sandbox"),
    ("start", "a sandbox starts by swarmctl run, and is not started again"),
    ("logs", "what a sandbox prints is not kept: let its command write to a file"),
    ("service", "there are no services: swarmctl run starts one sandbox on this host"),
    ("stack", "there are no stacks: swarmctl run starts one sandbox on this host"),
    ("version", "swarmctl --version, or swarmctl info for the daemon"),
    ("help", "swarmctl --help, or swarmctl VERB --help"),
];

/// A verb that is none, with what was meant in place of what is merely spelled alike.
pub fn hinted(mut error: Error) -> Error {
    let typed = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(typed)) if error.kind() == ErrorKind::InvalidSubcommand => typed.clone(),
        _ => return error,
    };
    if let Some((_, hint)) = HABITS.iter().find(|(habit, _)| *habit == typed) {
        error.remove(ContextKind::SuggestedSubcommand);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![(*hint).into()]));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::CommandFactory;

    fn said(words: &[&str]) -> String {
        let typed = Cli::command().try_get_matches_from(words).unwrap_err();
        hinted(typed).to_string()
    }

    #[test]
    fn a_habit_is_told_what_it_is_called_here() {
        let said = said(&["swarmctl", "promote", "n2"]);
        assert!(said.contains("node promote NODE") && !said.contains("'rm'"), "{said}");
    }

    #[test]
    fn every_habit_is_no_verb_and_other_words_keep_their_hints() {
        let verbs = Cli::command();
        for (habit, hint) in HABITS {
            assert!(verbs.get_subcommands().all(|verb| verb.get_name() != *habit), "{habit}");
            assert!(said(&["swarmctl", habit]).contains(hint), "{habit}");
        }
        assert!(said(&["swarmctl", "netwrk"]).contains("'network'"));
    }
}
