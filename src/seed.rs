//! The first start on an empty database: an administrator and, if wanted, a demo tenant with two users that can call and
//! text each other. Passwords are random, shown once, and kept only as verifiers.

use base::{Currency, Random, Secret};
use store::{NewTenant, NewUser, Role, Store};

use crate::apply;
use crate::config::Config;
use crate::start::StartError;

/// Five bits a character: 100 bits.
const PASSWORD_LENGTH: usize = 20;
/// Login of the administrator.
const ADMIN: &str = "admin@localhost";
/// Tenant of administrators and its domain, in which nobody can register: no device is made there.
const OPERATOR: (&str, &str) = ("operator", "operator.invalid");

/// What was made, with the secrets to show once.
pub(crate) struct Seeded {
    pub(crate) admin_login: String,
    pub(crate) admin_password: Secret,
    pub(crate) users: Vec<DemoUser>,
}

/// A user of the demo tenant.
pub(crate) struct DemoUser {
    pub(crate) name: &'static str,
    pub(crate) number: &'static str,
    pub(crate) sip_password: Secret,
    pub(crate) password: Secret,
}

/// Makes the administrator when there is no tenant of administrators yet, and the demo tenant when there is no user at all.
pub(crate) async fn first_start(store: &Store, config: &Config) -> Result<Option<Seeded>, StartError> {
    if has_operator(store).await.map_err(StartError::new)? {
        return Ok(None);
    }
    let page = store::Page { limit: 1, ..store::Page::default() };
    let known = store.list_users(None, &store::UserFilter::default(), page).await.map_err(StartError::new)?;
    let mut random = Random::from_entropy();
    let mut secret = || Secret::new(random.token(PASSWORD_LENGTH));
    let admin_password = secret();
    // Numbers of the range reserved for fiction (NANPA 555-0100 to 0199).
    let users = vec![
        DemoUser { name: "alice", number: "+12025550101", sip_password: secret(), password: secret() },
        DemoUser { name: "bob", number: "+12025550102", sip_password: secret(), password: secret() },
    ];
    let wanted = known.is_empty() && config.node.demo && !config.sip_proxy.default_domain.is_empty();
    if wanted {
        let manifest = demo_manifest(&config.sip_proxy.default_domain, &users);
        apply::apply_text(store, "demo", &manifest).await.map_err(StartError::new)?;
    }
    create_admin(store, &admin_password).await.map_err(StartError::new)?;
    Ok(Some(Seeded { admin_login: ADMIN.into(), admin_password, users: if wanted { users } else { Vec::new() } }))
}

async fn has_operator(store: &Store) -> store::Result<bool> {
    let mut page = store::Page { limit: 1_000, ..store::Page::default() };
    loop {
        let tenants = store.list_tenants(page).await?;
        if tenants.iter().any(|t| t.name == OPERATOR.0) {
            return Ok(true);
        }
        let Some(last) = tenants.last() else { return Ok(false) };
        page.before = Some(last.id.as_i64());
    }
}

async fn create_admin(store: &Store, password: &Secret) -> store::Result<()> {
    let (name, domain) = OPERATOR;
    let tenant = NewTenant {
        name: name.into(),
        currency: Currency::USD,
        domains: vec![domain.into()],
        inbound_charged: false,
        refund_undelivered: false,
        secure_media: false,
    };
    let tenant = store.create_tenant(&tenant).await?.id;
    let user = NewUser {
        tenant,
        name: "admin".into(),
        domain: None,
        email: Some(ADMIN.into()),
        display_name: None,
        role: Role::PlatformAdmin,
        password: Some(password.clone()),
    };
    store.create_user(&user).await.map(drop)
}

/// The demo tenant as a manifest: calls between its users are free, texts cost a cent, and no rate leads to the public
/// network.
fn demo_manifest(domain: &str, users: &[DemoUser]) -> String {
    let mut text = format!(
        "[[tenant]]\nname = \"demo\"\ncurrency = \"USD\"\ndomains = [\"{domain}\"]\n\n\
         [[rate]]\ntenant = \"demo\"\nservice = \"voice_on_net\"\nprefix = \"\"\nprice = \"0\"\n\n\
         [[rate]]\ntenant = \"demo\"\nservice = \"sms_out\"\nprefix = \"1202555\"\nprice = \"0.01\"\n"
    );
    for user in users {
        text.push_str(&format!(
            "\n[[user]]\ntenant = \"demo\"\nname = \"{}\"\npassword = \"{}\"\nsip_password = \"{}\"\nnumbers = [\"{}\"]\nbalance = \"10.00\"\n",
            user.name,
            user.password.expose(),
            user.sip_password.expose(),
            user.number
        ));
    }
    text
}
