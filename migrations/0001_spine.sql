-- The first schema. Times are INTEGER microseconds UTC, outside ids are 16-byte BLOBs, flags are 0 or 1.
-- A line `-- owner: MODULE` names the module whose tables follow; tests/it/layers holds modules to it.
-- Every column that refers to another table leads an index: else removing one row reads a whole table.

-- owner: store
CREATE TABLE store_meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- owner: accounts
CREATE TABLE users (
    id            INTEGER PRIMARY KEY,
    uid           BLOB NOT NULL UNIQUE,
    email         TEXT NOT NULL COLLATE NOCASE UNIQUE,
    role          TEXT NOT NULL CHECK (role IN ('owner', 'member', 'viewer')),
    password_hash TEXT,
    created_at    INTEGER NOT NULL,
    last_seen_at  INTEGER,
    disabled_at   INTEGER
) STRICT;

CREATE TABLE sessions (
    id           INTEGER PRIMARY KEY,
    uid          BLOB NOT NULL UNIQUE,
    token_hash   BLOB NOT NULL UNIQUE,
    user_id      INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    csrf         TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    user_agent   TEXT,
    address      TEXT,
    -- 1: opened by a sign-in link, so it may set a password without the old one, once.
    by_link      INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- One-use links. `user_id` NULL: whoever opens it becomes the first owner.
CREATE TABLE sign_in_links (
    token_hash BLOB PRIMARY KEY,
    user_id    INTEGER REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX sign_in_links_by_user ON sign_in_links (user_id);

-- AUTOINCREMENT: the number of a removed project is never given to another one, DSNs live long.
CREATE TABLE projects (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    slug                TEXT NOT NULL UNIQUE,
    name                TEXT NOT NULL,
    created_at          INTEGER NOT NULL,
    first_event_at      INTEGER,
    archived_at         INTEGER,
    environments        INTEGER NOT NULL DEFAULT 0, -- rows in project_names, by kind
    releases            INTEGER NOT NULL DEFAULT 0,
    issue_number        INTEGER NOT NULL DEFAULT 0, -- the last one given
    owner               TEXT NOT NULL DEFAULT 'page' CHECK (owner IN ('page', 'file'))
) STRICT;

CREATE TABLE project_members (
    project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (project_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX project_members_by_user ON project_members (user_id);

CREATE TABLE dsn_keys (
    id                INTEGER PRIMARY KEY,
    project_id        INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    public_key        BLOB NOT NULL UNIQUE,
    kind              TEXT NOT NULL CHECK (kind IN ('browser', 'server')),
    label             TEXT NOT NULL,
    origins           TEXT NOT NULL DEFAULT '[]',   -- JSON array; empty: every origin
    events_per_minute INTEGER,                      -- NULL: the configured default
    allow_critical    INTEGER NOT NULL DEFAULT 0,   -- browser keys: may raise severity critical
    created_at        INTEGER NOT NULL,
    revoked_at        INTEGER,
    owner             TEXT NOT NULL DEFAULT 'page' CHECK (owner IN ('page', 'file'))
) STRICT;
CREATE INDEX dsn_keys_by_project ON dsn_keys (project_id);

CREATE TABLE api_tokens (
    id           INTEGER PRIMARY KEY,
    uid          BLOB NOT NULL UNIQUE,
    name         TEXT NOT NULL,
    token_hash   BLOB NOT NULL UNIQUE,
    hint         TEXT NOT NULL,                     -- the last four characters, to tell tokens apart
    scopes       TEXT NOT NULL,                     -- comma-separated, sorted
    project_id   INTEGER REFERENCES projects (id) ON DELETE CASCADE,
    created_at   INTEGER NOT NULL,
    created_by   TEXT NOT NULL,                     -- as in audit_log.actor
    last_used_at INTEGER,
    revoked_at   INTEGER
) STRICT;
CREATE INDEX api_tokens_by_project ON api_tokens (project_id);

-- Environments and releases, interned per project; domains refer to them by id.
CREATE TABLE project_names (
    id            INTEGER PRIMARY KEY,
    project_id    INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    kind          TEXT NOT NULL CHECK (kind IN ('environment', 'release')),
    name          TEXT NOT NULL,
    first_seen_at INTEGER NOT NULL,
    UNIQUE (project_id, kind, name)
) STRICT;

CREATE TABLE audit_log (
    id         INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL,
    actor      TEXT NOT NULL,                       -- an email address, `token NAME`, `command line`, `tocsin`
    action     TEXT NOT NULL,                       -- dotted, such as `project.create`
    subject    TEXT NOT NULL,
    project_id INTEGER,
    detail     TEXT NOT NULL DEFAULT '{}',          -- JSON without secrets
    address    TEXT
) STRICT;
CREATE INDEX audit_log_by_time ON audit_log (at);
-- The part of an action before its dot is its area. Each index ends in the row's id, by which lines are listed.
CREATE INDEX audit_log_by_actor ON audit_log (actor);
CREATE INDEX audit_log_by_area ON audit_log (substr(action, 1, instr(action, '.') - 1));
CREATE INDEX audit_log_by_both ON audit_log (actor, substr(action, 1, instr(action, '.') - 1));

-- owner: ledger
-- What was not kept, by reason, per hour.
CREATE TABLE outcomes (
    project_id INTEGER NOT NULL,
    hour       INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    category   TEXT NOT NULL,
    quantity   INTEGER NOT NULL,
    PRIMARY KEY (project_id, hour, reason, category)
) STRICT, WITHOUT ROWID;
CREATE INDEX outcomes_by_hour ON outcomes (hour);

-- owner: incidents
CREATE TABLE rules (
    id         INTEGER PRIMARY KEY,
    project_id INTEGER REFERENCES projects (id) ON DELETE CASCADE,  -- NULL: the default for every project
    kind       TEXT NOT NULL,
    enabled    INTEGER NOT NULL DEFAULT 1,
    severity   TEXT NOT NULL CHECK (severity IN ('low', 'medium', 'high', 'critical')),
    threshold  REAL,
    window_s   INTEGER,
    params     TEXT NOT NULL DEFAULT '{}',
    updated_at INTEGER NOT NULL,
    owner      TEXT NOT NULL DEFAULT 'page' CHECK (owner IN ('page', 'file'))
) STRICT;
CREATE UNIQUE INDEX rules_by_project ON rules (ifnull(project_id, 0), kind);
CREATE INDEX rules_of_project ON rules (project_id);

CREATE TABLE channels (
    id            INTEGER PRIMARY KEY,
    uid           BLOB NOT NULL UNIQUE,
    name          TEXT NOT NULL UNIQUE,
    kind          TEXT NOT NULL CHECK (kind IN ('email', 'slack', 'webhook')),
    settings      TEXT NOT NULL,                    -- JSON without secrets
    sealed        BLOB,                             -- secrets, sealed with context `channel:{uid}`
    owner         TEXT NOT NULL CHECK (owner IN ('page', 'environment', 'file')),
    position      INTEGER NOT NULL,                 -- order in which unanswered alarms climb
    state         TEXT NOT NULL CHECK (state IN ('ready', 'paused', 'broken', 'absent')),
    state_reason  TEXT,
    failures      INTEGER NOT NULL DEFAULT 0,       -- in a row; feeds the breaker
    open_until    INTEGER,                          -- breaker: no attempt before
    paced_until   INTEGER,                          -- Retry-After and pacing: no attempt before
    health_at     INTEGER,                          -- when these three were learned: shows a clock set back
    refusals      INTEGER NOT NULL DEFAULT 0,       -- answers in a row that nothing can go out here
    refused_since INTEGER,                          -- the first of them
    broken_at     INTEGER,                          -- when it last became broken
    created_at    INTEGER NOT NULL,
    delivered_at  INTEGER                           -- last proof that it works
) STRICT;

-- Projects that chose their channels; all others ring every channel. Apart from `routes`, which go with their
-- channels: a project that lost the last one of its choice has not chosen all.
CREATE TABLE route_choices (
    project_id INTEGER PRIMARY KEY REFERENCES projects (id) ON DELETE CASCADE
) STRICT;

-- The channels that a project chose.
CREATE TABLE routes (
    project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    channel_id INTEGER NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    PRIMARY KEY (project_id, channel_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX routes_by_channel ON routes (channel_id);

CREATE TABLE incidents (
    id                 INTEGER PRIMARY KEY,         -- also the number people say
    uid                BLOB NOT NULL UNIQUE,
    project_id         INTEGER REFERENCES projects (id) ON DELETE CASCADE,  -- NULL: tocsin's own
    service            TEXT,
    severity           TEXT NOT NULL CHECK (severity IN ('low', 'medium', 'high', 'critical')),
    state              TEXT NOT NULL CHECK (state IN ('open', 'acknowledged', 'resolved')),
    summary            TEXT NOT NULL,
    impact_started_at  INTEGER NOT NULL,
    detected_at        INTEGER NOT NULL,
    first_sent_at      INTEGER,
    first_delivered_at INTEGER,
    acknowledged_at    INTEGER,
    acknowledged_by    TEXT,
    recovered_at       INTEGER,
    resolved_at        INTEGER,
    resolve_reason     TEXT,
    witness_count      INTEGER NOT NULL DEFAULT 0,  -- also those not listed
    silenced           INTEGER NOT NULL DEFAULT 0,
    rings              INTEGER NOT NULL DEFAULT 0,
    next_ring_at       INTEGER                      -- NULL: nothing more will ring by itself
) STRICT;
CREATE INDEX incidents_unresolved ON incidents (project_id, impact_started_at) WHERE state <> 'resolved';
CREATE INDEX incidents_by_project ON incidents (project_id, id);
CREATE INDEX incidents_by_service ON incidents (service, impact_started_at) WHERE state <> 'resolved' AND service IS NOT NULL;
CREATE INDEX incidents_by_end ON incidents (resolved_at) WHERE state = 'resolved';
CREATE INDEX incidents_ringing ON incidents (next_ring_at) WHERE next_ring_at IS NOT NULL;

CREATE TABLE witnesses (
    id            INTEGER PRIMARY KEY,
    incident_id   INTEGER NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    key           TEXT NOT NULL,
    source        TEXT NOT NULL,                    -- errors, error_rate, slow_metrics, self, probe …
    kind          TEXT NOT NULL CHECK (kind IN ('condition', 'occurrence')),
    severity      TEXT NOT NULL CHECK (severity IN ('low', 'medium', 'high', 'critical')),
    summary       TEXT NOT NULL,
    detail        TEXT NOT NULL DEFAULT '{}',       -- JSON: facts for the message (queries, event id, users …)
    state         TEXT NOT NULL CHECK (state IN ('firing', 'holding', 'ok')),
    live          INTEGER NOT NULL,                 -- 1 while its incident is unresolved
    first_bad_at  INTEGER NOT NULL,
    detected_at   INTEGER NOT NULL,
    last_bad_at   INTEGER NOT NULL,
    ok_since      INTEGER,
    signal_count  INTEGER NOT NULL DEFAULT 1
) STRICT;
-- At most one open incident per key.
CREATE UNIQUE INDEX witnesses_live ON witnesses (key) WHERE live = 1;
CREATE INDEX witnesses_by_incident ON witnesses (incident_id);
-- What a silence may cover, page by page.
CREATE INDEX witnesses_unwell ON witnesses (id) WHERE live = 1 AND state <> 'ok';
CREATE INDEX witnesses_holding ON witnesses (ok_since) WHERE live = 1 AND state = 'holding';
CREATE INDEX witnesses_quiet ON witnesses (last_bad_at) WHERE live = 1 AND kind = 'occurrence' AND state = 'firing';

CREATE TABLE incident_events (
    id          INTEGER PRIMARY KEY,
    incident_id INTEGER NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    at          INTEGER NOT NULL,
    kind        TEXT NOT NULL,                      -- opened, joined, raised, rang, acknowledged, recovered …
    actor       TEXT,
    detail      TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX incident_events_by_incident ON incident_events (incident_id, id);

CREATE TABLE silences (
    id         INTEGER PRIMARY KEY,
    uid        BLOB NOT NULL UNIQUE,
    project_id INTEGER REFERENCES projects (id) ON DELETE CASCADE,  -- NULL: every project
    key        TEXT,                                -- NULL: every key; else a key or a prefix ending in *
    -- Not NULL: this incident and whatever joins it, and nothing else.
    incident_id INTEGER REFERENCES incidents (id) ON DELETE CASCADE,
    reason     TEXT NOT NULL,
    created_by TEXT NOT NULL,
    starts_at  INTEGER NOT NULL,
    ends_at    INTEGER NOT NULL,
    told_up_to INTEGER NOT NULL DEFAULT 0,          -- the last witness looked at since it ran out
    ended_at   INTEGER
) STRICT;
CREATE INDEX silences_by_project ON silences (project_id);
CREATE INDEX silences_by_incident ON silences (incident_id, ends_at);
CREATE INDEX silences_by_end ON silences (ends_at) WHERE ended_at IS NULL;
CREATE INDEX silences_ended ON silences (ended_at) WHERE ended_at IS NOT NULL;

-- New issues of a project's first day, waiting for one digest.
CREATE TABLE digest_entries (
    id         INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    at         INTEGER NOT NULL,
    due_at     INTEGER NOT NULL,
    severity   TEXT NOT NULL,
    summary    TEXT NOT NULL,
    key        TEXT NOT NULL
) STRICT;
CREATE INDEX digest_entries_by_due ON digest_entries (due_at);
CREATE INDEX digest_entries_by_time ON digest_entries (at);
CREATE INDEX digest_entries_by_project ON digest_entries (project_id, key);

-- Every message is a row here, written with its cause. `channel_id` NULL: no channel existed yet.
CREATE TABLE deliveries (
    id              INTEGER PRIMARY KEY,
    uid             BLOB NOT NULL UNIQUE,
    project_id      INTEGER,
    incident_id     INTEGER REFERENCES incidents (id) ON DELETE CASCADE,
    cause           TEXT NOT NULL CHECK (cause IN ('incident', 'account', 'subscription', 'report', 'test')),
    purpose         TEXT NOT NULL,                  -- opened, witness, ring_again, raised, recovered, digest, test …
    severity        TEXT NOT NULL,
    channel_id      INTEGER REFERENCES channels (id) ON DELETE SET NULL,
    recipient       TEXT,                           -- NULL: the channel's own
    follows         INTEGER,                        -- the delivery that went out without its recipient, who was put off
    content         TEXT NOT NULL,                  -- JSON: what the renderer needs beyond the incident's rows
    state           TEXT NOT NULL CHECK (state IN ('waiting', 'pending', 'sending', 'delivered', 'failed', 'bundled', 'cancelled')),
    attempts        INTEGER NOT NULL DEFAULT 0,
    quantity        INTEGER NOT NULL DEFAULT 1,     -- how many messages this one stands for
    bundle_id       INTEGER,                        -- the delivery that carries this one
    created_at      INTEGER NOT NULL,
    next_attempt_at INTEGER,
    tried_since     INTEGER,                        -- first claim, since somebody or a process last began anew
    lease_until     INTEGER,
    lease_boot      BLOB,
    delivered_at    INTEGER,
    last_error      TEXT,
    remote_id       TEXT,                           -- Slack ts, mail Message-ID: what a thread hangs on
    -- Who goes first on a channel: critical incidents, other incidents, everything else.
    rank            INTEGER NOT NULL GENERATED ALWAYS AS (
        CASE WHEN cause <> 'incident' THEN 2 WHEN severity <> 'critical' THEN 1 ELSE 0 END) VIRTUAL
) STRICT;
CREATE INDEX deliveries_due ON deliveries (channel_id, rank, next_attempt_at) WHERE state = 'pending';
CREATE INDEX deliveries_by_channel ON deliveries (channel_id, id);
CREATE INDEX deliveries_by_state ON deliveries (state, id);
CREATE INDEX deliveries_by_project ON deliveries (project_id, state, id);
CREATE INDEX deliveries_of_project ON deliveries (project_id, id);
CREATE INDEX deliveries_waiting ON deliveries (created_at) WHERE state = 'waiting';
CREATE INDEX deliveries_waiting_fold ON deliveries (id) WHERE state = 'waiting' AND purpose = 'bundle';
CREATE INDEX deliveries_by_bundle ON deliveries (bundle_id) WHERE bundle_id IS NOT NULL;
CREATE INDEX deliveries_by_incident ON deliveries (incident_id, channel_id, id);
-- One first message per incident and channel; one that failed may be written anew, and what follows it is another.
-- (A removed channel leaves its messages without one: they no longer count.)
CREATE UNIQUE INDEX deliveries_first ON deliveries (incident_id, channel_id) WHERE purpose = 'opened' AND state <> 'failed' AND follows IS NULL;
CREATE UNIQUE INDEX deliveries_first_waiting ON deliveries (incident_id) WHERE purpose = 'opened' AND state = 'waiting';
-- One more for each recipient who was put off.
CREATE UNIQUE INDEX deliveries_following ON deliveries (follows, recipient) WHERE follows IS NOT NULL;

-- How many wait, kept: each message that waits looks whether there are too many.
CREATE TABLE deliveries_waiting_count (
    count INTEGER NOT NULL
) STRICT;
INSERT INTO deliveries_waiting_count VALUES (0);
CREATE TRIGGER deliveries_begin_waiting AFTER INSERT ON deliveries WHEN new.state = 'waiting' BEGIN
    UPDATE deliveries_waiting_count SET count = count + 1;
END;
CREATE TRIGGER deliveries_change_waiting AFTER UPDATE OF state ON deliveries
WHEN (new.state = 'waiting') <> (old.state = 'waiting') BEGIN
    UPDATE deliveries_waiting_count SET count = count + iif(new.state = 'waiting', 1, -1);
END;
CREATE TRIGGER deliveries_end_waiting AFTER DELETE ON deliveries WHEN old.state = 'waiting' BEGIN
    UPDATE deliveries_waiting_count SET count = count - 1;
END;

CREATE TABLE delivery_attempts (
    id          INTEGER PRIMARY KEY,
    delivery_id INTEGER NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    number      INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    outcome     TEXT NOT NULL,                      -- delivered, retryable, permanent
    detail      TEXT NOT NULL                       -- the answer, or the dialogue with secrets masked
) STRICT;
CREATE INDEX delivery_attempts_by_delivery ON delivery_attempts (delivery_id, number);

-- owner: issues
-- AUTOINCREMENT here and for events: the number of something removed never means something else.
-- Names of releases and environments go only with their project, so that numbers of them need no check.
CREATE TABLE issues (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    uid              BLOB NOT NULL UNIQUE,
    project_id       INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    number           INTEGER NOT NULL,              -- counts per project; the short id is SLUG-number
    algorithm        TEXT NOT NULL,
    reason           TEXT NOT NULL,                 -- why these events are together, JSON
    title            TEXT NOT NULL,
    culprit          TEXT NOT NULL,
    level            TEXT NOT NULL,
    severity         TEXT NOT NULL,
    class            TEXT NOT NULL,
    platform         TEXT NOT NULL,
    status           TEXT NOT NULL CHECK (status IN ('unresolved', 'resolved', 'ignored')),
    status_at        INTEGER NOT NULL,
    status_by        TEXT,
    regressed_at     INTEGER,
    told_at          INTEGER,                       -- when it first rang or went into a digest; NULL: nobody was told
    alarmed_at       INTEGER,                       -- since when it is known to ring; NULL: it never rang
    return_of        INTEGER,                       -- when it was resolved before it came back, until somebody is told
    first_seen       INTEGER NOT NULL,
    first_release_id INTEGER,
    UNIQUE (project_id, number)
) STRICT;
CREATE INDEX issues_unresolved ON issues (project_id) WHERE status = 'unresolved';

-- Issues made per hour: beyond a bound, what is new is counted in one issue.
CREATE TABLE issue_births (
    project_id INTEGER NOT NULL,
    hour       INTEGER NOT NULL,
    quantity   INTEGER NOT NULL,
    PRIMARY KEY (project_id, hour)
) STRICT, WITHOUT ROWID;
CREATE INDEX issue_births_by_hour ON issue_births (hour);

-- The keys under which an issue is found: more than one after a merge or a new algorithm.
CREATE TABLE issue_keys (
    project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    key        BLOB NOT NULL,
    algorithm  TEXT NOT NULL,
    issue_id   INTEGER NOT NULL REFERENCES issues (id) ON DELETE CASCADE,
    PRIMARY KEY (project_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX issue_keys_by_issue ON issue_keys (issue_id);

-- What changes with every event, apart from the issue's texts so that a commit rewrites few pages.
-- count = stored + sampled + evicted.
CREATE TABLE issue_stats (
    issue_id        INTEGER PRIMARY KEY REFERENCES issues (id) ON DELETE CASCADE,
    project_id      INTEGER NOT NULL,
    count           INTEGER NOT NULL,
    stored          INTEGER NOT NULL,
    sampled         INTEGER NOT NULL,
    evicted         INTEGER NOT NULL,
    day             INTEGER NOT NULL,               -- the UTC day of stored_today
    stored_today    INTEGER NOT NULL,
    users           INTEGER NOT NULL,
    users_exact     INTEGER NOT NULL,               -- 0: `users` is an estimate
    users_tail      BLOB NOT NULL,                  -- user hashes not yet in issue_users
    last_seen       INTEGER NOT NULL,
    last_release_id INTEGER,
    top_release_id  INTEGER                         -- the greatest: names are numbered as they come
) STRICT;
CREATE INDEX issue_stats_by_last_seen ON issue_stats (project_id, last_seen);
CREATE INDEX issue_stats_by_time ON issue_stats (last_seen);

CREATE TABLE issue_users (
    issue_id INTEGER NOT NULL REFERENCES issues (id) ON DELETE CASCADE,
    chunk    INTEGER NOT NULL,
    hashes   BLOB NOT NULL,                         -- 8 bytes each
    PRIMARY KEY (issue_id, chunk)
) STRICT, WITHOUT ROWID;

CREATE TABLE issue_environments (
    project_id     INTEGER NOT NULL,
    environment_id INTEGER NOT NULL,
    issue_id       INTEGER NOT NULL REFERENCES issues (id) ON DELETE CASCADE,
    PRIMARY KEY (project_id, environment_id, issue_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX issue_environments_by_issue ON issue_environments (issue_id);

CREATE TABLE issue_hours (
    project_id INTEGER NOT NULL,
    hour       INTEGER NOT NULL,
    issue_id   INTEGER NOT NULL REFERENCES issues (id) ON DELETE CASCADE,
    count      INTEGER NOT NULL,
    PRIMARY KEY (project_id, hour, issue_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX issue_hours_by_issue ON issue_hours (issue_id, hour);
CREATE INDEX issue_hours_by_hour ON issue_hours (hour);

-- Errors per project in ten-second steps, for the error-rate rule.
CREATE TABLE error_rate (
    project_id INTEGER NOT NULL,
    step       INTEGER NOT NULL,
    errors     INTEGER NOT NULL,
    began_at   INTEGER NOT NULL,   -- when its first error came
    PRIMARY KEY (project_id, step)
) STRICT, WITHOUT ROWID;
CREATE INDEX error_rate_by_step ON error_rate (step);

-- One payload of an issue, against which its later ones are compressed.
CREATE TABLE payload_dictionaries (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id  INTEGER NOT NULL,
    issue_id    INTEGER NOT NULL REFERENCES issues (id) ON DELETE CASCADE,
    received_at INTEGER NOT NULL,                   -- when the event arrived that it was made of
    retired_at  INTEGER,                            -- from then on no payload is compressed against it
    content     BLOB NOT NULL
) STRICT;
CREATE INDEX payload_dictionaries_by_issue ON payload_dictionaries (issue_id);
CREATE INDEX payload_dictionaries_by_age ON payload_dictionaries (retired_at, received_at);

CREATE TABLE events (
    seq            INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id     INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    issue_id       INTEGER NOT NULL,
    event_id       BLOB NOT NULL,
    timestamp      INTEGER NOT NULL,
    received_at    INTEGER NOT NULL,
    level          TEXT NOT NULL,
    environment_id INTEGER,
    release_id     INTEGER,
    dictionary_id  INTEGER,                         -- NULL: compressed alone
    payload        BLOB NOT NULL                    -- the scrubbed JSON, compressed
) STRICT;
CREATE INDEX events_by_issue ON events (project_id, issue_id, seq);
-- Retention goes by it: a clock that was wrong for an hour must not stop what comes after.
-- Its search for payloads of busy issues reads this index alone.
CREATE INDEX events_by_time ON events (received_at, issue_id);

-- Ids of one commit in one row, 32 bytes each (project, id, seq or 0); merged into event_ids in sorted runs.
CREATE TABLE event_id_log (
    batch       INTEGER PRIMARY KEY,
    received_at INTEGER NOT NULL,
    ids         BLOB NOT NULL
) STRICT;
CREATE TABLE event_ids (
    project_id INTEGER NOT NULL,
    event_id   BLOB NOT NULL,
    seq        INTEGER NOT NULL,
    PRIMARY KEY (project_id, event_id)
) STRICT, WITHOUT ROWID;

-- owner: metrics
CREATE TABLE metric_points (
    id             INTEGER PRIMARY KEY,
    project_id     INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    type           TEXT NOT NULL,
    value          REAL NOT NULL,
    unit           TEXT,
    metadata       TEXT NOT NULL DEFAULT '{}',
    at             INTEGER NOT NULL,
    received_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX metric_points_by_type ON metric_points (project_id, type, at);
CREATE INDEX metric_points_by_time ON metric_points (received_at);
-- The points above a rule's bound when they came, apart so that its window is a small range.
CREATE TABLE slow_points (
    project_id  INTEGER NOT NULL,
    type        TEXT NOT NULL,
    at          INTEGER NOT NULL,
    point_id    INTEGER NOT NULL REFERENCES metric_points (id) ON DELETE CASCADE,
    duration_ms REAL NOT NULL,
    PRIMARY KEY (project_id, type, at, point_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX slow_points_by_point ON slow_points (point_id);
CREATE INDEX slow_points_by_time ON slow_points (at);

-- owner: releases
CREATE TABLE deploys (
    id          INTEGER PRIMARY KEY,
    uid         BLOB NOT NULL UNIQUE,
    project_id  INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    release     TEXT NOT NULL,
    environment TEXT NOT NULL,
    at          INTEGER NOT NULL,
    url         TEXT,
    created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX deploys_by_time ON deploys (project_id, at);
CREATE INDEX deploys_by_age ON deploys (at);

-- owner: engine
CREATE TABLE task_runs (
    task        TEXT PRIMARY KEY,
    started_at  INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    ok          INTEGER NOT NULL,
    result      TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- For people who ask the database directly: stored samples (see docs/sql.md).
-- owner: issues
-- `event_field` is a function of tocsin's own connections (src/issues/sql.rs): `tocsin sql` has it, a bare sqlite3
-- shell does not.
CREATE VIEW system_errors AS
SELECT lower(hex(events.event_id)) AS id,
       event_field(events.payload, payload_dictionaries.content, 'error_type') AS error_type,
       ifnull(event_field(events.payload, payload_dictionaries.content, 'message'), issues.title) AS message,
       event_field(events.payload, payload_dictionaries.content, 'context') AS context,
       ifnull(event_field(events.payload, payload_dictionaries.content, 'severity'), issues.severity) AS severity,
       event_field(events.payload, payload_dictionaries.content, 'user_id') AS user_id,
       event_field(events.payload, payload_dictionaries.content, 'metadata') AS metadata,
       event_field(events.payload, payload_dictionaries.content, 'stack_trace') AS stack_trace,
       strftime('%Y-%m-%d %H:%M:%f', events.received_at / 1000000.0, 'unixepoch') AS created_at
FROM events JOIN issues ON issues.id = events.issue_id
     LEFT JOIN payload_dictionaries ON payload_dictionaries.id = events.dictionary_id;

-- owner: metrics
CREATE VIEW system_metrics AS
SELECT id, type, value, metadata,
       strftime('%Y-%m-%d %H:%M:%f', at / 1000000.0, 'unixepoch') AS created_at
FROM metric_points;
