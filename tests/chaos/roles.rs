//! Roles as an operator changes them: asked for at one manager after the other, and in the end given back as they were.
//! Knows who is to be what; must not know when roles change, or why.

use crate::caller::{Caller, Outcome};
use crate::work::Site;
use anyhow::{Context, Result, bail, ensure};
use std::fmt;
use std::time::{Duration, Instant};
use swarm_proto::v1;
use swarm_tests::poll::pause;
use swarm_tests::rng::Rng;
use swarm_tests::{Host, World, view, within};
use tokio::runtime::Handle;

/// For one manager to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// For any manager to answer, with faults going on.
const PATIENCE: Duration = Duration::from_secs(12);
/// For everybody to be what it was, once faults are over: a joiner's pauses grow to seconds.
const RESTORED: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(100);

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Done,
    Refused(String),
    /// Nobody answered; it may be done all the same.
    Unknown,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Unknown => f.write_str("not answered"),
        }
    }
}

pub struct Roles<'w> {
    pub world: &'w World,
    pub site: &'w Site,
    pub runtime: Handle,
    /// The host that goes and comes, and has no work.
    pub spare: &'w Host,
}

impl Roles<'_> {
    /// Gives a node, by name or id, this role.
    pub fn set(&self, node: &str, role: v1::Role) -> Said {
        let request_id = request_id();
        self.ask(|manager| {
            let request = v1::UpdateNodeRequest {
                reference: node.to_owned(),
                role: role.into(),
                request_id: request_id.clone(),
                ..v1::UpdateNodeRequest::default()
            };
            let ask = manager.control(ANSWER, |mut api| async move { api.update_node(request).await });
            done(self.runtime.block_on(ask))
        })
    }

    fn remove(&self, node: &str) -> Said {
        let request_id = request_id();
        self.ask(|manager| {
            let (reference, request_id) = (node.to_owned(), request_id.clone());
            let request = v1::RemoveNodeRequest { reference, force: true, request_id };
            let ask = manager.control(ANSWER, |mut api| async move { api.remove_node(request).await });
            done(self.runtime.block_on(ask))
        })
    }

    /// The first answer of any manager.
    fn ask(&self, one: impl Fn(&Caller) -> Option<Said>) -> Said {
        let begun = Instant::now();
        loop {
            let answered = self.site.managers.iter().find_map(&one);
            if let Some(said) = answered {
                return said;
            }
            if begun.elapsed() > PATIENCE {
                return Said::Unknown;
            }
            pause(AGAIN);
        }
    }

    /// The spare host out of the cluster, by its own word or by the managers'.
    pub fn part(&self, removed: bool) -> Result<()> {
        if removed && let Ok(id) = self.spare_id() {
            self.set(&id, v1::Role::Worker);
            self.remove(&id);
        }
        // Managers that do not answer are left without a word.
        within(RESTORED, "the spare host leaves", || {
            let left = self.spare.ctl("leave --force")?;
            ensure!(left.code == 0 || self.spare.is_outside().is_ok(), "{left}");
            Ok(())
        })?;
        Ok(())
    }

    /// The join goes on when nobody answers in time.
    pub fn join(&self, role: v1::Role) -> Said {
        let managers: Vec<String> =
            self.site.managers.iter().map(|m| format!("{}:2377", self.world.host(m.host).ip)).collect();
        let token = self.site.managers.iter().find_map(|manager| self.token(manager, role));
        let Some(token) = token else { return Said::Unknown };
        match self.spare.ctl(&format!("join --token {token} {}", managers.join(" "))) {
            Ok(output) if output.code == 0 => Said::Done,
            Ok(output) => Said::Refused(output.stderr.trim().to_owned()),
            Err(_) => Said::Unknown,
        }
    }

    fn token(&self, manager: &Caller, role: v1::Role) -> Option<String> {
        let request = v1::GetJoinTokenRequest { role: role.into() };
        let ask = manager.control(ANSWER, |mut api| async move { api.get_join_token(request).await });
        match self.runtime.block_on(ask) {
            Outcome::Answer(answer) => Some(answer.token),
            Outcome::Refused(_) | Outcome::NotDone | Outcome::Unknown => None,
        }
    }

    pub fn calm_spare(&self) -> Said {
        match self.spare_id() {
            Ok(id) => self.set(&id, v1::Role::Worker),
            Err(_) => Said::Unknown,
        }
    }

    fn spare_id(&self) -> Result<String> {
        view::text(&self.spare.info()?, "node_id").filter(|id| !id.is_empty()).context("it is in no cluster")
    }

    /// Everybody is again what it was, and the records of what the spare host was before are gone.
    pub fn restore(&self) -> Result<()> {
        within(RESTORED, "the roles are as they were", || {
            if self.spare_id().is_err() {
                self.join(v1::Role::Worker);
            }
            let spare = self.spare_id()?;
            let nodes = self.nodes()?;
            let wrong: Vec<String> = nodes.iter().filter_map(|node| self.correct(node, &spare)).collect();
            ensure!(wrong.is_empty(), "{}", wrong.join("; "));
            ensure!(nodes.len() == self.world.hosts().len(), "{} nodes are on record", nodes.len());
            Ok(())
        })
        .map(drop)
    }

    fn nodes(&self) -> Result<Vec<v1::Node>> {
        for manager in &self.site.managers {
            let ask = manager
                .control(ANSWER, |mut api| async move { api.list_nodes(v1::ListNodesRequest {}).await });
            if let Outcome::Answer(listed) = self.runtime.block_on(ask) {
                return Ok(listed.nodes);
            }
        }
        bail!("no manager lists the nodes")
    }

    /// Asks for what is wrong about a node to be mended, and says what that is.
    fn correct(&self, node: &v1::Node, spare: &str) -> Option<String> {
        let is_manager = node.manager.is_some();
        let (name, id) = (&node.hostname, &node.id);
        if *name == self.spare.name && id != spare {
            let said = [self.set(id, v1::Role::Worker), self.remove(id)];
            return Some(format!("{name} was {id} once: {said:?}"));
        }
        let managers = &self.world.hosts()[..self.site.managers.len()];
        let wanted = match managers.iter().any(|host| host.name == *name) {
            true => v1::Role::Manager,
            false => v1::Role::Worker,
        };
        if node.role() != wanted {
            let said = self.set(id, wanted);
            return Some(format!("{name} is to be a {}: {said}", wanted.as_str_name()));
        }
        let counts = wanted == v1::Role::Manager;
        (is_manager != counts)
            .then(|| format!("{name} is {} a manager", if counts { "not yet" } else { "still" }))
    }
}

/// `None` when another may be asked.
fn done<T>(outcome: Outcome<T>) -> Option<Said> {
    match outcome {
        Outcome::Answer(_) => Some(Said::Done),
        Outcome::Refused(status) => Some(Said::Refused(status.message().to_owned())),
        Outcome::NotDone | Outcome::Unknown => None,
    }
}

fn request_id() -> String {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
    let id: swarm_model::RequestId = Rng::new(u64::try_from(now).unwrap_or(u64::MAX)).id();
    id.to_string()
}
