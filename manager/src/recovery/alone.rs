//! Whether a manager may go on alone: nobody who can be reached decides, knows more, or is about to do the same.
//! Knows: the others on record and what they answer. Must not know: how one goes on.

use super::survey::{ask, knows_more, lineage_of, named, own};
use crate::links::Links;
use crate::seat::Seat;
use swarm_identity::{Credentials, Dialler};
use swarm_model::{Kin, ManagerPeer};
use swarm_proto::v1;

/// The managers that one would go on without, and what each said when it was asked.
pub struct Others {
    own: v1::SurveyResponse,
    asked: Vec<(ManagerPeer, String)>,
    answers: Vec<Option<v1::SurveyResponse>>,
}

/// Asks the others, who are told from now on that this manager is about to go on alone.
///
/// # Errors
/// A sentence that says who is in the way. They are not told any more.
pub async fn may_go_alone(seat: &Seat) -> Result<Others, String> {
    seat.met.going_alone(true);
    let me = seat.me().node;
    let asked = seat.applied.read(|state| named(state, |node| node.id != me));
    let answers = answers(&seat.links, &asked).await;
    let names = asked.iter().map(|(peer, host)| format!("{host} ({})", peer.addr));
    let own = own(seat);
    let seen: Vec<_> = names.zip(&answers).collect();
    match before(&own, &seen) {
        None => Ok(Others { own, asked, answers }),
        Some(reason) => {
            seat.met.going_alone(false);
            Err(reason)
        }
    }
}

impl Others {
    /// Asks them once more, just before it cannot be undone; this manager does not run any more.
    ///
    /// # Errors
    /// A sentence that says what has happened meanwhile.
    pub async fn look_again(&self, credentials: Credentials) -> Result<(), String> {
        let now = answers(&Links::new(Dialler::new(credentials)), &self.asked).await;
        let names = self.asked.iter().map(|(peer, host)| format!("{host} ({})", peer.addr));
        let seen: Vec<_> = names.zip(self.answers.iter().zip(&now)).collect();
        meanwhile(&self.own, &seen).map_or(Ok(()), Err)
    }

    pub fn peers(&self) -> impl Iterator<Item = &ManagerPeer> {
        self.asked.iter().map(|(peer, _)| peer)
    }
}

async fn answers(links: &Links, asked: &[(ManagerPeer, String)]) -> Vec<Option<v1::SurveyResponse>> {
    futures::future::join_all(asked.iter().map(|(peer, _)| ask(links, peer, v1::SurveyRequest::default())))
        .await
}

/// What is in the way, of managers with these names and answers.
fn before(own: &v1::SurveyResponse, seen: &[(String, &Option<v1::SurveyResponse>)]) -> Option<String> {
    let those = |are: fn(&v1::SurveyResponse, &v1::SurveyResponse) -> bool| {
        let them = seen.iter().filter(|(_, answer)| answer.as_ref().is_some_and(|answer| are(answer, own)));
        let names: Vec<&str> = them.map(|(name, _)| &**name).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    if let Some(names) = those(|answer, _| answer.going_alone) {
        return Some(format!(
            "--force-new-cluster runs on {names} already: one manager goes on, the others follow it"
        ));
    }
    those(knows_more).map(|names| {
        format!(
            "another manager that can be reached knows more than this one: {names}; run --force-new-cluster there, or stop \
             swarmd there to go on from here all the same"
        )
    })
}

/// A manager's answer, if it gave one.
type Said<'a> = &'a Option<v1::SurveyResponse>;

/// What has happened since, of managers with these names and what they said first and now.
fn meanwhile(own: &v1::SurveyResponse, seen: &[(String, (Said<'_>, Said<'_>))]) -> Option<String> {
    seen.iter().find_map(|(name, answers)| match answers {
        (Some(_), None) => Some(format!(
            "{name} has fallen silent meanwhile, and may be going on alone itself: run this again once it answers, or is \
             known to be down"
        )),
        (_, Some(now)) if lineage_of(own).sees(&lineage_of(now)) == Kin::Later => {
            Some(format!("{name} has gone on alone meanwhile: this manager follows it"))
        }
        (_, Some(now)) if now.leads => Some(format!("the managers have a quorum again, led by {name}")),
        (_, Some(now)) if now.going_alone => Some(format!("--force-new-cluster runs on {name} too: try again")),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(epoch: u64, last_log_index: u64) -> v1::SurveyResponse {
        v1::SurveyResponse { epoch, last_log_index, ..v1::SurveyResponse::default() }
    }

    fn said(
        own: &v1::SurveyResponse,
        first: Option<v1::SurveyResponse>,
        now: Option<v1::SurveyResponse>,
    ) -> String {
        meanwhile(own, &[("h2".to_owned(), (&first, &now))]).unwrap_or_default()
    }

    #[test]
    fn who_knows_more_or_does_the_same_is_in_the_way() {
        let own = survey(0, 5);
        let said = |answer| before(&own, &[("h2 (192.0.2.2:2377)".to_owned(), &answer)]).unwrap_or_default();
        assert_eq!((said(None), said(Some(survey(0, 5)))), Default::default());
        assert!(said(Some(survey(0, 6))).contains("knows more than this one: h2 (192.0.2.2:2377)"));
        assert!(said(Some(v1::SurveyResponse { going_alone: true, ..survey(0, 1) })).contains("runs on h2"));
    }

    #[test]
    fn what_happens_meanwhile_is_seen_before_it_is_too_late() {
        let (own, same) = (survey(0, 5), Some(survey(0, 5)));
        assert_eq!(said(&own, None, None), "");
        assert_eq!(said(&own, same.clone(), same.clone()), "");
        assert_eq!(said(&own, None, same.clone()), "");
        assert!(said(&own, same.clone(), None).contains("fallen silent"));
        assert!(said(&own, same, Some(survey(1, 6))).contains("gone on alone"));
        assert!(
            said(&own, None, Some(v1::SurveyResponse { leads: true, ..survey(0, 9) }))
                .contains("quorum again")
        );
        let too = Some(v1::SurveyResponse { going_alone: true, ..survey(0, 5) });
        assert!(said(&own, None, too).contains("runs on h2 too"));
    }
}
