//! Digest against the examples of RFC 7616 §3.9 and RFC 2617 §3.5, and the life of a nonce.

use super::*;
use base::{Random, Secret, Timestamp};

use crate::message::{HeaderName, Message, RequestBuilder, ResponseBuilder};
use crate::method::Method;

const KEY: [u8; 32] = [7; 32];
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn later(seconds: u64) -> Timestamp {
    NOW.after(std::time::Duration::from_secs(seconds))
}

#[test]
fn rfc7616_3_9_1_example() {
    let text = |algorithm: &str, response: &str| {
        format!(
            r#"Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm={algorithm}, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, response="{response}", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#
        )
    };
    for (algorithm, expected) in [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ] {
        let credentials = Credentials::parse(&text(algorithm, expected)).expect("valid");
        let ha1 = ha1(credentials.algorithm, "Mufasa", "http-auth@example.org", "Circle of Life");
        assert_eq!(response(&credentials, &ha1, "GET", b""), expected, "{algorithm}");
        assert_eq!(Credentials::parse(&credentials.to_string()), Some(credentials));
    }
}

#[test]
fn rfc2069_clients_without_qop_and_the_session_variant_are_calculated() {
    let mut credentials = Credentials {
        username: "Mufasa".into(),
        realm: "testrealm@host.com".into(),
        nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093".into(),
        uri: "/dir/index.html".into(),
        response: String::new(),
        algorithm: Algorithm::Md5,
        session: false,
        protection: None,
        opaque: None,
    };
    let secret = ha1(Algorithm::Md5, "Mufasa", "testrealm@host.com", "CircleOfLife");
    assert_eq!(response(&credentials, &secret, "GET", b""), "1949323746fe6a43ef61f9606e7febea", "RFC 2069 errata 749");
    credentials.protection = Some(Protection { qop: Qop::AuthInt, cnonce: "c".into(), nonce_count: 1 });
    let with_body = response(&credentials, &secret, "GET", b"v=0");
    assert_ne!(with_body, response(&credentials, &secret, "GET", b"v=1"), "auth-int covers the body");
    credentials.session = true;
    assert_ne!(with_body, response(&credentials, &secret, "GET", b"v=0"));
}

/// A phone that answers `challenge` for a REGISTER.
fn phone(auth: &mut ClientAuth, random: &mut Random) -> Credentials {
    let request = auth.authorise(RequestBuilder::new(Method::Register, "sip:example.com"), b"", random);
    Credentials::parse(request.get(HeaderName::Authorization).expect("challenged")).expect("ours")
}

fn refusal(challenges: &[String]) -> Message {
    let register = RequestBuilder::new(Method::Register, "sip:example.com")
        .header(HeaderName::Via, "SIP/2.0/UDP a;branch=z9hG4bK1")
        .build();
    let register = Message::parse(register).expect("ours");
    let refusal = ResponseBuilder::to(&register, 401, "");
    let refusal = challenges.iter().fold(refusal, |r, challenge| r.header(HeaderName::WwwAuthenticate, challenge));
    Message::parse(refusal.build()).expect("ours")
}

fn verifiers(password: &str) -> Vec<Verifier> {
    [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512_256]
        .map(|algorithm| Verifier { algorithm, ha1: ha1(algorithm, "alice", "example.com", password) })
        .to_vec()
}

#[test]
fn rfc8760_2_4_a_phone_answers_the_first_challenge_it_knows_and_is_let_in() {
    let mut random = Random::from_seed(1);
    for algorithms in [&[Algorithm::Sha512_256, Algorithm::Sha256, Algorithm::Md5][..], &[Algorithm::Md5]] {
        let mut server = Authenticator::new(KEY, 300);
        let mut challenges = server.challenges(NOW, "example.com", algorithms, false, &mut random);
        challenges.insert(0, "Digest realm=\"example.com\", nonce=\"x\", algorithm=FUTURE".into());
        let mut auth = ClientAuth::new("alice", Secret::new("open"));
        assert!(auth.challenged(&refusal(&challenges)));
        let credentials = phone(&mut auth, &mut random);
        assert_eq!(credentials.algorithm, algorithms[0]);
        assert_eq!(server.verify(NOW, &credentials, "example.com", "REGISTER", b"", &verifiers("open")), Verdict::Ok);
        assert_eq!(
            server.verify(NOW, &credentials, "example.com", "REGISTER", b"", &verifiers("shut")),
            Verdict::Refused
        );
        assert_eq!(
            server.verify(NOW, &credentials, "example.com", "INVITE", b"", &verifiers("open")),
            Verdict::Refused
        );
        assert_eq!(
            server.verify(NOW, &credentials, "example.com", "REGISTER", b"", &[]),
            Verdict::Refused,
            "an unknown user"
        );
        assert_eq!(
            server.verify(NOW, &credentials, "other.com", "REGISTER", b"", &verifiers("open")),
            Verdict::NotForUs
        );
    }
}

#[test]
fn rfc7616_3_3_a_nonce_grows_stale_and_a_count_serves_once() {
    let mut random = Random::from_seed(2);
    let mut server = Authenticator::new(KEY, 300);
    let mut auth = ClientAuth::new("alice", Secret::new("open"));
    auth.challenged(&refusal(&server.challenges(NOW, "example.com", &[Algorithm::Sha256], false, &mut random)));
    let uses: Vec<Credentials> = (0..4).map(|_| phone(&mut auth, &mut random)).collect();
    let mut check = |at, credentials: &Credentials| {
        server.verify(at, credentials, "example.com", "REGISTER", b"", &verifiers("open"))
    };
    assert_eq!(check(later(1), &uses[0]), Verdict::Ok);
    assert_eq!(check(later(1), &uses[0]), Verdict::Stale, "a replay");
    assert_eq!(check(later(2), &uses[2]), Verdict::Ok);
    assert_eq!(check(later(2), &uses[1]), Verdict::Ok, "overtaken, but new");
    assert_eq!(check(later(2), &uses[1]), Verdict::Stale);
    assert_eq!(check(later(301), &uses[3]), Verdict::Stale, "too old");
    let mut stranger = Authenticator::new([8; 32], 300);
    let foreign = stranger.verify(NOW, &uses[3], "example.com", "REGISTER", b"", &verifiers("open"));
    assert_eq!(foreign, Verdict::Stale, "the password is right, only the nonce is another node's");
}

#[test]
fn a_nonce_cannot_be_forged_or_moved_to_another_realm_or_algorithm() {
    let mut random = Random::from_seed(3);
    let issuer = NonceIssuer::new(KEY, 300);
    let nonce = issuer.issue(NOW, "example.com", Algorithm::Md5, &mut random);
    assert_eq!(issuer.check(&nonce, NOW, "example.com", Algorithm::Md5), NonceState::Fresh);
    assert_eq!(issuer.check(&nonce, NOW, "example.org", Algorithm::Md5), NonceState::Foreign);
    assert_eq!(issuer.check(&nonce, NOW, "example.com", Algorithm::Sha256), NonceState::Foreign);
    assert_eq!(issuer.check(&nonce.replacen('0', "1", 1), NOW, "example.com", Algorithm::Md5), NonceState::Foreign);
    for bad in ["", "x", "ä", &nonce[..20], &format!("{nonce}0")] {
        assert_eq!(issuer.check(bad, NOW, "example.com", Algorithm::Md5), NonceState::Foreign, "{bad}");
    }
}

#[test]
fn the_table_of_counts_is_bounded_and_what_fell_out_cannot_be_replayed() {
    let mut random = Random::from_seed(4);
    let mut server = Authenticator::new(KEY, 300).with_nonces_max(2);
    let mut used = vec![];
    for n in 0..4 {
        let mut auth = ClientAuth::new("alice", Secret::new("open"));
        auth.challenged(&refusal(&server.challenges(later(n), "example.com", &[Algorithm::Md5], false, &mut random)));
        used.push(phone(&mut auth, &mut random));
        assert_eq!(
            server.verify(later(n), &used[n as usize], "example.com", "REGISTER", b"", &verifiers("open")),
            Verdict::Ok
        );
    }
    assert_eq!(server.nonces(), 2);
    for replay in &used {
        assert_eq!(server.verify(later(5), replay, "example.com", "REGISTER", b"", &verifiers("open")), Verdict::Stale);
    }
    server.tidy(later(1000));
    assert_eq!(server.nonces(), 0);
}

#[test]
fn rfc3261_22_1_a_client_does_not_try_a_wrong_password_for_ever() {
    let mut random = Random::from_seed(5);
    let server = Authenticator::new(KEY, 300);
    let mut auth = ClientAuth::new("alice", Secret::new("open"));
    let plain = refusal(&server.challenges(NOW, "example.com", &[Algorithm::Md5], false, &mut random));
    let stale = refusal(&server.challenges(NOW, "example.com", &[Algorithm::Md5], true, &mut random));
    assert!(auth.challenged(&plain) && !auth.challenged(&plain));
    auth.accepted();
    assert!(auth.challenged(&plain) && auth.challenged(&stale) && !auth.challenged(&stale));
    assert!(!auth.challenged(&refusal(&["Basic realm=\"x\"".into()])));
}

#[test]
fn credentials_that_cannot_be_read_are_nothing() {
    for bad in [
        "",
        "Digest",
        "Basic dXNlcjpwYXNz",
        r#"Digest username="a""#,
        r#"NoOneKnowsThisScheme opaque-data=here"#,
        r#"Digest username="a", realm="b", nonce="c", uri="d", response="e", qop=auth, nc=1, cnonce="x""#,
    ] {
        assert_eq!(Credentials::parse(bad), None, "{bad}");
    }
}
