//! One run: the world, the clients, the faults, the rest, the verdict. Knows the order of things and what is needed for
//! each; must not know how any of them is done.

use crate::caller::Caller;
use crate::faults::Injector;
use crate::kernel;
use crate::monitor::{self, Taken, Terms, Watch};
use crate::plan::{Step, plan};
use crate::rest;
use crate::roles::Roles;
use crate::work::{Client, Site, addresses, labels, networks};
use anyhow::{Context, Result, anyhow, bail, ensure};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread;
use std::time::Duration;
use swarm_tests::linear::{Broken, judge};
use swarm_tests::poll::pause;
use swarm_tests::sandbox::all_ping;
use swarm_tests::shim::{self, Shim};
use swarm_tests::stream::Stream;
use swarm_tests::{Host, Sandbox, Setup, World, view};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

pub const MANAGERS: usize = 3;
/// Those with work: the managers, and workers.
pub const HOSTS: usize = 5;
/// One more goes and comes again.
const SPARE: usize = HOSTS + 1;
const NETWORK_CLIENTS: u32 = 4;
const LABEL_CLIENTS: u32 = 3;
const CLIENTS_PER_WORKER: u32 = 2;
/// Namespaces an address client may use, counting those it does not know the end of.
const NAMESPACES: usize = 12;
/// Clients end with the call they are in.
const ENDING: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(500);
/// The hosts whose sandboxes never stop talking.
const TALKERS: [usize; 3] = [1, 4, 5];

/// Where histories are kept.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("chaos")
}

/// Panics with what did not hold, and how to see it again.
pub fn run(seed: u64, seconds: usize) {
    let plan = plan(seed, seconds, (MANAGERS, HOSTS));
    swarm_tests::scenario(Setup::hosts(SPARE).alone(), |world| {
        play(world, seed, &plan)
            .map_err(|e| anyhow!("{e:#}\nreproduce: make chaos SEED={seed} SECONDS={seconds}"))
    });
}

fn play(world: &World, seed: u64, plan: &[Step]) -> Result<()> {
    let shims = form(world)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let talkers = talk(world)?;
    let streams = streams(&talkers)?;
    let site = Arc::new(site(world)?);
    let leader = Arc::new(AtomicUsize::new(0));
    let terms = Arc::new(Mutex::new(Terms::default()));
    let mut tasks = clients(&runtime, world, &site, seed)?;
    let nodes = Arc::new(numbers(world)?);
    for manager in &site.managers {
        let watch = Watch { terms: terms.clone(), nodes: nodes.clone(), leader: leader.clone() };
        tasks.spawn_on(monitor::watch_terms(Arc::clone(&site), manager.clone(), watch), runtime.handle());
    }
    let roles = Roles { world, site: &site, runtime: runtime.handle().clone(), spare: world.host(SPARE) };
    let injector = Injector::new(world, (&site, &leader), roles, shims);
    let (faults, taken) = under_watch(world, || injector.play(plan));
    let healed = faults.and_then(|()| rest::writes_again(&runtime, &site));
    site.end();
    let ended = runtime.block_on(all_end(tasks));
    let names: Vec<String> = talkers.iter().map(|talker| talker.name.clone()).collect();
    let settled = healed.and_then(|took| {
        ended?;
        rest::detach_all(&runtime, &site, &names)?;
        rest::read_all(&runtime, &site, &world.hosts()[..HOSTS])?;
        rest::agree(&runtime, &site, &names)?;
        Ok(took)
    });
    let verdicts = [
        settled.map(|took| {
            println!("writes again {took:?} after the faults; {} terms had a leader", terms.lock().led())
        }),
        streams.into_iter().try_for_each(|stream| stream.end().map(drop)),
        taken.problem().map_or(Ok(()), |problem| bail!("{problem}")),
        rest::logs_are_calm(world),
        kernel::judge(world, &talkers),
        kernel::nothing_left(world, talkers),
        noticed(&site),
        judged(&site, seed),
    ];
    let problems: Vec<String> =
        verdicts.into_iter().filter_map(Result::err).map(|e| format!("{e:#}")).collect();
    report(&site, &injector, taken);
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

fn form(world: &World) -> Result<Vec<Shim>> {
    let library = shim::build(world.dir())?;
    let shims = world.hosts().iter().map(|host| Shim::put_under(host, &library, world.dir()));
    let shims = shims.collect::<Result<Vec<_>>>()?;
    world.form(&["manager", "manager", "worker", "worker", "worker"])?;
    world.hosts().iter().try_for_each(shim::is_loaded)?;
    let network =
        format!("network create --attachable --subnet {} {}", addresses::SUBNET, addresses::NETWORK);
    world.host(1).ctl(&network)?.ok()?;
    Ok(shims)
}

fn talk(world: &World) -> Result<Vec<Sandbox<'_>>> {
    let attach = |n: &usize| {
        world.host(*n).attach(&format!("talker-{n}"), &format!("--network {}", addresses::NETWORK))
    };
    let talkers = TALKERS.iter().map(attach).collect::<Result<Vec<_>>>()?;
    all_ping(&talkers.iter().collect::<Vec<_>>())?;
    Ok(talkers)
}

/// Each talks to the next one.
fn streams(talkers: &[Sandbox<'_>]) -> Result<Vec<Stream>> {
    let next = talkers.iter().cycle().skip(1);
    let start = |(from, to): (&Sandbox<'_>, &Sandbox<'_>)| {
        Stream::start(&format!("{} to {}", from.name, to.name), from.net(), to.net(), to.ip()?)
    };
    talkers.iter().zip(next).map(start).collect()
}

fn site(world: &World) -> Result<Site> {
    let (managers, workers) = world.hosts()[..HOSTS].split_at(MANAGERS);
    let callers = |hosts: &[Host]| hosts.iter().map(Caller::of).collect::<Result<Vec<_>>>();
    Ok(Site::new(callers(managers)?, callers(workers)?))
}

/// Which node is which host.
fn numbers(world: &World) -> Result<BTreeMap<String, usize>> {
    let number = |host: &Host| {
        Ok((view::text(&host.info()?, "node_id").context("no node id in `info`")?, host.number))
    };
    world.hosts()[..HOSTS].iter().map(number).collect()
}

fn clients(runtime: &Runtime, world: &World, site: &Arc<Site>, seed: u64) -> Result<JoinSet<()>> {
    let mut tasks = JoinSet::new();
    let mut number = 0;
    for _ in 0..NETWORK_CLIENTS {
        number += 1;
        tasks.spawn_on(networks::run(Arc::clone(site), Client::new(number, seed)), runtime.handle());
    }
    let names: Vec<String> = world.hosts()[..HOSTS].iter().map(|host| host.name.clone()).collect();
    for _ in 0..LABEL_CLIENTS {
        number += 1;
        let work = labels::run(Arc::clone(site), Client::new(number, seed), names.clone());
        tasks.spawn_on(work, runtime.handle());
    }
    for worker in &site.workers {
        for _ in 0..CLIENTS_PER_WORKER {
            number += 1;
            let names = (0..NAMESPACES).map(|n| format!("c{number}n{n}"));
            let namespaces =
                names.map(|name| world.host(worker.host).bare(&name)).collect::<Result<Vec<_>>>()?;
            let place = addresses::Place { worker: worker.clone(), namespaces };
            tasks.spawn_on(
                addresses::run(Arc::clone(site), Client::new(number, seed), place),
                runtime.handle(),
            );
        }
    }
    Ok(tasks)
}

async fn all_end(mut tasks: JoinSet<()>) -> Result<()> {
    let end = async {
        while let Some(ended) = tasks.join_next().await {
            ended.context("a client")?;
        }
        Ok(())
    };
    tokio::time::timeout(ENDING, end).await.context("clients did not end")?
}

/// Acts, and looks now and then at what the daemons take.
fn under_watch<T: Send>(world: &World, act: impl FnOnce() -> T + Send) -> (T, Taken) {
    let mut taken = Taken::default();
    let done = thread::scope(|scope| {
        let acting = scope.spawn(act);
        while !acting.is_finished() {
            taken.look(world);
            pause(LOOK);
        }
        acting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    (done, taken)
}

fn noticed(site: &Site) -> Result<()> {
    let problems = site.recorder.problems();
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

/// The history is kept when it is not linearizable.
fn judged(site: &Site, seed: u64) -> Result<()> {
    let history = site.recorder.history();
    match judge(&history) {
        Ok(judged) => {
            println!("linearizable: {judged:?}");
            Ok(())
        }
        Err(broken) => {
            std::fs::create_dir_all(folder())?;
            let file = folder().join(format!("history-{seed}.jsonl"));
            history.save(&file)?;
            let told: Vec<String> = broken.iter().map(Broken::to_string).collect();
            bail!(
                "the history (kept in {}) is not linearizable (I6, I7):\n{}",
                file.display(),
                told.join("\n")
            )
        }
    }
}

fn report(site: &Site, injector: &Injector<'_>, taken: Taken) {
    injector.told().iter().for_each(|line| println!("{line}"));
    println!("{:#?}\nmost taken by a daemon: {taken:?}", site.recorder.tally());
}
