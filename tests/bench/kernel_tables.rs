//! Rows: what it takes to fill the kernel's tables, and to change one entry of a full one. Drives the reconciler by an
//! example program of the worker's, and reads what `strace` saw of it.

use crate::report::Row;
use crate::rig::Rig;
use crate::stats::{Sample, short};
use crate::{interrupt, stats};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;
use swarm_tests::host::binary;
use swarm_tests::run::wait;
use swarm_tests::space::{Space, only_child};
use swarm_tests::{eventually, within};

const PROGRAM: &str = "examples/kernel_tables";
const PAIRS: usize = 5;

pub fn rows(rig: &Rig) -> Result<Vec<Row>> {
    // A space of its own: what the program makes ends with it.
    let space = Space::new(rig.world.wire.mark(), "mount -t tmpfs -o mode=755 tmpfs /run")?;
    interrupt::guard(&space);
    let measured = measure(&space, rig.world.dir());
    interrupt::release(&space);
    measured
}

fn measure(space: &Space, dir: &Path) -> Result<Vec<Row>> {
    let program = RefCell::new(Program::start(space, dir)?);
    let (mut ours, mut raw, mut derive) = (Sample::default(), Sample::default(), Sample::default());
    let mut entries = 0.0;
    stats::in_turn(
        PAIRS,
        |_| {
            let said = program.borrow_mut().ask("fill")?;
            entries = number(&said, "entries")?;
            derive.push(number(&said, "derive_ms")?);
            ours.push(entries / number(&said, "apply_ms")?);
            program.borrow_mut().ask("empty").map(drop)
        },
        |_| {
            let said = program.borrow_mut().ask("raw")?;
            raw.push(number(&said, "entries")? / number(&said, "apply_ms")?);
            Ok(())
        },
    )?;
    let mut program = program.into_inner();
    let shown = ours.range("thousand entries/s");
    let fill = format!("{} forwarding and neighbour entries programmed", short(entries));
    let mut rows = vec![
        Row::new(&fill, shown)
            .beside("the same messages, raw", raw.range("thousand entries/s"), ours.median() / raw.median())
            .ratio_at_least(0.5),
        Row::new("… before that, working out what is desired", derive.range("ms")),
    ];
    rows.extend(changes(&mut program, dir)?);
    program.end()?;
    Ok(rows)
}

/// One endpoint more, moved, and gone, on a node that holds all the others.
fn changes(program: &mut Program, dir: &Path) -> Result<Vec<Row>> {
    program.ask("fill")?;
    program.rest()?;
    let mut rows = Vec::new();
    for (what, word) in [
        ("one endpoint more", "add"),
        ("one endpoint moved to another host", "move"),
        ("one endpoint gone", "remove"),
    ] {
        let file = dir.join(format!("{word}.strace"));
        let trace = Trace::start(program.pid, &file)?;
        program.ask(word)?;
        let (messages, dumps) = trace.end()?;
        rows.push(
            Row::new(&format!("{what}, among those"), format!("{messages} netlink messages, {dumps} dumps"))
                .goal("≤ 2 messages, no dump", messages <= 2 && dumps == 0 && messages > 0),
        );
    }
    let (mut few, mut many) = (Sample::default(), Sample::default());
    each_change(program, &mut many)?;
    program.ask("empty")?;
    program.ask("few")?;
    program.rest()?;
    each_change(program, &mut few)?;
    rows.push(
        Row::new("… the time for one change, from the assignment to the kernel", many.range("ms")).beside(
            "with 1,000 entries",
            few.range("ms"),
            many.median() / few.median(),
        ),
    );
    Ok(rows)
}

fn each_change(program: &mut Program, times: &mut Sample) -> Result<()> {
    for _ in 0..10 {
        interrupt::check()?;
        for word in ["add", "move", "remove"] {
            let said = program.ask(word)?;
            times.push(number(&said, "derive_ms")? + number(&said, "apply_ms")?);
        }
    }
    Ok(())
}

fn number(said: &Value, key: &str) -> Result<f64> {
    said.get(key).and_then(Value::as_f64).with_context(|| format!("no {key} in {said}"))
}

/// The example program: a word on its input, a line of JSON as its answer.
struct Program {
    outer: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pid: i32,
}

impl Program {
    fn start(space: &Space, dir: &Path) -> Result<Self> {
        let path = binary(PROGRAM)
            .context("`cargo build --release -p swarm-worker --example kernel_tables` builds it")?;
        let mut command: Command = space.command(&path);
        let mut outer = command.env("TMPDIR", dir).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = outer.stdin.take().context("no pipe")?;
        let output = BufReader::new(outer.stdout.take().context("no pipe")?);
        let pid = only_child(&mut outer)?;
        Ok(Self { outer, input, output, pid })
    }

    fn ask(&mut self, word: &str) -> Result<Value> {
        writeln!(self.input, "{word}")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("{word}: the program said {line:?}"))
    }

    /// Waits until it does nothing any more: a fill is looked over afterwards.
    fn rest(&self) -> Result<()> {
        let mut last = String::new();
        within(Duration::from_secs(60), "the program rests", || {
            interrupt::idle(Duration::from_millis(1500))?;
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
            let times: Vec<&str> = stat.split(' ').skip(13).take(2).collect();
            let now = times.join(" ");
            let rests = std::mem::replace(&mut last, now.clone()) == now;
            ensure!(rests, "processor time so far: {now} ticks");
            Ok(())
        })?;
        Ok(())
    }

    fn end(mut self) -> Result<()> {
        drop(self.input);
        let code = wait(&mut self.outer, Duration::from_secs(30))?;
        ensure!(code == 0, "the program ended with {code}");
        Ok(())
    }
}

/// `strace` of what a process sends to the kernel's tables.
struct Trace<'f> {
    strace: Child,
    file: &'f Path,
}

impl<'f> Trace<'f> {
    fn start(pid: i32, file: &'f Path) -> Result<Self> {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-v", "-s", "8", "-e", "trace=sendto,sendmsg,sendmmsg", "-o"]).arg(file);
        let strace = command.arg("-p").arg(pid.to_string()).stdin(Stdio::null()).spawn()?;
        eventually("strace follows every thread", || {
            for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
                let status = std::fs::read_to_string(task?.path().join("status"))?;
                ensure!(!status.contains("TracerPid:\t0\n"), "not yet");
            }
            Ok(())
        })?;
        Ok(Self { strace, file })
    }

    /// Messages sent, and how many of them asked for a whole table.
    fn end(mut self) -> Result<(usize, usize)> {
        use nix::sys::signal::{Signal, kill};
        kill(nix::unistd::Pid::from_raw(i32::try_from(self.strace.id())?), Signal::SIGINT)?;
        within(Duration::from_secs(5), "strace ends", || {
            self.strace.try_wait()?.context("still there").map(drop)
        })?;
        let seen = std::fs::read_to_string(self.file)?;
        // Of a socket in another namespace strace does not know the protocol, so it shows the flag as a number.
        let dumps = seen.matches("NLM_F_DUMP").count() + seen.matches("|0x300,").count();
        Ok((seen.matches("nlmsg_type=").count(), dumps))
    }
}
