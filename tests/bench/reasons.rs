//! Why a row falls short of its goal, as profiling showed. Knows rows by their beginning; must not know figures.

/// The beginning of a row's name, and the reason. The first that fits counts.
const REASONS: &[(&str, &str)] = &[
    (
        "attach, warm",
        "two rounds to the disk stand in a row (intent, then addresses; fsync of file and folder each), and the links of the \
         overlay and of the gateway are made one after the other under the kernel's rtnl lock (strace of the daemon).",
    ),
    ("round trip", CONNTRACK),
    ("TCP, 1 stream, without", CONNTRACK),
    ("TCP, 4 streams", "within the spread of both sides in this run; not profiled by itself."),
];

const CONNTRACK: &str = "the masquerade rules of the gateway make the host track connections, and each VXLAN packet with them \
    (`__nf_conntrack_find_get` and `nf_confirm` on the path, perf): the data-path port is not exempt yet.";

pub fn of(row: &str) -> &'static str {
    let found = REASONS.iter().find(|(beginning, _)| row.starts_with(beginning));
    found.map_or("not met in this run; the cause was not found by profiling yet.", |(_, reason)| reason)
}
