//! What HTTP/2 may cost this side, whatever is served over it. Must not know services.

use std::time::Duration;
use tonic::transport::Server;

/// Streams one peer may have open on one connection; more are refused, and an honest peer waits.
pub const MOST_STREAMS: u32 = 1_024;
/// Streams of a connection that were given up before this side looked at them. Whoever was slow to be answered may give
/// up on all it asked; the default of 20 would end the connection then, and with it everything else asked over it.
pub const MOST_RESETS: usize = MOST_STREAMS as usize;
/// Streams of a connection that this side ended because they broke the protocol.
pub const MOST_BROKEN_STREAMS: usize = 128;
/// Headers of one request: a method's path and a few words of metadata.
pub const MOST_HEADER_BYTES: u32 = 16 * 1_024;
/// Streams one caller without a certificate may have open: it asks for the CA's certificate, and to be admitted.
pub const STRANGER_STREAMS: u32 = 4;
/// One request of such a caller: a token, a request for a certificate, an expired certificate, labels.
pub const STRANGER_BYTES: usize = 32 * 1_024;
/// Its connection's window; what is not read yet lies in memory. The least that HTTP/2 knows.
const STRANGER_WINDOW: u32 = 65_535;
const STRANGER_RESETS: usize = 16;
const STRANGER_HEADER_BYTES: u32 = 8 * 1_024;
/// A peer that vanished without a word, or that is silent on an open connection, is noticed after both.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);
const KEEP_ALIVE_ANSWER: Duration = Duration::from_secs(5);

/// A server within these bounds for callers on this host, who may be stopped (Ctrl-Z) as long as they like.
pub fn local_server() -> Server {
    Server::builder()
        .max_concurrent_streams(MOST_STREAMS)
        .http2_max_pending_accept_reset_streams(Some(MOST_RESETS))
        .http2_max_local_error_reset_streams(Some(MOST_BROKEN_STREAMS))
        .http2_max_header_list_size(MOST_HEADER_BYTES)
}

/// A server within these bounds for callers across the network.
pub fn server() -> Server {
    local_server()
        .http2_keepalive_interval(Some(KEEP_ALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_ANSWER))
}

/// A server for callers across the network who have shown no certificate.
pub fn stranger_server() -> Server {
    server()
        .max_concurrent_streams(STRANGER_STREAMS)
        .initial_stream_window_size(STRANGER_WINDOW)
        .initial_connection_window_size(STRANGER_WINDOW)
        .http2_max_pending_accept_reset_streams(Some(STRANGER_RESETS))
        .http2_max_local_error_reset_streams(Some(STRANGER_RESETS))
        .http2_max_header_list_size(STRANGER_HEADER_BYTES)
}
