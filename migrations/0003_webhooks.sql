-- Webhooks: what providers call, and where it goes. Conventions as in the first schema.

-- owner: webhooks
-- Who calls. Its key is its address: /hooks/{key}.
CREATE TABLE webhook_sources (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,   -- a key `webhook:7` must never mean another one
    uid        BLOB NOT NULL UNIQUE,
    project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    key        TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    provider   TEXT NOT NULL,
    definition TEXT NOT NULL,                       -- JSON without secrets
    sealed     BLOB,                                -- JSON of the secrets, newest first, context `webhook_source:{uid}`
    owner      TEXT NOT NULL CHECK (owner IN ('page', 'file')),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version    INTEGER NOT NULL DEFAULT 1           -- grows with each change by somebody
) STRICT;
CREATE INDEX webhook_sources_by_project ON webhook_sources (project_id, name COLLATE NOCASE);

CREATE TABLE webhook_source_states (
    source_id  INTEGER PRIMARY KEY REFERENCES webhook_sources (id) ON DELETE CASCADE,
    accepted   INTEGER NOT NULL DEFAULT 0,
    duplicates INTEGER NOT NULL DEFAULT 0,
    refused    INTEGER NOT NULL DEFAULT 0,
    last_at    INTEGER,                             -- of the newest that was accepted
    refused_at INTEGER
) STRICT;

-- Where the events of a source go. Each has a breaker of its own.
CREATE TABLE webhook_destinations (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    uid        BLOB NOT NULL UNIQUE,
    source_id  INTEGER NOT NULL REFERENCES webhook_sources (id) ON DELETE CASCADE,
    project_id INTEGER NOT NULL,
    key        TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    definition TEXT NOT NULL,                       -- JSON without secrets
    sealed     BLOB,                                -- JSON of the secrets, context `webhook_destination:{uid}`
    owner      TEXT NOT NULL CHECK (owner IN ('page', 'file')),
    held_at    INTEGER,                             -- nothing is sent; everything waits
    held_by    TEXT,                                -- who, or why tocsin did
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version    INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX webhook_destinations_by_source ON webhook_destinations (source_id, id);
CREATE INDEX webhook_destinations_by_project ON webhook_destinations (project_id);

CREATE TABLE webhook_destination_states (
    destination_id INTEGER PRIMARY KEY REFERENCES webhook_destinations (id) ON DELETE CASCADE,
    breaker        TEXT NOT NULL DEFAULT '{}',      -- JSON: a restart does not hammer a sick app
    state          TEXT NOT NULL DEFAULT 'closed' CHECK (state IN ('closed', 'open', 'half_open')),
    open_until     INTEGER,
    changed_at     INTEGER,
    last_ok_at     INTEGER,
    last_failed_at INTEGER,
    last_error     TEXT NOT NULL DEFAULT ''
) STRICT;

-- What was accepted, once.
CREATE TABLE webhook_requests (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    uid          BLOB NOT NULL UNIQUE,              -- begins with the time, so that it is appended
    source_id    INTEGER NOT NULL,
    project_id   INTEGER NOT NULL,
    received_at  INTEGER NOT NULL,
    event_id     TEXT NOT NULL,                     -- the provider's, or a hash of the body
    event_type   TEXT NOT NULL DEFAULT '',
    order_key    TEXT,
    content_type TEXT NOT NULL DEFAULT '',
    body_bytes   INTEGER NOT NULL,
    address      TEXT NOT NULL DEFAULT '',          -- who called
    secret       INTEGER,                           -- which of the secrets verified it, 0 the newest
    signed_at    INTEGER,                           -- by the provider
    repeats      INTEGER NOT NULL DEFAULT 0,        -- how often it was sent again
    after        INTEGER                            -- the request that died, of an event that was sent again
) STRICT;
CREATE INDEX webhook_requests_by_source ON webhook_requests (source_id, id);
CREATE INDEX webhook_requests_by_project ON webhook_requests (project_id, id);
CREATE INDEX webhook_requests_by_type ON webhook_requests (source_id, event_type, id);

-- What it brought: headers, query and body as they came, compressed and sealed with context `webhook:{uid}`.
CREATE TABLE webhook_payloads (
    request_id INTEGER PRIMARY KEY,
    payload    BLOB NOT NULL
) STRICT;

-- So that nothing is taken twice. Outlives the requests. An event whose signature covers neither its id nor a time has a
-- second row: `content:` and a hash of what was signed, so that nobody can send it again under another id.
CREATE TABLE processed_webhook_events (
    id           INTEGER PRIMARY KEY,
    source_id    INTEGER NOT NULL,
    event_id     TEXT NOT NULL,
    request_id   INTEGER NOT NULL,
    processed_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX processed_webhook_events_by_event ON processed_webhook_events (source_id, event_id);

-- One request to one destination. `due_at` NULL: nothing is to be tried, or an earlier one of its order key is.
CREATE TABLE webhook_deliveries (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    uid             BLOB NOT NULL UNIQUE,
    request_id      INTEGER NOT NULL,
    destination_id  INTEGER NOT NULL,
    source_id       INTEGER NOT NULL,
    project_id      INTEGER NOT NULL,
    status          TEXT NOT NULL CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'dead_letter')),
    order_key       TEXT,                           -- only where the destination keeps order
    due_at          INTEGER,
    began_at        INTEGER NOT NULL,               -- its deadline counts from here; a replay begins anew
    attempts        INTEGER NOT NULL DEFAULT 0,
    began_after     INTEGER NOT NULL DEFAULT 0,     -- attempts before it was begun anew: waits count from there
    last_attempt_at INTEGER,
    completed_at    INTEGER,
    last_status     INTEGER,                        -- of the last answer
    error           TEXT,
    lease           BLOB,                           -- the boot id of the process that sends it
    replay_id       INTEGER,
    settled_at      INTEGER,                        -- of a dead letter: somebody dealt with it
    settled_by      TEXT
) STRICT;
CREATE INDEX webhook_deliveries_by_request ON webhook_deliveries (request_id);
CREATE INDEX webhook_deliveries_by_destination ON webhook_deliveries (destination_id, id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (destination_id, due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX webhook_deliveries_in_order ON webhook_deliveries (destination_id, order_key, id)
    WHERE order_key IS NOT NULL AND status IN ('pending', 'processing', 'failed');
CREATE INDEX webhook_deliveries_unfinished ON webhook_deliveries (source_id, status, request_id)
    WHERE status IN ('pending', 'failed', 'dead_letter');
CREATE INDEX webhook_deliveries_leased ON webhook_deliveries (destination_id, id) WHERE status = 'processing';
CREATE INDEX webhook_deliveries_dead ON webhook_deliveries (project_id, id)
    WHERE status = 'dead_letter' AND settled_at IS NULL;
CREATE INDEX webhook_deliveries_dead_there ON webhook_deliveries (destination_id, id)
    WHERE status = 'dead_letter' AND settled_at IS NULL;
CREATE INDEX webhook_deliveries_by_replay ON webhook_deliveries (replay_id, status) WHERE replay_id IS NOT NULL;

CREATE TABLE webhook_attempts (
    id          INTEGER PRIMARY KEY,
    delivery_id INTEGER NOT NULL,
    number      INTEGER NOT NULL,
    cause       TEXT NOT NULL CHECK (cause IN ('first', 'retry', 'replay', 'probe')),
    started_at  INTEGER NOT NULL,
    duration_us INTEGER,                            -- NULL: tocsin ended meanwhile
    status      INTEGER,                            -- NULL: no answer came
    error       TEXT,
    answer      TEXT                                -- head and beginning of what the app answered, where it failed
) STRICT;
CREATE INDEX webhook_attempts_by_delivery ON webhook_attempts (delivery_id, number);

-- Of five minutes each: what pages draw and rules judge.
CREATE TABLE webhook_source_points (
    source_id  INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    accepted   INTEGER NOT NULL DEFAULT 0,
    duplicates INTEGER NOT NULL DEFAULT 0,
    refused    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (source_id, at)
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_source_points_by_time ON webhook_source_points (at);

CREATE TABLE webhook_destination_points (
    destination_id INTEGER NOT NULL,
    at             INTEGER NOT NULL,
    attempts       INTEGER NOT NULL DEFAULT 0,
    failures       INTEGER NOT NULL DEFAULT 0,
    completed      INTEGER NOT NULL DEFAULT 0,
    at_first       INTEGER NOT NULL DEFAULT 0,      -- completed by the first attempt
    dead           INTEGER NOT NULL DEFAULT 0,
    slow           INTEGER NOT NULL DEFAULT 0,      -- answered later than a second
    latency        BLOB NOT NULL DEFAULT x'',       -- counts by doubling durations
    PRIMARY KEY (destination_id, at)
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_destination_points_by_time ON webhook_destination_points (at);

-- The last ones of each source. Never a body, never a secret.
CREATE TABLE webhook_refusals (
    id        INTEGER PRIMARY KEY,
    source_id INTEGER NOT NULL REFERENCES webhook_sources (id) ON DELETE CASCADE,
    at        INTEGER NOT NULL,
    reason    TEXT NOT NULL,
    address   TEXT NOT NULL DEFAULT '',
    headers   TEXT NOT NULL DEFAULT '[]',           -- JSON
    count     INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX webhook_refusals_by_source ON webhook_refusals (source_id, id);

-- Many deliveries begun anew, at a bounded pace.
CREATE TABLE webhook_replays (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    uid        BLOB NOT NULL UNIQUE,
    project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    what       TEXT NOT NULL,                       -- JSON: which deliveries
    state      TEXT NOT NULL CHECK (state IN ('running', 'done', 'cancelled')),
    per_second INTEGER NOT NULL,
    total      INTEGER NOT NULL,                    -- as counted when it began
    released   INTEGER NOT NULL DEFAULT 0,
    skipped    INTEGER NOT NULL DEFAULT 0,          -- what they brought is gone
    cursor     INTEGER NOT NULL DEFAULT 0,          -- the last delivery that was looked at
    up_to      INTEGER NOT NULL,                    -- the last that is: what died later is not of it
    paced_at   INTEGER NOT NULL,                    -- up to here its pace is used up
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    ended_at   INTEGER
) STRICT;
CREATE INDEX webhook_replays_by_project ON webhook_replays (project_id, id);
CREATE INDEX webhook_replays_running ON webhook_replays (id) WHERE state = 'running';
CREATE INDEX webhook_replays_ended ON webhook_replays (ended_at) WHERE ended_at IS NOT NULL;

-- Removed ones whose requests, deliveries and attempts are still to go: too many for the write that removes a source.
CREATE TABLE webhooks_removed (
    kind TEXT NOT NULL CHECK (kind IN ('source', 'destination')),
    id   INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

-- For people who ask the database directly: a row for each event and destination.
CREATE VIEW webhook_delivery_log AS
SELECT webhook_deliveries.id,
       webhook_deliveries.project_id AS org_id,
       webhook_requests.event_type,
       webhook_requests.event_id,
       strftime('%Y-%m-%d %H:%M:%f', webhook_requests.received_at / 1000000.0, 'unixepoch') AS received_at,
       webhook_deliveries.status,
       webhook_deliveries.attempts,
       strftime('%Y-%m-%d %H:%M:%f', webhook_deliveries.last_attempt_at / 1000000.0, 'unixepoch') AS last_attempt_at,
       strftime('%Y-%m-%d %H:%M:%f', webhook_deliveries.completed_at / 1000000.0, 'unixepoch') AS completed_at,
       webhook_deliveries.error AS error_message,
       lower(hex(webhook_deliveries.uid)) AS job_id,
       strftime('%Y-%m-%d %H:%M:%f', webhook_requests.received_at / 1000000.0, 'unixepoch') AS created_at
FROM webhook_deliveries JOIN webhook_requests ON webhook_requests.id = webhook_deliveries.request_id;

-- owner: issues
-- Which delivery of a webhook an error came of: its event carried the trace that the delivery was sent with. The newest
-- of an issue stay.
CREATE TABLE issue_deliveries (
    issue_id    INTEGER NOT NULL REFERENCES issues (id) ON DELETE CASCADE,
    number      INTEGER NOT NULL,                   -- counts per issue
    delivery_id INTEGER NOT NULL,
    event_id    BLOB NOT NULL,                      -- the newest that came of it
    at          INTEGER NOT NULL,
    PRIMARY KEY (issue_id, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX issue_deliveries_by_delivery ON issue_deliveries (delivery_id, issue_id);
