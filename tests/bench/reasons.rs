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
        "it is the way through threads, of which openraft and HTTP/2 have many (connection, stream, core, log, replication, state \
         machine). One write is one fdatasync and one write of the log on each manager, but ten to thirteen calls of futex and eight to \
         ten of epoll_wait (strace); the kernel takes 32 % of the managers' processor time, tokio 14 %, HTTP/2 and gRPC 12 %, malloc \
         and copying 10 %, openraft 6 %, TLS 4 %, this project's own code 2 % (perf). All of it comes to as much as etcd's (row `cost`).",
    ),
    (
        "committed writes, 16 clients",
        "as with one client: a write takes about as much processor time as etcd's (row `cost`).",
    ),
    (
        "committed writes, 256 clients",
        "both cores are busy, so processor time decides (row `cost`), and three times etcd's rate cannot be had: measured side by \
         side, one write of etcd takes 171 µs in its members and 42 µs in the client, so that three times as many leave 71 µs \
         for everything, and the client, the same library for both, takes 43 µs of them; what is left is less than its \
         counterpart in the leader, the other end of the same gRPC call. Of our 218 µs, by perf: leader 47 % (of which malloc 21 %, \
         gRPC and HTTP/2 19 %, the kernel 17 %, tokio 8 %, MessagePack 6 %, this project's own code 5 %, openraft 2 %, TLS 1 %), \
         the two followers 32 %, the three logs 10 % (before the journal in front of sled: 32 %), snapshots 7 %, the audit log 4 % \
         before its lines were gathered. malloc with a larger cache for each thread (glibc.malloc.tcache_count) made no difference.",
    ),
    (
        "a full mTLS handshake",
        "by perf, on a machine that was busy besides: the kernel 23 % (TCP, the bridge, waking), P-256 19 % (one signature \
         made, two verified: the certificate and the proof of its key), X25519 9 %, other cryptography 6 %, malloc 9 %, tokio 8 %, rustls 4 %, \
         HTTP/2 4 %, reading the certificate 2 %. All cryptography is 0.25 ms; the rest is a connection made, served and taken down.",
    ),
    ("TCP, 4 streams", "within the spread of both sides in this run; not profiled by itself."),
];

pub fn of(row: &str) -> &'static str {
    let found = REASONS.iter().find(|(beginning, _)| row.starts_with(beginning));
    found.map_or("not met in this run; the cause was not found by profiling yet.", |(_, reason)| reason)
}
