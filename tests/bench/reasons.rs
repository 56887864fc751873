//! Why a row falls short of its goal, as profiling showed. Knows rows by their beginning; must not know figures.

/// The beginning of a row's name, and the reason. The first that fits counts.
const REASONS: &[(&str, &str)] = &[
    (
        "attach, warm",
        "no wait of our own is left: the manager is asked once (its flush of the log), then two flushes of 0.6 to 0.8 ms run \
         beside the work in the kernel, whose calls wait for its lock of links or for a processor, which the managers and \
         workers on this machine share (strace of the daemon, on a machine that was busy besides).",
    ),
    (
        "TCP, 1 stream, without",
        "perf shows nf_hook_slow and nft_do_chain above the overlay made by hand. The pieces, put one by one onto one made by \
         hand and measured in turn: the masquerade of the host, whose hooks every packet passes also untracked, takes 12 to 15 %; \
         the check of source addresses at the ports 7 %, nearly all of it the look-up in its set; what this overlay leaves out \
         (learning at the ports, the detour of bridged frames through the hooks of IP) gives about 13 % back.",
    ),
    (
        "committed writes, 1 client",
        "the flush of the log: sled wakes a thread of its pool, which writes and waits for sync_file_range, and then our own \
         fdatasync waits once more, on the leader and on a follower; that is a third of the processor time of such a write (perf, \
         strace). Syncing sled less often behind a journal of our own took it away, and cost logs in power cuts (ARCHITECTURE.md).",
    ),
    (
        "committed writes, 16 clients",
        "as with one client: two waits for the disk in each flush of sled, where a preallocated log has one.",
    ),
    (
        "committed writes, 256 clients",
        "both cores are busy, so processor time decides: 360 µs a committed write, all three managers and the client together. Of \
         the leader's half, by perf: the request by gRPC 22 %, HTTP/2 connections 13 %, the log with sled 17 %, applying 6 %, \
         openraft 6 %, snapshots 4 %, and under all of them malloc with a third (a faster one took 10 to 15 % off, and more \
         than doubled the memory of an idle manager).",
    ),
    ("TCP, 4 streams", "within the spread of both sides in this run; not profiled by itself."),
];

pub fn of(row: &str) -> &'static str {
    let found = REASONS.iter().find(|(beginning, _)| row.starts_with(beginning));
    found.map_or("not met in this run; the cause was not found by profiling yet.", |(_, reason)| reason)
}
