//! Replays the fuzzing corpus, and mutations of it, through the checks of the fuzz target.
#![allow(clippy::unwrap_used)]

mod check;

#[test]
fn every_entry_of_the_corpus_passes() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/smpp_pdu");
    let entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(entries.len() >= 20, "the corpus is missing");
    for entry in entries {
        let octets = std::fs::read(&entry).unwrap();
        check::all(&octets);
        // Every cut and every changed octet of it.
        for at in 0..octets.len() {
            check::all(&octets[..at]);
            for value in [0x00, 0xff, octets[at] ^ 0x40, octets[at].wrapping_add(1)] {
                let mut changed = octets.clone();
                changed[at] = value;
                check::all(&changed);
            }
        }
    }
}
