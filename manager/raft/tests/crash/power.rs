//! Power cuts and a full disk, on ext4 images.

use std::fs;
use std::time::Duration;

use crate::disk::{Mount, copy_image, make_image, need_root};
use crate::kill::count;
use crate::model::{Model, look};
use crate::rig::{Random, Victim, rounds, seed};

const IMAGE_BYTES: u64 = 96 << 20;

/// Runs a child on a fresh image, cuts the power, and looks at what is left. Returns how much was promised.
fn cut_power(random: &mut Random, (child, wrapper): (&str, &[&str])) -> Result<Model, String> {
    // A folder and images of its own for each: a loop device may outlive its mount for a moment.
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (image, copy) = (home.join("disk.img"), home.join("copy.img"));
    make_image(&image, IMAGE_BYTES);
    let mut model = Model::default();
    {
        let live = Mount::new(&image, home.join("live"));
        let dir = live.dir.join("log");
        let mut victim = match wrapper {
            [] => Victim::start(child, &dir, random.next()),
            wrapper => Victim::start_under(wrapper, child, &dir, random.next()),
        };
        victim.wait_for("open");
        victim.run_for(Duration::from_millis(random.below(300)));
        model.learn(&victim.freeze());
        copy_image(&image, &copy);
        victim.kill();
    }
    let left = Mount::new(&copy, home.join("left"));
    let dir = left.dir.join("log");
    // sled panics on some damage.
    let found = std::panic::catch_unwind(|| look(&dir)).unwrap_or_else(|_| Err("it panics".to_owned()))?;
    model.check(&found)?;
    assert_eq!(count(&dir.join("blobs")), 0, "values went to blobs, which sled never syncs");
    Ok(model)
}

#[test]
fn nothing_acknowledged_is_lost_by_a_power_cut() {
    need_root();
    if std::env::var_os("CRASH_CONTROL").is_some() {
        return control();
    }
    let mut random = seed("power cut");
    let (mut promises, rounds) = (0, rounds(14));
    for round in 0..rounds {
        let cut = cut_power(&mut random, ("child::log_child", &[]));
        promises += cut.unwrap_or_else(|e| panic!("round {round}: {e}")).promises();
    }
    println!("{rounds} power cuts, {promises} acknowledged entries, none lost");
    assert!(promises > 0, "no child promised anything");
}

/// Votes of a manager that writes nothing else: no append's flush takes them along.
#[test]
fn no_vote_is_lost_by_a_power_cut() {
    need_root();
    let mut random = seed("power cut of a voter");
    let (mut votes, rounds) = (0, rounds(4));
    for round in 0..rounds {
        let cut = cut_power(&mut random, ("child::vote_child", &[]));
        votes += cut.unwrap_or_else(|e| panic!("round {round}: {e}")).vote();
    }
    println!("{rounds} power cuts, {votes} votes, none lost");
    assert!(votes > rounds, "no child voted more than once");
}

/// With fdatasync doing nothing, the same rounds must lose something.
fn control() {
    let mut random = seed("control");
    let numb = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=fdatasync",
        "-e",
        "inject=fdatasync:retval=0",
    ];
    let results: Vec<_> =
        (0..rounds(20)).map(|_| cut_power(&mut random, ("child::log_child", &numb))).collect();
    let lost: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    println!("control: {} of {} cuts without fdatasync were seen: {lost:#?}", lost.len(), results.len());
    assert!(!lost.is_empty(), "the harness does not see a log that is never synced");
}

#[test]
fn a_full_disk_stops_the_log_and_loses_nothing() {
    need_root();
    let mut random = seed("full disk");
    let home = tempfile::tempdir().unwrap();
    let image = home.path().join("small.img");
    make_image(&image, 24 << 20);
    let disk = Mount::new(&image, home.path().join("small"));
    let (dir, ballast) = (disk.dir.join("log"), disk.dir.join("ballast"));
    fs::write(&ballast, vec![1; 10 << 20]).unwrap();
    let mut model = Model::default();
    let mut victim = Victim::start("child::log_child", &dir, random.next());
    victim.run_for(Duration::from_secs(120));
    let (_, lines) = victim.end();
    // It may have ended by an error or by a panic of sled's; in no case did it promise anything afterwards.
    let failed = lines.iter().position(|line| line.starts_with("failed"));
    println!("full: {:?}", failed.map(|at| &lines[at]));
    assert!(failed.is_none_or(|at| at + 1 == lines.len()), "it went on after a failed write");
    model.learn(&lines);
    assert!(model.promises() > 0);
    fs::remove_file(ballast).unwrap();
    model.check(&look(&dir).unwrap()).unwrap();
}
