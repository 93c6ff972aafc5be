//! What an operator sees after the start: what listens where, and on the first start what to try.

use std::fmt::Write;

use crate::roles::Role;
use crate::start::Running;

/// The whole text.
pub(crate) fn text(running: &Running) -> String {
    let mut text = String::from("\nTandem runs.\n\n");
    let width = running.addresses.iter().map(|(what, _)| what.len()).max().unwrap_or(0);
    for (what, address) in &running.addresses {
        let _ = writeln!(text, "  {what:width$}  {address}");
    }
    text.push('\n');
    if running.seeded.is_some() {
        first_start(&mut text, running);
    }
    text
}

fn first_start(text: &mut String, running: &Running) {
    let Some(seeded) = &running.seeded else { return };
    let _ = writeln!(text, "First start: these secrets are shown this once.\n");
    let _ = writeln!(text, "  administrator   {}   password {}", seeded.admin_login, seeded.admin_password.expose());
    let domain = &running.sip_domain;
    for user in &seeded.users {
        let _ = writeln!(
            text,
            "  {0:<15} number {1}   SIP username {0}   SIP password {2}\n{3:17}login {0}@{domain}   password {4}",
            user.name,
            user.number,
            user.sip_password.expose(),
            "",
            user.password.expose()
        );
    }
    let _ = writeln!(text, "\nTry this\n");
    let sip = running.address("SIP over UDP");
    if let (Some(sip), [first, second, ..]) = (sip, &seeded.users[..]) {
        let host = if sip.ip().is_unspecified() { "this machine's address".to_owned() } else { sip.ip().to_string() };
        let _ = writeln!(text, "  Two softphones, account {0}@{domain} and {1}@{domain}:", first.name, second.name);
        let _ = writeln!(
            text,
            "    username {0} or {1}, domain {domain}, proxy {host}:{2}",
            first.name,
            second.name,
            sip.port()
        );
        let _ = writeln!(text, "    (or {host} as domain). From the first, dial {} or {}.", second.number, second.name);
        let _ = writeln!(text, "    Dial *43 for an echo test.\n");
    }
    if let (true, Some(api), [first, second, ..]) =
        (running.has(Role::ControlApi), running.address("HTTP API"), &seeded.users[..])
    {
        let _ = writeln!(text, "  A text from {} to {}:", first.name, second.name);
        let _ = writeln!(
            text,
            "    TOKEN=$(curl -s http://{api}/api/v1/auth/login -H 'content-type: application/json' \\\n      \
             -d '{{\"login\":\"{0}@{domain}\",\"password\":\"{1}\"}}' | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')",
            first.name,
            first.password.expose()
        );
        let _ = writeln!(
            text,
            "    curl -s http://{api}/api/v1/sms/send -H \"authorization: Bearer $TOKEN\" \\\n      \
             -H 'content-type: application/json' -d '{{\"from\":\"{}\",\"to\":\"{}\",\"text\":\"hello\"}}'\n",
            first.number, second.number
        );
        let _ = writeln!(text, "  The API's pages: http://{api}/docs\n");
    }
}
