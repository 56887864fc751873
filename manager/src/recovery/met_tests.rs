//! Which epochs that were met are followed, kept and warned of.

use super::*;

fn met() -> (tempfile::TempDir, Met) {
    let dir = tempfile::tempdir().unwrap();
    let met = Met::load(dir.path().to_owned());
    (dir, met)
}

fn later(drawn: u32) -> Lineage {
    Lineage::default().follow(drawn)
}

#[test]
fn only_a_quorum_that_was_there_before_stays() {
    let long = Some(DECIDES_FOR);
    assert_eq!(judge(true, long), Verdict::Stay);
    assert_eq!(judge(true, Some(Duration::ZERO)), Verdict::Follow);
    assert_eq!(judge(true, None), Verdict::Follow);
    // Its first look after a start: it may have been down while the cluster went on.
    assert_eq!(judge(false, long), Verdict::Follow);
}

fn node(n: u8) -> NodeId {
    NodeId::from_random([n; 16])
}

/// Where every manager says what it said before.
fn as_before(_: NodeId) -> Word {
    Word::Silent
}

fn decides(met: &Met) {
    met.inner.lock().decides_since = Instant::now().checked_sub(DECIDES_FOR);
}

#[test]
fn who_stayed_goes_on_staying_also_after_a_restart_until_an_operator_says_otherwise() {
    let (dir, met) = met();
    let own = Lineage::default();
    assert_eq!(met.looked(&own, &as_before), None);
    decides(&met);
    met.confirm(&own, later(7), (node(1), "h1 (192.0.2.1:2377)"));
    assert_eq!(met.looked(&own, &as_before), None);
    met.quorum_is(false);
    assert_eq!(met.looked(&own, &as_before), None, "it stayed once");
    let said = met.warnings(&own).join("\n");
    assert!(said.contains("h1 (192.0.2.1:2377)") && said.contains("1-00000007"), "{said}");
    // After a restart, and for a peer that was away and hears of it.
    let again = Met::load(dir.path().to_owned());
    again.confirm(&own, later(7), (node(1), "h1"));
    assert_eq!((again.looked(&own, &as_before), again.stayed()), (None, vec![later(7).epoch]));
    again.follow(later(7));
    decides(&again);
    for _ in 0..2 {
        assert_eq!(again.looked(&own, &|_| Word::NoManager), Some(later(7)), "an operator has said so");
    }
    assert_eq!(Met::load(dir.path().to_owned()).looked(&own, &as_before), Some(later(7)));
}

#[test]
fn who_was_away_follows_unless_its_peers_have_stayed() {
    let own = Lineage::default();
    let (_dir, away) = met();
    away.confirm(&own, later(7), (node(1), "h1"));
    assert_eq!(away.looked(&own, &as_before), Some(later(7)));
    let (_dir, told) = met();
    told.hear_stayed([later(7).epoch]);
    told.confirm(&own, later(7), (node(1), "h1"));
    assert_eq!(told.looked(&own, &as_before), None);
}

#[test]
fn what_is_only_heard_of_is_never_followed_nor_kept() {
    let (dir, met) = met();
    let own = Lineage::default();
    met.hear(&own, later(7), "h4 (192.0.2.4:2377)");
    assert_eq!(met.looked(&own, &as_before), None);
    // Nor what one said who is no manager by now.
    met.confirm(&own, later(8), (node(4), "h4 (192.0.2.4:2377)"));
    assert_eq!(met.looked(&own, &|_| Word::NoManager), None);
    assert_eq!(met.looked(&own, &as_before), None);
    assert_eq!(Kept::load(dir.path()), Kept::default());
}

#[test]
fn what_is_followed_is_dropped_when_its_manager_takes_it_back_or_is_none_and_the_others_decide() {
    let own = Lineage::default();
    for (word, keeps) in [
        (Word::NoManager, false),
        (Word::Said(own.clone()), false),
        (Word::Silent, true),
        (Word::Said(later(7)), true),
        (Word::Said(later(7).follow(8)), true),
    ] {
        let (dir, met) = met();
        met.confirm(&own, later(7), (node(4), "h4"));
        assert_eq!(met.looked(&own, &as_before), Some(later(7)));
        let again = Met::load(dir.path().to_owned());
        assert_eq!(again.looked(&own, &|_| word.clone()), Some(later(7)), "nobody decides here");
        decides(&again);
        assert_eq!(again.looked(&own, &|_| word.clone()).is_some(), keeps, "{word:?}");
        assert_eq!(Kept::load(dir.path()).follows.is_some(), keeps, "{word:?}");
    }
    // From a release that wrote down nobody's name: what somebody confirms stays.
    let dir = tempfile::tempdir().unwrap();
    for (confirmed, follows) in [(true, Some(later(7))), (false, None)] {
        Kept { follows: Some(later(7)), ..Kept::default() }.store(dir.path()).unwrap();
        let met = Met::load(dir.path().to_owned());
        decides(&met);
        if confirmed {
            met.confirm(&own, later(7), (node(1), "h1"));
        }
        assert_eq!(met.looked(&own, &as_before), follows);
    }
}

/// Found by a breaker: who was forced beside a majority was never told.
#[test]
fn who_was_forced_beside_a_majority_is_warned() {
    let (_dir, met) = met();
    let (own, past) = (later(7), Lineage::default());
    met.hear_past(&own, past.clone(), &[], "h2 (192.0.2.2:2377)");
    met.hear_past(&own, past.clone(), &[later(8).epoch], "h2 (192.0.2.2:2377)");
    assert_eq!(met.warnings(&own), Vec::<String>::new(), "it may follow yet");
    for who in ["h2 (192.0.2.2:2377)", "h3 (192.0.2.3:2377)"] {
        met.hear_past(&own, past.clone(), &[own.epoch], who);
    }
    assert_eq!(met.looked(&own, &as_before), None);
    let said = met.warnings(&own);
    assert_eq!(said.len(), 1, "{said:?}");
    for fact in ["h2 (192.0.2.2:2377) and h3", "epoch 1-00000007", "epoch 0", "leave --force", "rejoin"] {
        assert!(said.join("").contains(fact), "{said:?}");
    }
}

#[test]
fn another_branch_is_warned_of_and_never_followed() {
    let (_dir, met) = met();
    met.confirm(&later(7), later(9).follow(10), (node(2), "h2 (192.0.2.2:2377)"));
    assert_eq!(met.looked(&later(7), &as_before), None);
    let said = met.warnings(&later(7)).join("\n");
    for fact in ["h2 (192.0.2.2:2377)", "2-0000000a", "1-00000007", "leave --force"] {
        assert!(said.contains(fact), "{said}");
    }
    for n in 0..100 {
        met.hear(&later(7), later(9), &format!("h{n}"));
    }
    assert_eq!(met.warnings(&later(7)).len(), MOST_SEEN);
}
