//! Opening: migrations, master key, named secrets.

use sqlx::Executor;
use store::{Error, MasterKey, Store};

use crate::world::World;

pub(crate) async fn a_second_start_finds_everything_applied(w: World) {
    assert!(w.store.migrations_applied().contains(&"0001_core"));
    assert!(w.another().await.migrations_applied().is_empty());
    assert!(Store::exists(&w.url).await.unwrap());
}

pub(crate) async fn changed_and_unknown_migrations_are_refused(w: World) {
    let open = async || Store::open(&w.url, MasterKey::from_bytes(&[42; 32]).unwrap()).await.err();
    let mut raw = w.raw().await;
    raw.execute("INSERT INTO schema_migrations VALUES ('9999_future', 'x', 1)").await.unwrap();
    assert!(open().await.unwrap().to_string().contains("9999_future"));
    raw.execute("DELETE FROM schema_migrations WHERE name = '9999_future'").await.unwrap();
    assert_eq!(open().await, None);
    raw.execute("UPDATE schema_migrations SET checksum = 'x' WHERE name = '0001_core'").await.unwrap();
    assert!(open().await.unwrap().to_string().contains("another text"));
}

pub(crate) async fn another_master_key_is_refused(w: World) {
    let error = Store::open(&w.url, MasterKey::from_bytes(&[43; 32]).unwrap()).await.err().unwrap();
    assert!(matches!(&error, Error::Misbehaved(text) if text.contains("master key")), "{error}");
}

pub(crate) async fn a_named_secret_is_made_once_and_kept_sealed(w: World) {
    let (first, second) = tokio::join!(w.store.named_secret("token key"), w.store.named_secret("token key"));
    let first = first.unwrap();
    assert_eq!(first, second.unwrap());
    assert_eq!(first.expose().len(), 44);
    assert_eq!(first, w.another().await.named_secret("token key").await.unwrap());
    assert_ne!(first, w.store.named_secret("other").await.unwrap());
    let row = sqlx::query("SELECT sealed FROM secrets WHERE name = 'token key'").fetch_one(&mut w.raw().await).await;
    assert!(!sqlx::Row::get::<String, _>(&row.unwrap(), 0).contains(first.expose()));
}

pub(crate) async fn concurrent_starters_are_safe(w: World) {
    let mut raw = w.raw().await;
    // As if nothing had been applied: forget, and let four processes find out at once.
    if w.url.starts_with("postgres") {
        raw.execute("DROP SCHEMA public CASCADE").await.unwrap();
        raw.execute("CREATE SCHEMA public").await.unwrap();
    } else {
        w.store.close().await;
        let path = w.url.trim_start_matches("sqlite:");
        for file in [path.to_owned(), format!("{path}-wal"), format!("{path}-shm")] {
            _ = std::fs::remove_file(file);
        }
    }
    drop(raw);
    let starters = (0..4).map(|_| {
        let url = w.url.clone();
        tokio::spawn(async move { Store::open(&url, MasterKey::from_bytes(&[42; 32]).unwrap()).await })
    });
    let mut applied = 0;
    for starter in starters.collect::<Vec<_>>() {
        applied += starter.await.unwrap().unwrap().migrations_applied().len();
    }
    assert_eq!(applied, w.store.migrations_applied().len(), "each migration was applied by one of them");
}
