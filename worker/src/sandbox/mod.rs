//! Sandboxes of this host, from the intent to the last trace. Knows: what they are, how they begin and end.
//! Must not know: netlink, or how managers decide.

mod adopt;
mod begin;
mod end;
mod files;
pub(crate) mod fuzz;
mod links;
mod live;
mod networks;
mod record;
mod request;
mod run;
mod select;
mod show;
mod store;
mod watch;

pub(crate) use adopt::adopt;
pub(crate) use begin::attach;
pub(crate) use end::{detach, disconnect, end_all, remove, take_back};
pub(crate) use links::connect;
pub(crate) use live::Live;
pub(crate) use networks::networks;
pub(crate) use record::{Link, Sandbox};
pub(crate) use run::{prepare, started};
pub(crate) use select::select;
pub(crate) use show::{view, view_all};
pub(crate) use store::{Store, held_endpoints};
pub(crate) use watch::watch_paths;
