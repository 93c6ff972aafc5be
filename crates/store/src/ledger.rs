//! The ledger: double-entry, append-only (triggers refuse UPDATE and DELETE), and the check that it adds up.

use base::id::kind::{Posting, Wallet};
use base::{Id, Money, Timestamp};

use crate::Store;
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::pool::{Tx, sql};
use crate::row::Columns;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// The stored and printed name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Reads [`Self::as_str`].
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words! {
    /// Which way money went, seen from the wallet.
    Kind {
        /// In.
        Credit = "credit",
        /// Out.
        Debit = "debit",
        /// Back in.
        Refund = "refund",
    }
}

words! {
    /// What money was moved for.
    Category {
        /// A call.
        Call = "call",
        /// A text.
        Sms = "sms",
        /// The opening balance of a manifest.
        Opening = "opening",
        /// A payment.
        TopUp = "top_up",
        /// An administrator's correction.
        Adjustment = "adjustment",
    }
}

/// The operator's side of a movement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Account {
    /// What customers paid for.
    Revenue,
    /// Where customers' money comes from.
    Funding,
    /// Corrections.
    Adjustment,
}

impl Account {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Revenue => "revenue",
            Self::Funding => "funding",
            Self::Adjustment => "adjustment",
        }
    }
}

/// A movement between a wallet and the operator.
#[derive(Debug, Clone)]
pub(crate) struct Movement {
    pub(crate) wallet: Id<Wallet>,
    /// Added to the wallet; negative: taken from it; not 0.
    pub(crate) amount_micros: i64,
    /// Held money that is freed in the same step.
    pub(crate) release_micros: i64,
    pub(crate) kind: Kind,
    pub(crate) category: Category,
    pub(crate) against: Account,
    /// What it is for; a reference is posted once.
    pub(crate) reference: String,
    pub(crate) reason: Option<String>,
    pub(crate) actor: Option<String>,
}

/// Moves money: wallet, posting and both entries. `false` and no change when the wallet has less (or does not exist).
pub(crate) async fn post(tx: &mut Tx<'_>, movement: &Movement) -> Result<bool> {
    let update = sql("UPDATE wallets SET balance_micros = balance_micros + $1, held_micros = held_micros - $2, \
         entries = entries + 1 WHERE id = $3 AND balance_micros + $1 + credit_limit_micros - held_micros + $2 >= 0 \
         RETURNING balance_micros, entries, tenant_id, currency");
    let update = update.bind(movement.amount_micros).bind(movement.release_micros).bind(movement.wallet.as_i64());
    let Some(row) = tx.row(update).await? else { return Ok(false) };
    let (after, sequence) = (row.int("balance_micros")?, row.int("entries")?);
    let posting: Id<Posting> = tx.id();
    let now_ms = tx.now.as_millis();
    let insert = sql("INSERT INTO postings (id, tenant_id, kind, category, reference, reason, actor, currency, \
         created_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
    let insert = insert
        .bind(posting.as_i64())
        .bind(row.int("tenant_id")?)
        .bind(movement.kind.as_str())
        .bind(movement.category.as_str())
        .bind(movement.reference.clone())
        .bind(movement.reason.clone())
        .bind(movement.actor.clone())
        .bind(row.text("currency")?)
        .bind(now_ms);
    tx.execute(insert).await?;
    let insert = sql("INSERT INTO ledger_entries (posting_id, line, account, wallet_id, wallet_seq, amount_micros, \
         balance_before_micros, balance_after_micros, created_at_ms) \
         VALUES ($1, 1, 'wallet', $2, $3, $4, $5, $6, $7), ($1, 2, $8, NULL, NULL, $9, NULL, NULL, $7)");
    let insert = insert
        .bind(posting.as_i64())
        .bind(movement.wallet.as_i64())
        .bind(sequence)
        .bind(movement.amount_micros)
        .bind(after - movement.amount_micros)
        .bind(after)
        .bind(now_ms)
        .bind(movement.against.as_str())
        .bind(-movement.amount_micros);
    tx.execute(insert).await?;
    Ok(true)
}

/// One movement as the wallet's owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// The posting.
    pub id: Id<Posting>,
    /// Its place in the wallet's chain, from 1; also the cursor.
    pub sequence: i64,
    /// Which way.
    pub kind: Kind,
    /// What for.
    pub category: Category,
    /// Which call, text or correction: `call:ID`, `sms:ID` …
    pub reference: String,
    /// An administrator's words.
    pub reason: Option<String>,
    /// Who did it, when it was a person.
    pub actor: Option<String>,
    /// Added; negative: taken.
    pub amount: Money,
    /// Balance before.
    pub balance_before: Money,
    /// Balance after.
    pub balance_after: Money,
    /// When.
    pub at: Timestamp,
}

/// Which movements to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct TransactionFilter {
    /// Only of this kind.
    pub kind: Option<Kind>,
    /// Only of this category.
    pub category: Option<Category>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
}

/// What [`Store::verify_ledger`] found; everything is in order when `faults` is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerReport {
    /// Wallets looked at.
    pub wallets: i64,
    /// Entries looked at.
    pub entries: i64,
    /// One line per fault, at most [`FAULTS_MAX`] of each kind.
    pub faults: Vec<String>,
}

/// Most faults that a report names per kind.
pub const FAULTS_MAX: i64 = 100;

impl Store {
    /// Movements of a wallet, newest first, those before the sequence `before` if given.
    pub async fn list_transactions(
        &self,
        wallet: Id<Wallet>,
        filter: &TransactionFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Transaction>> {
        let mut query = Filter::new(
            "SELECT p.id, e.wallet_seq, p.kind, p.category, p.reference, p.reason, p.actor, p.currency, \
             e.amount_micros, e.balance_before_micros, e.balance_after_micros, e.created_at_ms \
             FROM ledger_entries e JOIN postings p ON p.id = e.posting_id",
        );
        query.and_int("e.wallet_id =", wallet.as_i64());
        query.and_int_opt("e.wallet_seq <", before);
        query.and_text_opt("p.kind =", filter.kind.map(Kind::as_str));
        query.and_text_opt("p.category =", filter.category.map(Category::as_str));
        query.and_int_opt("e.created_at_ms >=", filter.from.map(Timestamp::as_millis));
        query.and_int_opt("e.created_at_ms <", filter.to.map(Timestamp::as_millis));
        let rows = self.database().rows(query.query(" ORDER BY e.wallet_seq DESC", limit)).await?;
        rows.iter()
            .map(|row| {
                let currency = row.currency("currency")?;
                let money = |name| Ok::<_, Error>(Money::new(row.int(name)?, currency));
                Ok(Transaction {
                    id: row.id("id")?,
                    sequence: row.int("wallet_seq")?,
                    kind: row.word("kind", Kind::parse)?,
                    category: row.word("category", Category::parse)?,
                    reference: row.text("reference")?,
                    reason: row.text_opt("reason")?,
                    actor: row.text_opt("actor")?,
                    amount: money("amount_micros")?,
                    balance_before: money("balance_before_micros")?,
                    balance_after: money("balance_after_micros")?,
                    at: row.time("created_at_ms")?,
                })
            })
            .collect()
    }

    /// Checks the whole ledger: every posting sums to zero, every balance is the sum of its entries, every chain is
    /// whole, what is held is what open reservations hold.
    pub async fn verify_ledger(&self) -> Result<LedgerReport> {
        let count = "SELECT (SELECT COUNT(*) FROM wallets) AS wallets, \
                     (SELECT COUNT(*) FROM ledger_entries WHERE wallet_id IS NOT NULL) AS entries";
        let row = self.database().row(sql(count)).await?.ok_or(Error::NotFound("ledger"))?;
        let mut report = LedgerReport { wallets: row.int("wallets")?, entries: row.int("entries")?, faults: vec![] };
        for (fault, query) in CHECKS {
            for row in self.database().rows(sql(query).bind(FAULTS_MAX)).await? {
                report.faults.push(format!("{fault}: {}", row.int("id")?));
            }
        }
        Ok(report)
    }
}

/// What is wrong, and which ids it is wrong with. In one statement each, so that they see one moment.
const CHECKS: [(&str, &str); 5] = [
    (
        "posting does not sum to zero",
        "SELECT posting_id AS id FROM ledger_entries GROUP BY posting_id \
         HAVING SUM(amount_micros) <> 0 OR COUNT(*) < 2 LIMIT $1",
    ),
    (
        "posting without entries",
        "SELECT p.id FROM postings p WHERE NOT EXISTS (SELECT 1 FROM ledger_entries e WHERE e.posting_id = p.id) \
         LIMIT $1",
    ),
    (
        "balance of wallet is not the sum of its entries",
        "SELECT w.id FROM wallets w LEFT JOIN (SELECT wallet_id, SUM(amount_micros) AS total, COUNT(*) AS lines \
         FROM ledger_entries WHERE wallet_id IS NOT NULL GROUP BY wallet_id) e ON e.wallet_id = w.id \
         WHERE w.balance_micros <> COALESCE(e.total, 0) OR w.entries <> COALESCE(e.lines, 0) LIMIT $1",
    ),
    (
        "chain of wallet is broken",
        "SELECT DISTINCT e.wallet_id AS id FROM ledger_entries e LEFT JOIN ledger_entries b \
         ON b.wallet_id = e.wallet_id AND b.wallet_seq = e.wallet_seq - 1 WHERE e.wallet_id IS NOT NULL \
         AND e.balance_before_micros <> CASE WHEN e.wallet_seq = 1 THEN 0 ELSE COALESCE(b.balance_after_micros, \
         e.balance_before_micros + 1) END LIMIT $1",
    ),
    (
        "held money of wallet is not that of its open reservations",
        "SELECT w.id FROM wallets w LEFT JOIN (SELECT wallet_id, SUM(held_micros) AS total FROM reservations \
         WHERE status = 'open' GROUP BY wallet_id) r ON r.wallet_id = w.id \
         WHERE w.held_micros <> COALESCE(r.total, 0) LIMIT $1",
    ),
];
