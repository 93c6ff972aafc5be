//! What an operator can do at the machine, without the API: get back in, and check the books.

use base::{Random, Secret};
use clap::Subcommand;
use store::Store;

use crate::cli::Failure;

/// `tandem admin …`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Give a login a new random password and print it.
    ResetPassword {
        /// E-mail address, name@domain, or the name of an administrator.
        login: String,
    },
    /// Check that every wallet equals the sum of its ledger, and every hold an open reservation.
    VerifyLedger,
}

/// Executes; returns what to print.
pub async fn execute(store: &Store, command: Command) -> Result<String, Failure> {
    match command {
        Command::ResetPassword { login } => {
            let password = Secret::new(Random::from_entropy().token(20));
            let known = store.find_login(&login).await.map_err(Failure::broken)?;
            let known = known.ok_or_else(|| Failure::Operator(format!("there is no login {login}")))?;
            store.set_password(known.user.id, &password).await.map_err(Failure::broken)?;
            Ok(format!("New password of {login}: {}", password.expose()))
        }
        Command::VerifyLedger => {
            let report = store.verify_ledger().await.map_err(Failure::broken)?;
            let looked_at = format!("{} wallets, {} entries", report.wallets, report.entries);
            match &report.faults[..] {
                [] => Ok(format!("The ledger is sound: {looked_at}.")),
                faults => Err(Failure::Broken(format!("the ledger is not sound ({looked_at}): {}", faults.join("; ")))),
            }
        }
    }
}
