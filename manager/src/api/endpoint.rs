//! Endpoints, as the control API lists them. Knows: how they travel. Must not know: how they come to be.

use crate::seat::Seat;
use swarm_proto::v1;

pub fn list(seat: &Seat) -> v1::ListEndpointsResponse {
    let endpoints = seat.applied.read(|state| state.endpoints().map(Into::into).collect());
    v1::ListEndpointsResponse { endpoints }
}
