-- Tables of the control API, one text for SQLite and PostgreSQL.

-- One login: the family of its refresh tokens. device_minted: the device was made by this login and goes with it.
CREATE TABLE api_sessions (
    id            BIGINT NOT NULL PRIMARY KEY,
    tenant_id     BIGINT NOT NULL REFERENCES tenants (id),
    user_id       BIGINT NOT NULL REFERENCES users (id),
    device_id     BIGINT,
    device_minted BIGINT NOT NULL DEFAULT 0 CHECK (device_minted IN (0, 1)),
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    ended_at_ms   BIGINT,
    ended_why     TEXT
);
CREATE INDEX api_sessions_user ON api_sessions (user_id, id);
CREATE INDEX api_sessions_expiry ON api_sessions (expires_at_ms);

-- token_hash: SHA-256 of the token in hexadecimal. A row that was used stays, so that a second use is recognised.
CREATE TABLE api_refresh_tokens (
    token_hash    TEXT   NOT NULL PRIMARY KEY,
    session_id    BIGINT NOT NULL REFERENCES api_sessions (id),
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    used_at_ms    BIGINT
);
CREATE INDEX api_refresh_tokens_session ON api_refresh_tokens (session_id);

-- object_id: the id that the request's object gets, fixed before anything is done, so that doing it again is no second
-- object. answer NULL: still being worked on, until lease_until_ms.
CREATE TABLE idempotency_keys (
    user_id        BIGINT NOT NULL,
    name           TEXT   NOT NULL,
    request_hash   TEXT   NOT NULL,
    object_id      BIGINT NOT NULL,
    lease_until_ms BIGINT NOT NULL,
    status         BIGINT,
    answer         TEXT,
    created_at_ms  BIGINT NOT NULL,
    expires_at_ms  BIGINT NOT NULL,
    PRIMARY KEY (user_id, name)
);
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at_ms);

-- Who changed what. tenant_id: whose object it is; NULL: the whole switch's. detail: JSON without secrets.
CREATE TABLE audit_log (
    id          BIGINT NOT NULL PRIMARY KEY,
    at_ms       BIGINT NOT NULL,
    tenant_id   BIGINT,
    actor_id    BIGINT,
    actor_role  TEXT   NOT NULL,
    action      TEXT   NOT NULL,
    object_kind TEXT   NOT NULL,
    object_id   BIGINT,
    detail      TEXT   NOT NULL,
    request_id  TEXT   NOT NULL
);
CREATE INDEX audit_log_tenant ON audit_log (tenant_id, id);
CREATE INDEX audit_log_object ON audit_log (object_kind, object_id, id);
