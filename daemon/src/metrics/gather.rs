//! What is measured of this host, and by what name. Names are a promise: dashboards and alarms are made of them.
//! Knows where each figure is; must not know how it is shown.

use super::text::{Metric, number};
use crate::daemon::{Daemon, Phase};
use crate::running::Running;
use swarm_identity::OpenCounts;
use swarm_manager::Figures;
use swarm_model::Role;
use swarm_worker::WorkerStatus;

pub fn samples(daemon: &Daemon) -> Vec<Metric> {
    let phase = daemon.phase();
    let mut metrics = vec![
        Metric::gauge("swarmd_build_info", "Always 1; the version of this daemon is a label.", 1.0)
            .by("version", [(env!("CARGO_PKG_VERSION"), 1)]),
        Metric::gauge(
            "swarmd_membership",
            "1 for what this host is to a cluster, 0 for what it is not.",
            0.0,
        )
        .by("state", memberships(&phase)),
    ];
    match phase {
        Phase::Member(running) => metrics.extend(of_member(&running)),
        Phase::Locked(locked) => metrics.extend(of_worker(&locked.worker.status())),
        Phase::Outside { .. } | Phase::Joining(_) => {}
    }
    metrics
}

fn memberships(phase: &Phase) -> [(&'static str, u64); 5] {
    let is = |it: bool| u64::from(it);
    let manages = matches!(phase, Phase::Member(running) if running.member().role == Role::Manager);
    let is_member = matches!(phase, Phase::Member(_));
    [
        ("inactive", is(matches!(phase, Phase::Outside { .. }))),
        ("pending", is(matches!(phase, Phase::Joining(_)))),
        ("worker", is(is_member && !manages)),
        ("manager", is(manages)),
        ("locked", is(matches!(phase, Phase::Locked(_)))),
    ]
}

fn of_member(running: &Running) -> Vec<Metric> {
    let mut metrics = of_certificate(running);
    metrics.extend(of_worker(&running.worker.status()));
    if let Some(serving) = running.serving() {
        metrics.extend(of_manager(&serving.manager.figures()));
        metrics.extend(of_port(serving.connections.counts()));
    }
    metrics
}

fn of_certificate(running: &Running) -> Vec<Metric> {
    let renewals = &running.renewals;
    let failing = !renewals.trouble().is_empty();
    vec![
        Metric::gauge(
            "swarmd_certificate_expiry_timestamp_seconds",
            "When this node's certificate ends, in seconds since the epoch.",
            number(running.credentials.validity().until_ms / 1000),
        ),
        Metric::gauge(
            "swarmd_certificate_renewal_failing",
            "1 while this node's certificate cannot be renewed.",
            number(u64::from(failing)),
        ),
        Metric::counter(
            "swarmd_certificate_renewals_total",
            "Certificates this node got in place of an older one.",
            renewals.done(),
        ),
        Metric::counter(
            "swarmd_certificate_renewal_failures_total",
            "Attempts to renew this node's certificate, or to take the cluster's roots, that failed.",
            renewals.failed(),
        ),
    ]
}

fn of_worker(status: &WorkerStatus) -> Vec<Metric> {
    let mut metrics = vec![
        Metric::gauge(
            "swarmd_session_open",
            "1 while this node has a session with a manager.",
            number(u64::from(status.session_manager.is_some())),
        ),
        Metric::gauge(
            "swarmd_assignment_revision",
            "The revision of the cluster that this node's assignment is of.",
            number(status.revision),
        ),
        Metric::gauge("swarmd_sandboxes", "Sandboxes on this host.", number(status.sandboxes as u64)),
        Metric::gauge(
            "swarmd_reconcile_failing",
            "1 while the kernel is not as it should be.",
            number(u64::from(!status.last_error.is_empty())),
        ),
        Metric::counter(
            "swarmd_reconcile_repairs_total",
            "Kernel objects put back because somebody else changed them.",
            status.repairs,
        ),
        Metric::counter("swarmd_reconcile_errors_total", "Steps in the kernel that failed.", status.failures),
        Metric::counter("swarmd_dns_queries_total", "Queries for names by sandboxes.", 0)
            .by("result", [("answered", status.names_answered), ("forwarded", status.names_forwarded)]),
    ];
    if let Some(ahead_ms) = status.clock_ahead_ms {
        metrics.push(Metric::gauge(
            "swarmd_clock_ahead_seconds",
            "How far this host's clock was ahead of its manager's when the last session began.",
            std::time::Duration::from_millis(ahead_ms.unsigned_abs()).as_secs_f64()
                * if ahead_ms < 0 { -1.0 } else { 1.0 },
        ));
    }
    metrics
}

fn of_manager(figures: &Figures) -> Vec<Metric> {
    let flag = |it: bool| number(u64::from(it));
    let nodes = figures.nodes.iter().map(|(state, count)| (state, *count as u64));
    vec![
        Metric::gauge("swarmd_raft_leads", "1 on the leader.", flag(figures.leads)),
        Metric::gauge(
            "swarmd_raft_has_leader",
            "1 while this manager knows a leader.",
            flag(figures.has_leader),
        ),
        Metric::gauge("swarmd_raft_term", "The term of Raft.", number(figures.term)),
        Metric::gauge("swarmd_raft_applied_index", "The last entry applied here.", number(figures.applied)),
        Metric::gauge(
            "swarmd_raft_last_index",
            "The last entry in the log here.",
            number(figures.last_index),
        ),
        Metric::gauge("swarmd_raft_voters", "Managers that vote.", number(figures.voters as u64)),
        Metric::gauge(
            "swarmd_sessions",
            "Sessions of nodes that are open with this manager.",
            number(figures.sessions as u64),
        ),
        Metric::gauge("swarmd_nodes", "Nodes on record, by state.", 0.0).by("state", nodes),
        Metric::gauge("swarmd_networks", "Networks of the cluster.", number(figures.networks as u64)),
        Metric::gauge("swarmd_endpoints", "Endpoints of the cluster.", number(figures.endpoints as u64)),
        Metric::counter("swarmd_audit_lines_total", "Lines written to the audit log.", figures.audit_lines),
        Metric::counter(
            "swarmd_audit_lines_lost_total",
            "Calls that are not in the audit log: it could not keep up, or strangers were refused too often.",
            figures.audit_lines_lost,
        ),
    ]
}

fn of_port(counts: OpenCounts) -> Vec<Metric> {
    vec![
        Metric::counter("swarmd_handshakes_total", "TLS handshakes at this manager's port.", 0)
            .by("result", [("accepted", counts.accepted), ("refused", counts.refused)]),
        Metric::gauge("swarmd_connections", "Open connections at this manager's port.", 0.0).by(
            "of",
            [
                ("members", counts.members as u64),
                ("strangers", counts.strangers as u64),
                ("handshakes", counts.handshakes as u64),
            ],
        ),
    ]
}
