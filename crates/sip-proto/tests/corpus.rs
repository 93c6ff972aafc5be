//! Every file of the fuzz corpus, and every torture message, through the same reader as the fuzz target.

use std::path::Path;

use bytes::Bytes;

#[test]
fn the_corpus_is_survived() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for folder in [root.join("../../fuzz/corpus/sip_message"), root.join("tests/rfc4475")] {
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        for entry in entries {
            let path = entry.expect("a folder that can be read").path();
            let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            sip_proto::message::exercise(Bytes::from(bytes));
            count += 1;
        }
    }
    assert!(count > 60, "only {count} files");
}
