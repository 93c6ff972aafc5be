-- The core schema, one text for SQLite and PostgreSQL.
--
-- Column discipline: ids, times (…_ms since 1970), money (…_micros) and flags (0/1) are BIGINT; enums and JSON are TEXT.
-- No BOOLEAN, TIMESTAMP or binary column. Ids are time-ordered (base::Id).

-- Versions that caches compare: `accounts`, `peers`, `rates`.
CREATE TABLE meta (
    name  TEXT   NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO meta (name, value) VALUES ('accounts', 1), ('peers', 1), ('rates', 1);

-- Random secrets of the switch, sealed by the master key.
CREATE TABLE secrets (
    name          TEXT   NOT NULL PRIMARY KEY,
    sealed        TEXT   NOT NULL,
    created_at_ms BIGINT NOT NULL
);

-- Running processes; a call whose process stopped beating is abandoned.
CREATE TABLE instances (
    id              BIGINT NOT NULL PRIMARY KEY,
    heartbeat_at_ms BIGINT NOT NULL
);

-- ---------------------------------------------------------------- accounts

CREATE TABLE tenants (
    id                 BIGINT NOT NULL PRIMARY KEY,
    name               TEXT   NOT NULL,
    status             TEXT   NOT NULL CHECK (status IN ('active', 'suspended', 'deleted')),
    currency           TEXT   NOT NULL,
    inbound_charged    BIGINT NOT NULL DEFAULT 0 CHECK (inbound_charged IN (0, 1)),
    refund_undelivered BIGINT NOT NULL DEFAULT 0 CHECK (refund_undelivered IN (0, 1)),
    secure_media       BIGINT NOT NULL DEFAULT 0 CHECK (secure_media IN (0, 1)),
    managed_by         TEXT,
    created_at_ms      BIGINT NOT NULL,
    updated_at_ms      BIGINT NOT NULL
);
CREATE UNIQUE INDEX tenants_name ON tenants (name) WHERE status <> 'deleted';

-- A SIP domain belongs to one tenant of the whole switch; lower case. The one with the least position is the main one.
CREATE TABLE domains (
    id            BIGINT NOT NULL PRIMARY KEY,
    tenant_id     BIGINT NOT NULL REFERENCES tenants (id),
    name          TEXT   NOT NULL,
    position      BIGINT NOT NULL,
    managed_by    TEXT,
    created_at_ms BIGINT NOT NULL,
    deleted_at_ms BIGINT
);
CREATE UNIQUE INDEX domains_name ON domains (name) WHERE deleted_at_ms IS NULL;
CREATE INDEX domains_tenant ON domains (tenant_id, position, id);

-- name: user part of the address-of-record; email: login of the API, lower case, unique in the whole switch.
-- password_hash: argon2id; password_tag: keyed tag that tells whether a manifest still names the same password.
CREATE TABLE users (
    id            BIGINT NOT NULL PRIMARY KEY,
    tenant_id     BIGINT NOT NULL REFERENCES tenants (id),
    domain_id     BIGINT NOT NULL REFERENCES domains (id),
    name          TEXT   NOT NULL,
    email         TEXT,
    display_name  TEXT,
    role          TEXT   NOT NULL CHECK (role IN ('user', 'tenant_admin', 'platform_admin')),
    status        TEXT   NOT NULL CHECK (status IN ('active', 'suspended', 'deleted')),
    password_hash TEXT,
    password_tag  TEXT,
    managed_by    TEXT,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL
);
CREATE UNIQUE INDEX users_name ON users (tenant_id, name) WHERE status <> 'deleted';
CREATE UNIQUE INDEX users_email ON users (email) WHERE status <> 'deleted' AND email IS NOT NULL;
CREATE INDEX users_tenant ON users (tenant_id, id);
CREATE INDEX users_domain ON users (domain_id);

-- Digest verifiers H(username:realm:password), realm = the domain's name; never a password.
CREATE TABLE devices (
    id             BIGINT NOT NULL PRIMARY KEY,
    tenant_id      BIGINT NOT NULL REFERENCES tenants (id),
    user_id        BIGINT NOT NULL REFERENCES users (id),
    domain_id      BIGINT NOT NULL REFERENCES domains (id),
    username       TEXT   NOT NULL,
    label          TEXT,
    ha1_md5        TEXT,
    ha1_sha256     TEXT,
    ha1_sha512_256 TEXT,
    media          TEXT   NOT NULL CHECK (media IN ('auto', 'rtp', 'sdes')),
    status         TEXT   NOT NULL CHECK (status IN ('active', 'suspended', 'deleted')),
    managed_by     TEXT,
    created_at_ms  BIGINT NOT NULL,
    updated_at_ms  BIGINT NOT NULL
);
CREATE UNIQUE INDEX devices_username ON devices (domain_id, username) WHERE status <> 'deleted';
CREATE INDEX devices_user ON devices (user_id, id);
CREATE INDEX devices_tenant ON devices (tenant_id, id);

-- position: order among a user's numbers, the least one is the primary number.
CREATE TABLE numbers (
    id            BIGINT NOT NULL PRIMARY KEY,
    tenant_id     BIGINT NOT NULL REFERENCES tenants (id),
    user_id       BIGINT REFERENCES users (id),
    number        TEXT   NOT NULL,
    kind          TEXT   NOT NULL CHECK (kind IN ('local', 'mobile', 'toll_free')),
    status        TEXT   NOT NULL CHECK (status IN ('active', 'inactive', 'porting', 'released')),
    time_zone     TEXT   NOT NULL,
    position      BIGINT NOT NULL DEFAULT 0,
    voice         BIGINT NOT NULL DEFAULT 1 CHECK (voice IN (0, 1)),
    sms           BIGINT NOT NULL DEFAULT 1 CHECK (sms IN (0, 1)),
    managed_by    TEXT,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL
);
CREATE UNIQUE INDEX numbers_number ON numbers (number) WHERE status <> 'released';
CREATE INDEX numbers_any ON numbers (number, id);
CREATE INDEX numbers_user ON numbers (user_id, position, id);
CREATE INDEX numbers_tenant ON numbers (tenant_id, id);

-- Call rules (R12); schedule: domain::rule::Schedule as JSON, in the number's time zone.
CREATE TABLE rules (
    id            BIGINT NOT NULL PRIMARY KEY,
    tenant_id     BIGINT NOT NULL REFERENCES tenants (id),
    number_id     BIGINT NOT NULL REFERENCES numbers (id),
    priority      BIGINT NOT NULL,
    kind          TEXT   NOT NULL CHECK (kind IN ('forward_always', 'forward_busy', 'forward_no_answer',
                                                  'forward_unreachable', 'dnd', 'schedule')),
    forward_to    TEXT,
    timeout_s     BIGINT CHECK (timeout_s BETWEEN 1 AND 120),
    schedule      TEXT,
    active        BIGINT NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
    managed_by    TEXT,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL
);
CREATE INDEX rules_number ON rules (number_id, priority, id);

-- ---------------------------------------------------------------- peers

-- tenant_id NULL: shared by all tenants. host NULL: the trunk only calls us. sources: JSON list of addresses.
CREATE TABLE trunks (
    id            BIGINT NOT NULL PRIMARY KEY,
    tenant_id     BIGINT REFERENCES tenants (id),
    name          TEXT   NOT NULL,
    host          TEXT,
    port          BIGINT CHECK (port BETWEEN 1 AND 65535),
    transport     TEXT   CHECK (transport IN ('udp', 'tcp', 'tls')),
    sources       TEXT   NOT NULL,
    enabled       BIGINT NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    calls_max     BIGINT CHECK (calls_max >= 0),
    managed_by    TEXT,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    deleted_at_ms BIGINT
);
CREATE UNIQUE INDEX trunks_name ON trunks (name) WHERE deleted_at_ms IS NULL;

-- prefix: digits without +, empty for every number; tenant_id NULL: for all tenants without a route of their own.
CREATE TABLE trunk_routes (
    id            BIGINT NOT NULL PRIMARY KEY,
    tenant_id     BIGINT REFERENCES tenants (id),
    prefix        TEXT   NOT NULL,
    priority      BIGINT NOT NULL,
    trunk_id      BIGINT NOT NULL REFERENCES trunks (id),
    managed_by    TEXT,
    created_at_ms BIGINT NOT NULL
);
CREATE UNIQUE INDEX trunk_routes_shared ON trunk_routes (prefix, trunk_id) WHERE tenant_id IS NULL;
CREATE UNIQUE INDEX trunk_routes_own ON trunk_routes (tenant_id, prefix, trunk_id) WHERE tenant_id IS NOT NULL;

-- password_sealed: sealed by the master key.
CREATE TABLE carriers (
    id                 BIGINT NOT NULL PRIMARY KEY,
    name               TEXT   NOT NULL,
    host               TEXT   NOT NULL,
    port               BIGINT NOT NULL CHECK (port BETWEEN 1 AND 65535),
    system_id          TEXT   NOT NULL,
    password_sealed    TEXT   NOT NULL,
    system_type        TEXT   NOT NULL,
    bind               TEXT   NOT NULL CHECK (bind IN ('transmitter', 'receiver', 'transceiver')),
    window_size        BIGINT NOT NULL CHECK (window_size BETWEEN 1 AND 65535),
    submits_per_second BIGINT CHECK (submits_per_second > 0),
    enabled            BIGINT NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    managed_by         TEXT,
    created_at_ms      BIGINT NOT NULL,
    updated_at_ms      BIGINT NOT NULL,
    deleted_at_ms      BIGINT
);
CREATE UNIQUE INDEX carriers_name ON carriers (name) WHERE deleted_at_ms IS NULL;

CREATE TABLE sms_routes (
    id            BIGINT NOT NULL PRIMARY KEY,
    tenant_id     BIGINT REFERENCES tenants (id),
    prefix        TEXT   NOT NULL,
    priority      BIGINT NOT NULL,
    carrier_id    BIGINT NOT NULL REFERENCES carriers (id),
    managed_by    TEXT,
    created_at_ms BIGINT NOT NULL
);
CREATE UNIQUE INDEX sms_routes_shared ON sms_routes (prefix, carrier_id) WHERE tenant_id IS NULL;
CREATE UNIQUE INDEX sms_routes_own ON sms_routes (tenant_id, prefix, carrier_id) WHERE tenant_id IS NOT NULL;

-- ---------------------------------------------------------------- prices

CREATE TABLE rate_decks (
    id            BIGINT NOT NULL PRIMARY KEY,
    tenant_id     BIGINT NOT NULL UNIQUE REFERENCES tenants (id),
    name          TEXT   NOT NULL,
    created_at_ms BIGINT NOT NULL
);

-- price_micros: per minute of talk or per segment of text. In force from effective_from_ms until a later one of the
-- same prefix begins.
CREATE TABLE rates (
    id                BIGINT NOT NULL PRIMARY KEY,
    deck_id           BIGINT NOT NULL REFERENCES rate_decks (id),
    service           TEXT   NOT NULL CHECK (service IN ('voice_out', 'voice_in', 'voice_on_net', 'sms_out')),
    prefix            TEXT   NOT NULL,
    price_micros      BIGINT NOT NULL CHECK (price_micros >= 0),
    connect_micros    BIGINT NOT NULL DEFAULT 0 CHECK (connect_micros >= 0),
    first_increment_s BIGINT NOT NULL CHECK (first_increment_s BETWEEN 1 AND 86400),
    next_increment_s  BIGINT NOT NULL CHECK (next_increment_s BETWEEN 1 AND 86400),
    effective_from_ms BIGINT NOT NULL DEFAULT 0,
    managed_by        TEXT,
    created_at_ms     BIGINT NOT NULL,
    updated_at_ms     BIGINT NOT NULL
);
CREATE UNIQUE INDEX rates_prefix ON rates (deck_id, service, prefix, effective_from_ms);

-- ---------------------------------------------------------------- money

-- balance: sum of its ledger entries; held: sum of its open reservations; entries: number of its ledger entries.
CREATE TABLE wallets (
    id                  BIGINT NOT NULL PRIMARY KEY,
    tenant_id           BIGINT NOT NULL REFERENCES tenants (id),
    user_id             BIGINT NOT NULL UNIQUE REFERENCES users (id),
    currency            TEXT   NOT NULL,
    balance_micros      BIGINT NOT NULL DEFAULT 0,
    held_micros         BIGINT NOT NULL DEFAULT 0 CHECK (held_micros >= 0),
    credit_limit_micros BIGINT NOT NULL DEFAULT 0 CHECK (credit_limit_micros >= 0),
    entries             BIGINT NOT NULL DEFAULT 0,
    created_at_ms       BIGINT NOT NULL,
    CHECK (balance_micros + credit_limit_micros - held_micros >= 0)
);
CREATE INDEX wallets_tenant ON wallets (tenant_id, id);

-- One movement of money: two or more entries whose sum is zero. reference: what it is for, also the idempotency key:
-- call:ID, sms:ID, sms-refund:ID, opening:USER, adjustment:ID. Rows are never changed or deleted.
CREATE TABLE postings (
    id            BIGINT NOT NULL PRIMARY KEY,
    tenant_id     BIGINT NOT NULL,
    kind          TEXT   NOT NULL CHECK (kind IN ('credit', 'debit', 'refund')),
    category      TEXT   NOT NULL CHECK (category IN ('call', 'sms', 'opening', 'top_up', 'adjustment')),
    reference     TEXT   NOT NULL UNIQUE,
    reason        TEXT,
    actor         TEXT,
    currency      TEXT   NOT NULL,
    created_at_ms BIGINT NOT NULL
);
CREATE INDEX postings_tenant ON postings (tenant_id, id);

-- account: `wallet` for a customer's purse, else an account of the operator: revenue, funding, adjustment.
-- Entries of one wallet form a chain: wallet_seq 1, 2, 3 …, each balance_before = the balance_after of the last one.
CREATE TABLE ledger_entries (
    posting_id            BIGINT NOT NULL REFERENCES postings (id),
    line                  BIGINT NOT NULL,
    account               TEXT   NOT NULL CHECK (account IN ('wallet', 'revenue', 'funding', 'adjustment')),
    wallet_id             BIGINT REFERENCES wallets (id),
    wallet_seq            BIGINT,
    amount_micros         BIGINT NOT NULL,
    balance_before_micros BIGINT,
    balance_after_micros  BIGINT,
    created_at_ms         BIGINT NOT NULL,
    PRIMARY KEY (posting_id, line),
    CHECK ((account = 'wallet') = (wallet_id IS NOT NULL)),
    CHECK (wallet_id IS NULL OR (wallet_seq IS NOT NULL AND balance_after_micros IS NOT NULL
                                 AND balance_after_micros = balance_before_micros + amount_micros))
);
CREATE UNIQUE INDEX ledger_entries_chain ON ledger_entries (wallet_id, wallet_seq) WHERE wallet_id IS NOT NULL;

-- Money set aside for one call or one message. touched_at_ms: last sign of life. rate_*: what a minute costs, so that
-- an abandoned call can be settled; NULL when no rate is known.
CREATE TABLE reservations (
    id                     BIGINT NOT NULL PRIMARY KEY,
    wallet_id              BIGINT NOT NULL REFERENCES wallets (id),
    call_id                BIGINT UNIQUE,
    message_id             BIGINT UNIQUE,
    held_micros            BIGINT NOT NULL CHECK (held_micros >= 0),
    currency               TEXT   NOT NULL,
    status                 TEXT   NOT NULL CHECK (status IN ('open', 'settled', 'released')),
    rate_id                BIGINT,
    rate_price_micros      BIGINT,
    rate_connect_micros    BIGINT,
    rate_first_increment_s BIGINT,
    rate_next_increment_s  BIGINT,
    opened_at_ms           BIGINT NOT NULL,
    touched_at_ms          BIGINT NOT NULL,
    expires_at_ms          BIGINT NOT NULL,
    closed_at_ms           BIGINT,
    CHECK ((call_id IS NULL) <> (message_id IS NULL))
);
CREATE INDEX reservations_open ON reservations (expires_at_ms) WHERE status = 'open';
CREATE INDEX reservations_wallet ON reservations (wallet_id) WHERE status = 'open';

-- ---------------------------------------------------------------- calls

-- price_micros: what was charged; uncollected_micros: what the wallet could not pay. legs: JSON of LegStatistics.
-- instance_id: the process that runs it.
CREATE TABLE calls (
    id                 BIGINT NOT NULL PRIMARY KEY,
    tenant_id          BIGINT NOT NULL,
    user_id            BIGINT,
    callee_user_id     BIGINT,
    device_id          BIGINT,
    direction          TEXT   NOT NULL CHECK (direction IN ('outbound', 'inbound', 'on_net')),
    from_party         TEXT   NOT NULL,
    to_party           TEXT   NOT NULL,
    sip_call_id        TEXT   NOT NULL,
    trunk_in_id        BIGINT,
    trunk_out_id       BIGINT,
    forwarded_to       TEXT,
    status             TEXT   NOT NULL CHECK (status IN ('initiated', 'ringing', 'answered', 'completed', 'failed',
                                                         'busy', 'no_answer')),
    cause              TEXT,
    sip_status         BIGINT,
    q850               BIGINT,
    ended_by           TEXT,
    started_at_ms      BIGINT NOT NULL,
    ringing_at_ms      BIGINT,
    answered_at_ms     BIGINT,
    ended_at_ms        BIGINT,
    talked_s           BIGINT NOT NULL DEFAULT 0,
    billed_s           BIGINT NOT NULL DEFAULT 0,
    price_micros       BIGINT,
    uncollected_micros BIGINT NOT NULL DEFAULT 0,
    currency           TEXT,
    legs               TEXT   NOT NULL DEFAULT '[]',
    instance_id        BIGINT NOT NULL
);
CREATE INDEX calls_tenant ON calls (tenant_id, started_at_ms, id);
CREATE INDEX calls_user ON calls (user_id, started_at_ms, id) WHERE user_id IS NOT NULL;
CREATE INDEX calls_callee ON calls (callee_user_id, started_at_ms, id) WHERE callee_user_id IS NOT NULL;
CREATE INDEX calls_running ON calls (instance_id) WHERE status IN ('initiated', 'ringing', 'answered');

-- Where devices are. data: JSON of sip-proto.
CREATE TABLE bindings (
    user_id       BIGINT NOT NULL,
    binding_key   TEXT   NOT NULL,
    device_id     BIGINT NOT NULL,
    data          TEXT   NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    PRIMARY KEY (user_id, binding_key)
);
CREATE INDEX bindings_expiry ON bindings (expires_at_ms);

-- ---------------------------------------------------------------- texts

-- price_micros: price of all segments as held; charged_micros: what was captured, refunds taken off.
-- receipt: last SMPP message_state that a receipt brought for the text as a whole.
CREATE TABLE messages (
    id              BIGINT NOT NULL PRIMARY KEY,
    tenant_id       BIGINT NOT NULL,
    user_id         BIGINT,
    wallet_id       BIGINT,
    direction       TEXT   NOT NULL CHECK (direction IN ('outbound', 'inbound')),
    from_party      TEXT   NOT NULL,
    to_party        TEXT   NOT NULL,
    body            TEXT   NOT NULL,
    encoding        TEXT   NOT NULL CHECK (encoding IN ('gsm7', 'ucs2')),
    segments        BIGINT NOT NULL,
    reference       BIGINT NOT NULL DEFAULT 0,
    status          TEXT   NOT NULL CHECK (status IN ('queued', 'sent', 'delivered', 'failed', 'cancelled', 'received')),
    receipt         TEXT,
    code            TEXT,
    carrier_id      BIGINT,
    price_micros    BIGINT NOT NULL DEFAULT 0,
    charged_micros  BIGINT NOT NULL DEFAULT 0,
    currency        TEXT,
    created_at_ms   BIGINT NOT NULL,
    due_at_ms       BIGINT NOT NULL,
    valid_until_ms  BIGINT NOT NULL,
    sent_at_ms      BIGINT,
    delivered_at_ms BIGINT,
    failed_at_ms    BIGINT
);
CREATE INDEX messages_tenant ON messages (tenant_id, created_at_ms, id);
CREATE INDEX messages_user ON messages (user_id, created_at_ms, id) WHERE user_id IS NOT NULL;
CREATE INDEX messages_validity ON messages (valid_until_ms) WHERE status = 'queued';
CREATE INDEX messages_unreceipted ON messages (valid_until_ms) WHERE status = 'sent' AND receipt IS NULL;

-- Carriers to try, in order.
CREATE TABLE message_plan (
    message_id BIGINT NOT NULL REFERENCES messages (id),
    position   BIGINT NOT NULL,
    carrier_id BIGINT NOT NULL,
    PRIMARY KEY (message_id, position)
);

-- The queue: one row per segment. A row may be claimed when queued, due and not leased. plan_position: carriers before
-- it have refused. carrier_message_key: carrier_message_id folded for comparison with receipts.
CREATE TABLE message_parts (
    message_id          BIGINT NOT NULL REFERENCES messages (id),
    part                BIGINT NOT NULL,
    body                TEXT   NOT NULL,
    status              TEXT   NOT NULL CHECK (status IN ('queued', 'accepted', 'failed', 'delivered', 'undelivered')),
    due_at_ms           BIGINT NOT NULL,
    lease_until_ms      BIGINT NOT NULL DEFAULT 0,
    attempts            BIGINT NOT NULL DEFAULT 0,
    plan_position       BIGINT NOT NULL DEFAULT 0,
    carrier_id          BIGINT,
    carrier_message_id  TEXT,
    carrier_message_key TEXT,
    submitted_at_ms     BIGINT,
    receipt             TEXT,
    code                TEXT,
    PRIMARY KEY (message_id, part)
);
CREATE INDEX message_parts_due ON message_parts (due_at_ms, message_id, part) WHERE status = 'queued';
CREATE INDEX message_parts_carrier ON message_parts (carrier_id, carrier_message_key)
    WHERE carrier_message_key IS NOT NULL;

-- Everything that happened to a text, with the carrier's raw code.
CREATE TABLE message_events (
    id         BIGINT NOT NULL PRIMARY KEY,
    message_id BIGINT NOT NULL REFERENCES messages (id),
    at_ms      BIGINT NOT NULL,
    event      TEXT   NOT NULL,
    part       BIGINT,
    carrier_id BIGINT,
    code       TEXT,
    raw        TEXT
);
CREATE INDEX message_events_message ON message_events (message_id, id);

-- Receipts that came before the response they belong to: one row per form of the id.
CREATE TABLE parked_receipts (
    carrier_id  BIGINT NOT NULL,
    message_key TEXT   NOT NULL,
    receipt_id  BIGINT NOT NULL,
    state       TEXT   NOT NULL,
    code        TEXT,
    raw         TEXT   NOT NULL,
    at_ms       BIGINT NOT NULL,
    PRIMARY KEY (carrier_id, message_key, receipt_id)
);
CREATE INDEX parked_receipts_receipt ON parked_receipts (receipt_id);
CREATE INDEX parked_receipts_age ON parked_receipts (at_ms);

-- Parts of inbound texts. message_id: the message that they became; kept for a day so that a repeated part is known.
CREATE TABLE inbound_parts (
    carrier_id BIGINT NOT NULL,
    from_party TEXT   NOT NULL,
    to_party   TEXT   NOT NULL,
    reference  BIGINT NOT NULL,
    parts      BIGINT NOT NULL,
    part       BIGINT NOT NULL,
    body       TEXT   NOT NULL,
    message_id BIGINT,
    at_ms      BIGINT NOT NULL,
    PRIMARY KEY (carrier_id, from_party, to_party, reference, parts, part)
);
CREATE INDEX inbound_parts_age ON inbound_parts (at_ms);
