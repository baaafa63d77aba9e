-- Probes, heartbeats, services and the status page. Conventions as in the first schema.

-- owner: vigil
-- When tocsin itself could not see, so that nobody else is blamed for it.
CREATE TABLE blind_spells (
    id        INTEGER PRIMARY KEY,
    reason    TEXT NOT NULL CHECK (reason IN ('down', 'suspended', 'uplink', 'starved', 'full')),
    began_at  INTEGER NOT NULL,
    ended_at  INTEGER,                              -- NULL: still blind
    detail    TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX blind_spells_by_time ON blind_spells (began_at);
-- A weak machine is starved often: these must not stand in the way of the others.
CREATE INDEX blind_spells_by_reason ON blind_spells (reason, began_at);
CREATE UNIQUE INDEX blind_spells_open ON blind_spells (reason) WHERE ended_at IS NULL;

-- One row: the last time at which tocsin is known to have been awake.
CREATE TABLE alive (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at INTEGER NOT NULL
) STRICT;

-- One row: the canaries that are known to answer, so that their silence is believed however long it lasts.
CREATE TABLE canaries (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    addresses   TEXT NOT NULL,                      -- sorted, with spaces between
    answered_at INTEGER NOT NULL                    -- first
) STRICT;

-- owner: incidents
-- Planned work. When an occurrence begins, it becomes silences of its subjects.
CREATE TABLE maintenances (
    id          INTEGER PRIMARY KEY,
    uid         BLOB NOT NULL UNIQUE,
    key         TEXT NOT NULL UNIQUE,               -- by which files name it
    project_id  INTEGER REFERENCES projects (id) ON DELETE CASCADE,  -- NULL: every project
    title       TEXT NOT NULL,
    message     TEXT NOT NULL DEFAULT '',           -- for the status page
    starts_at   INTEGER NOT NULL,                   -- of the only occurrence; of a schedule: none begins before it
    ends_at     INTEGER,                            -- of a schedule: none begins at or after it; NULL: goes on
    duration_s  INTEGER NOT NULL,
    schedule    TEXT,                               -- five fields; NULL: once
    time_zone   TEXT NOT NULL,
    is_public   INTEGER NOT NULL DEFAULT 0,
    owner       TEXT NOT NULL CHECK (owner IN ('page', 'file')),
    created_by  TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    next_at     INTEGER,                            -- when the next occurrence begins; NULL: none does
    ended_at    INTEGER,                            -- called off, or nothing more to come
    version     INTEGER NOT NULL DEFAULT 0          -- grows with each change by somebody
) STRICT;
CREATE INDEX maintenances_by_project ON maintenances (project_id);
CREATE INDEX maintenances_due ON maintenances (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX maintenances_live ON maintenances (id) WHERE ended_at IS NULL;
CREATE INDEX maintenances_over ON maintenances (ended_at) WHERE ended_at IS NOT NULL;

-- What it covers; none: all of its project.
CREATE TABLE maintenance_subjects (
    maintenance_id INTEGER NOT NULL REFERENCES maintenances (id) ON DELETE CASCADE,
    key            TEXT NOT NULL,                   -- a signal's key, such as probe:7
    PRIMARY KEY (maintenance_id, key)
) STRICT, WITHOUT ROWID;

-- Those that began.
CREATE TABLE maintenance_occurrences (
    maintenance_id INTEGER NOT NULL REFERENCES maintenances (id) ON DELETE CASCADE,
    began_at       INTEGER NOT NULL,
    ends_at        INTEGER NOT NULL,
    called_off     INTEGER NOT NULL DEFAULT 0,      -- 1: somebody ended it; it does not begin again
    PRIMARY KEY (maintenance_id, began_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX maintenance_occurrences_by_end ON maintenance_occurrences (ends_at);

-- The silences that an occurrence became.
CREATE TABLE maintenance_silences (
    silence_id     INTEGER PRIMARY KEY REFERENCES silences (id) ON DELETE CASCADE,
    maintenance_id INTEGER NOT NULL REFERENCES maintenances (id) ON DELETE CASCADE
) STRICT;
CREATE INDEX maintenance_silences_by_maintenance ON maintenance_silences (maintenance_id);

-- What it was called when it began, for the subject of its mails; NULL: as its summary says.
ALTER TABLE incidents ADD COLUMN opened_as TEXT;

-- What a probe or a heartbeat was a witness of, for its page. Of what lives there is an index already.
CREATE INDEX witnesses_past ON witnesses (key, incident_id) WHERE live = 0;

-- owner: probes
CREATE TABLE probes (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,   -- a key `probe:7` must never mean another one
    uid        BLOB NOT NULL UNIQUE,
    project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    key        TEXT NOT NULL UNIQUE,                -- by which files, dependencies and services name it
    name       TEXT NOT NULL,
    kind       TEXT NOT NULL,
    definition TEXT NOT NULL,                       -- JSON without secrets
    sealed     BLOB,                                -- JSON of the secrets, sealed with context `probe:{uid}`
    owner      TEXT NOT NULL CHECK (owner IN ('page', 'file')),
    paused_at  INTEGER,
    paused_by  TEXT,
    paused_until INTEGER,                           -- NULL: until somebody resumes it
    push_hash  BLOB,                                -- of the token with which results are reported
    grouped    INTEGER NOT NULL DEFAULT 0,          -- 1: a service that needs only some of its members rings for it
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version    INTEGER NOT NULL DEFAULT 1           -- grows with each change of the definition or the pause
) STRICT;
CREATE INDEX probes_by_project ON probes (project_id, name COLLATE NOCASE);
CREATE UNIQUE INDEX probes_by_push ON probes (push_hash) WHERE push_hash IS NOT NULL;

-- The child of a dead parent is unreachable, not dead.
CREATE TABLE probe_parents (
    probe_id  INTEGER NOT NULL REFERENCES probes (id) ON DELETE CASCADE,
    parent_id INTEGER NOT NULL REFERENCES probes (id) ON DELETE CASCADE,
    PRIMARY KEY (probe_id, parent_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX probe_parents_by_parent ON probe_parents (parent_id);

-- How it is: what lists show and a restart goes on from.
CREATE TABLE probe_states (
    probe_id   INTEGER PRIMARY KEY REFERENCES probes (id) ON DELETE CASCADE,
    project_id INTEGER NOT NULL,
    status     TEXT NOT NULL CHECK (status IN
        ('unknown', 'healthy', 'degraded', 'unhealthy', 'unreachable', 'maintenance', 'paused')),
    rank       INTEGER NOT NULL,                    -- how urgent, for lists: the worst first
    name       TEXT NOT NULL DEFAULT '' COLLATE NOCASE,  -- as in probes, so that a list is read in order
    since      INTEGER NOT NULL,
    reason     TEXT NOT NULL DEFAULT '',
    flapping   INTEGER NOT NULL DEFAULT 0,
    judge      TEXT NOT NULL DEFAULT '{}',          -- JSON of what is remembered between readings
    forgotten  INTEGER NOT NULL DEFAULT 0,          -- grows when what was proved is forgotten: no reading before counts
    checked_at INTEGER,
    latency_us INTEGER
) STRICT;
CREATE INDEX probe_states_by_rank ON probe_states (project_id, rank, probe_id);
CREATE INDEX probe_states_in_order ON probe_states (rank, name, probe_id);

-- The last report of each probe that is reported to: durable before it is acknowledged, judged after.
CREATE TABLE probe_reports (
    probe_id INTEGER PRIMARY KEY REFERENCES probes (id) ON DELETE CASCADE,
    at       INTEGER NOT NULL,
    report   TEXT NOT NULL                          -- JSON: status, message, value, body
) STRICT;

-- Removed ones whose changes, points and hours are still to go: too many for the write that removes a probe.
CREATE TABLE probes_removed (
    probe_id INTEGER PRIMARY KEY
) STRICT;

-- From when on it was how. Uptime is counted from here.
CREATE TABLE probe_changes (
    id       INTEGER PRIMARY KEY,
    probe_id INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    status   TEXT NOT NULL,
    reason   TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX probe_changes_by_probe ON probe_changes (probe_id, at);
CREATE INDEX probe_changes_by_time ON probe_changes (at);

-- The last good and the last bad answer, to lay side by side.
CREATE TABLE probe_samples (
    probe_id INTEGER NOT NULL REFERENCES probes (id) ON DELETE CASCADE,
    kind     TEXT NOT NULL CHECK (kind IN ('good', 'bad')),
    at       INTEGER NOT NULL,
    sample   TEXT NOT NULL,                         -- JSON: phases, facts, the answer's head and beginning
    PRIMARY KEY (probe_id, kind)
) STRICT, WITHOUT ROWID;

-- Every reading of an hour, packed; written some minutes late, so a crash costs minutes of a curve.
CREATE TABLE probe_points (
    probe_id INTEGER NOT NULL,
    hour     INTEGER NOT NULL,
    points   BLOB NOT NULL,
    PRIMARY KEY (probe_id, hour)
) STRICT, WITHOUT ROWID;
CREATE INDEX probe_points_by_hour ON probe_points (hour);

-- What remains of an hour when its points are gone.
CREATE TABLE probe_hours (
    probe_id INTEGER NOT NULL,
    hour     INTEGER NOT NULL,
    good     INTEGER NOT NULL,
    slow     INTEGER NOT NULL,
    bad      INTEGER NOT NULL,
    blind    INTEGER NOT NULL,
    p50_us   INTEGER,
    p95_us   INTEGER,
    max_us   INTEGER,
    PRIMARY KEY (probe_id, hour)
) STRICT, WITHOUT ROWID;
CREATE INDEX probe_hours_by_hour ON probe_hours (hour);

-- owner: heartbeats
-- One per project; pings by slug carry it.
CREATE TABLE ping_keys (
    project_id INTEGER PRIMARY KEY REFERENCES projects (id) ON DELETE CASCADE,
    key        TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE heartbeats (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    uid         BLOB NOT NULL UNIQUE,               -- outside id
    ping_id     BLOB NOT NULL UNIQUE,               -- of its address: a key, random, for those who may change it
    project_id  INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    slug        TEXT NOT NULL,
    name        TEXT NOT NULL,
    definition  TEXT NOT NULL,                      -- JSON: schedule, grace, bounds
    owner       TEXT NOT NULL CHECK (owner IN ('page', 'file', 'ping', 'sentry')),  -- who made it
    paused_at   INTEGER,
    paused_by   TEXT,
    grouped     INTEGER NOT NULL DEFAULT 0,         -- as in probes
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    version     INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE UNIQUE INDEX heartbeats_by_slug ON heartbeats (project_id, slug);

CREATE TABLE heartbeat_states (
    heartbeat_id  INTEGER PRIMARY KEY REFERENCES heartbeats (id) ON DELETE CASCADE,
    project_id    INTEGER NOT NULL,
    status        TEXT NOT NULL CHECK (status IN ('new', 'up', 'late', 'down', 'paused')),
    rank          INTEGER NOT NULL,
    name          TEXT NOT NULL DEFAULT '' COLLATE NOCASE,  -- as in heartbeats, so that a list is read in order
    since         INTEGER NOT NULL,
    reason        TEXT NOT NULL DEFAULT '',
    last_ping_at  INTEGER,
    last_ok_at    INTEGER,
    last_start_at INTEGER,                          -- a run is under way
    expected_at   INTEGER,                          -- when the next ping should come
    due_at        INTEGER,                          -- when its absence becomes something: late, down, too long
    pings         INTEGER NOT NULL DEFAULT 0,
    missed        INTEGER NOT NULL DEFAULT 0,       -- runs that never came, in all
    missed_now    INTEGER NOT NULL DEFAULT 0,       -- in a row, up to now
    bad_now       INTEGER NOT NULL DEFAULT 0,       -- failures in a row, missed runs included
    good_now      INTEGER NOT NULL DEFAULT 0,       -- good runs in a row
    durations     TEXT NOT NULL DEFAULT '[]'        -- JSON: milliseconds of the last good runs
) STRICT;
CREATE INDEX heartbeat_states_by_rank ON heartbeat_states (project_id, rank, heartbeat_id);
CREATE INDEX heartbeat_states_in_order ON heartbeat_states (rank, name, heartbeat_id);
CREATE INDEX heartbeat_states_due ON heartbeat_states (due_at) WHERE due_at IS NOT NULL;

-- Removed ones whose runs and changes are still to go: too many for the write that removes a heartbeat.
CREATE TABLE heartbeats_removed (
    heartbeat_id INTEGER PRIMARY KEY
) STRICT;

-- A run from its start to its end, or a ping alone.
CREATE TABLE heartbeat_runs (
    id           INTEGER PRIMARY KEY,
    heartbeat_id INTEGER NOT NULL,
    rid          BLOB,
    kind         TEXT NOT NULL CHECK (kind IN ('running', 'success', 'fail', 'log', 'missed', 'ignored')),
    started_at   INTEGER,
    ended_at     INTEGER,
    at           INTEGER NOT NULL,                  -- of its last ping
    duration_us  INTEGER,
    exit_status  INTEGER,
    method       TEXT NOT NULL DEFAULT '',
    source       TEXT NOT NULL DEFAULT '',          -- http, email, sentry, or who else
    agent        TEXT NOT NULL DEFAULT '',
    address      TEXT NOT NULL DEFAULT '',
    note         TEXT NOT NULL DEFAULT '',          -- too early, longer than usual …
    body_bytes   INTEGER NOT NULL DEFAULT 0,        -- as sent
    body         BLOB
) STRICT;
CREATE INDEX heartbeat_runs_by_heartbeat ON heartbeat_runs (heartbeat_id, id);
CREATE INDEX heartbeat_runs_open ON heartbeat_runs (heartbeat_id, rid) WHERE kind = 'running';

CREATE TABLE heartbeat_changes (
    id           INTEGER PRIMARY KEY,
    heartbeat_id INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    status       TEXT NOT NULL,
    reason       TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX heartbeat_changes_by_heartbeat ON heartbeat_changes (heartbeat_id, at);
CREATE INDEX heartbeat_changes_by_time ON heartbeat_changes (at);

-- owner: health
-- What the team calls a service: some probes and heartbeats, and how many of them it needs.
CREATE TABLE services (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    uid        BLOB NOT NULL UNIQUE,
    project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    key        TEXT NOT NULL UNIQUE,                -- its name in /api/health
    name       TEXT NOT NULL,
    needs      TEXT NOT NULL CHECK (needs IN ('all', 'any', 'quorum')),
    quorum     INTEGER,                             -- of `quorum`: how many must be well
    critical   INTEGER NOT NULL,
    settings   TEXT NOT NULL DEFAULT '{}',          -- JSON: severity, labels, environment, runbook
    position   INTEGER NOT NULL,
    owner      TEXT NOT NULL CHECK (owner IN ('page', 'file')),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version    INTEGER NOT NULL DEFAULT 1           -- grows with each change by somebody
) STRICT;
CREATE INDEX services_by_project ON services (project_id);

CREATE TABLE service_members (
    service_id INTEGER NOT NULL REFERENCES services (id) ON DELETE CASCADE,
    member     TEXT NOT NULL,                       -- the key of its signals: probe:7, heartbeat:3
    position   INTEGER NOT NULL,
    PRIMARY KEY (service_id, member)
) STRICT, WITHOUT ROWID;
CREATE INDEX service_members_by_member ON service_members (member);

CREATE TABLE service_states (
    service_id INTEGER PRIMARY KEY REFERENCES services (id) ON DELETE CASCADE,
    status     TEXT NOT NULL CHECK (status IN ('unknown', 'healthy', 'degraded', 'unhealthy', 'maintenance')),
    since      INTEGER NOT NULL,
    reason     TEXT NOT NULL DEFAULT ''
) STRICT;

-- Removed ones whose changes are still to go: too many for the write that removes a service.
CREATE TABLE services_removed (
    service_id INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE service_changes (
    id         INTEGER PRIMARY KEY,
    service_id INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    status     TEXT NOT NULL,
    reason     TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX service_changes_by_service ON service_changes (service_id, at);
CREATE INDEX service_changes_by_time ON service_changes (at);

-- owner: status_page
-- One page; the row is there from the first time that somebody saves it.
CREATE TABLE status_pages (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    enabled     INTEGER NOT NULL,
    title       TEXT NOT NULL,
    description TEXT NOT NULL DEFAULT '',
    settings    TEXT NOT NULL DEFAULT '{}',         -- JSON: links, what is shown
    owner       TEXT NOT NULL CHECK (owner IN ('page', 'file')),
    updated_at  INTEGER NOT NULL,
    version     INTEGER NOT NULL DEFAULT 1          -- grows with each change by somebody
) STRICT;

CREATE TABLE status_sections (
    position INTEGER PRIMARY KEY,
    title    TEXT NOT NULL
) STRICT;

-- What the page shows of a service, and under which name strangers may know it.
CREATE TABLE status_entries (
    service_key TEXT PRIMARY KEY,
    section     INTEGER NOT NULL REFERENCES status_sections (position) ON DELETE CASCADE,
    position    INTEGER NOT NULL,
    title       TEXT,
    badge       TEXT NOT NULL UNIQUE,               -- unguessable
    latency     INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX status_entries_by_section ON status_entries (section, position);

-- What strangers read about an incident; written from a real one or by hand.
CREATE TABLE status_posts (
    id          INTEGER PRIMARY KEY,
    uid         BLOB NOT NULL UNIQUE,
    incident    BLOB,                               -- the uid of the incident it tells of; NULL: none
    title       TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('investigating', 'identified', 'monitoring', 'resolved')),
    impact      TEXT NOT NULL CHECK (impact IN ('none', 'minor', 'major', 'critical')),
    services    TEXT NOT NULL DEFAULT '[]',         -- JSON: keys
    began_at    INTEGER NOT NULL,
    resolved_at INTEGER,
    published   INTEGER NOT NULL,
    removed_at  INTEGER                             -- taken away; kept so that its incident is not told anew
) STRICT;
CREATE INDEX status_posts_by_time ON status_posts (began_at);
CREATE UNIQUE INDEX status_posts_by_incident ON status_posts (incident) WHERE incident IS NOT NULL;

CREATE TABLE status_updates (
    id      INTEGER PRIMARY KEY,
    post_id INTEGER NOT NULL REFERENCES status_posts (id) ON DELETE CASCADE,
    at      INTEGER NOT NULL,
    state   TEXT NOT NULL,
    text    TEXT NOT NULL,
    author  TEXT NOT NULL
) STRICT;
CREATE INDEX status_updates_by_post ON status_updates (post_id, at);

-- owner: manifest
-- What files said of a thing, as far as the thing's own row does not hold it.
CREATE TABLE manifest_entries (
    section TEXT NOT NULL,
    key     TEXT NOT NULL,
    place   TEXT NOT NULL,                          -- file and line that named it last
    secrets TEXT NOT NULL DEFAULT '{}',             -- JSON: a secret's name and its reference, never the secret
    PRIMARY KEY (section, key)
) STRICT, WITHOUT ROWID;
