//! The command line. Whatever cannot be done is one clear line on standard error; exit code 2 for what the operator has to
//! change, 1 for what went wrong while running.
#![allow(clippy::print_stdout, reason = "this is where the program speaks to its operator")]

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::config::Config;
use crate::roles::Role;
use crate::{Switch, admin, apply, signals};

/// A carrier-grade VoIP and SMS switch in one program.
#[derive(Debug, Parser)]
#[command(name = "tandem", version, about)]
struct Arguments {
    /// Settings file; without one all defaults hold.
    #[arg(long, short, global = true, env = "TANDEM_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Roles to run, separated by commas; overrides node.roles.
    #[arg(long, global = true, value_name = "ROLES", value_delimiter = ',', value_parser = Role::parse)]
    roles: Vec<Role>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the switch (this is what happens without a command).
    Run,
    /// Say whether the settings are good, without listening anywhere.
    Check,
    /// Bring tenants, users, devices, numbers, trunks, carriers and rates to what a manifest says.
    Apply {
        /// The manifest; docs/manifest.md describes it.
        file: PathBuf,
        /// Only show what would change.
        #[arg(long)]
        dry_run: bool,
    },
    /// Bring the database's schema up to date.
    Migrate,
    /// For the operator at the machine.
    Admin {
        #[command(subcommand)]
        command: admin::Command,
    },
    /// Print the reference settings file: every key with its explanation and default.
    Settings,
}

/// Why the program ends badly: the line to print and whose turn it is.
#[derive(Debug)]
pub enum Failure {
    /// The operator has to change something; exit code 2.
    Operator(String),
    /// Something broke; exit code 1.
    Broken(String),
}

impl Failure {
    /// Something that the operator has to change.
    pub fn operator(error: impl std::fmt::Display) -> Self {
        Self::Operator(error.to_string())
    }

    /// Something that broke.
    pub fn broken(error: impl std::fmt::Display) -> Self {
        Self::Broken(error.to_string())
    }
}

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match execute(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let (line, code) = match failure {
                Failure::Operator(line) => (line, 2),
                Failure::Broken(line) => (line, 1),
            };
            let _ = writeln!(std::io::stderr(), "tandem: {}", line.replace('\n', "; "));
            ExitCode::from(code)
        }
    }
}

fn execute(arguments: Arguments) -> Result<(), Failure> {
    if matches!(arguments.command, Some(Command::Settings)) {
        print!("{}", Config::reference());
        return Ok(());
    }
    let environment = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    let mut config = Config::load(arguments.config.as_deref(), environment).map_err(Failure::operator)?;
    if !arguments.roles.is_empty() {
        config.node.roles = arguments.roles;
        config.check().map_err(Failure::Operator)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::broken)?;
    runtime.block_on(async {
        match arguments.command {
            None | Some(Command::Run) => run(config).await,
            Some(Command::Check) => {
                println!("The settings are good.");
                Ok(())
            }
            Some(Command::Apply { file, dry_run }) => {
                let store = crate::open_store(&config, true).await.map_err(Failure::operator)?;
                let difference = apply::apply(&store, &file, dry_run).await.map_err(Failure::operator)?;
                print!("{difference}");
                Ok(())
            }
            Some(Command::Migrate) => {
                let store = crate::open_store(&config, true).await.map_err(Failure::operator)?;
                match store.migrations_applied() {
                    [] => println!("The schema is up to date."),
                    applied => println!("Applied: {}", applied.join(", ")),
                }
                Ok(())
            }
            Some(Command::Admin { command }) => {
                let store = crate::open_store(&config, true).await.map_err(Failure::operator)?;
                println!("{}", admin::execute(&store, command).await?);
                Ok(())
            }
            Some(Command::Settings) => Ok(()),
        }
    })
}

async fn run(config: Config) -> Result<(), Failure> {
    let log = telemetry::LogOptions { filter: config.log.filter.clone(), format: config.log.format };
    telemetry::start_logs(&log).map_err(Failure::operator)?;
    telemetry::log_panics();
    let drain = Duration::from_secs(config.node.drain_s);
    let mut signals = signals::Signals::new().map_err(Failure::broken)?;
    let running = Switch::start(config).await.map_err(Failure::operator)?;
    print!("{}", running.welcome());
    let _ = std::io::stdout().flush();
    let died = tokio::select! {
        () = signals.terminate() => false,
        () = running.failed() => true,
    };
    tracing::info!(drain_s = drain.as_secs(), "draining: no new calls");
    tokio::select! {
        ended = running.drain(drain) => tracing::info!(calls_ended = ended, "drained"),
        () = signals.terminate() => tracing::warn!("second signal: stopping at once"),
    }
    running.stop().await;
    if died { Err(Failure::Broken("a part of the switch died; see the log".into())) } else { Ok(()) }
}
