//! `events`: what happens in the cluster, as it happens, until it is broken off.

use crate::args::events::EventsArgs;
use crate::args::output::{Format, OneOutput};
use crate::client::{Client, Target, call};
use crate::error::CliError;
use crate::render::Printer;
use crate::render::event::EventObject;
use crate::verbs::{filter, is_read, say};
use std::error::Error;
use swarm_proto::v1;
use tonic::Status;

pub async fn run(target: &Target, args: EventsArgs) -> Result<(), CliError> {
    filter::check(&args.filters, &filter::EVENT_KEYS)?;
    filter::check_event_values(&args.filters)?;
    if let Some(Format::TableTemplate(_)) = args.format {
        return Err(CliError::Usage(
            "events come one by one and make no table: expected json or a template".into(),
        ));
    }
    let printer = Printer::<EventObject>::one(&OneOutput { format: args.format })?;
    let client = Client::connect(target).await?;
    let mut stream = call(client.control().watch_events(v1::WatchEventsRequest {})).await?;
    while let Some(told) = stream.message().await.map_err(ended)? {
        let Some(event) = told.event else {
            say(
                "warning: some events are missing here: they came faster than they were read, or the manager caught up",
            );
            continue;
        };
        let event = EventObject::new(event);
        if filter::event(&event, &args.filters) && !is_read(&printer.object(event)?)? {
            return Ok(());
        }
    }
    Err(CliError::Unavailable("the manager has ended the stream of events".into()))
}

fn ended(status: Status) -> CliError {
    match status.source() {
        Some(_) => CliError::Unavailable(
            "the connection broke: what happened since is not shown; ask again for what happens from then on"
                .into(),
        ),
        None => status.into(),
    }
}
