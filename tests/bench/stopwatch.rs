//! Timing a command where it runs: `bench stopwatch PROGRAM ARG…` is started inside a host and times nothing but the
//! program. Knows processes; must not know what they are for.

use anyhow::{Context, Result, bail};
use std::io::Write;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use swarm_tests::run::{COMMAND_LIMIT, run};
use swarm_tests::space::Space;

pub const WORD: &str = "stopwatch";

/// The side inside the host: prints the microseconds, then what the program printed.
pub fn inside(args: &[String]) -> Result<ExitCode> {
    let [program, args @ ..] = args else { bail!("which program?") };
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stderr(Stdio::inherit());
    let begun = Instant::now();
    let output = command.output().with_context(|| format!("cannot start {program}"))?;
    let took = begun.elapsed();
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{}", took.as_micros())?;
    stdout.write_all(&output.stdout)?;
    let code = output.status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

/// Runs a program inside `space`; how long it took there, and what it printed. It must succeed.
pub fn timed(space: &Space, program: &str, args: &[&str]) -> Result<(Duration, String)> {
    let exe = std::env::current_exe()?;
    let mut command = space.limited(COMMAND_LIMIT, &exe.to_string_lossy());
    command.arg(WORD).arg(program).args(args);
    let said = run(command, COMMAND_LIMIT + Duration::from_secs(5))?.ok()?;
    let (micros, printed) = said.split_once('\n').unwrap_or((&said, ""));
    let micros = micros.parse().with_context(|| format!("no time in {said:?}"))?;
    Ok((Duration::from_micros(micros), printed.to_owned()))
}
