-- Ten thousand rows in every list, beside the one issue of a project that real ingest made.
-- Issues seen over the last day, all of them in this hour too; half of the incidents and messages are over.
CREATE TEMP TABLE n AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) SELECT i FROM n;

INSERT INTO issues (uid, project_id, number, algorithm, reason, title, culprit, level, severity, class, platform, status,
                    status_at, first_seen)
SELECT randomblob(16), project_id, 100000 + i, algorithm, reason, 'PaymentError ' || i || ': gateway refused',
       'shop.payment in pay_' || i, level, severity, class, platform, status, status_at,
       (unixepoch() - 86400 - i) * 1000000
FROM n, (SELECT * FROM issues LIMIT 1);

INSERT INTO issue_keys (project_id, key, algorithm, issue_id)
SELECT project_id, randomblob(16), algorithm, id FROM issues WHERE number > 100000;

INSERT INTO issue_stats (issue_id, project_id, count, stored, sampled, evicted, day, stored_today, users, users_exact,
                         users_tail, last_seen)
SELECT id, project_id, 1 + id % 997, 1, id % 997, 0, unixepoch() / 86400, 1, id % 89, 1, x'',
       (unixepoch() - (id * 7919) % 86400) * 1000000
FROM issues WHERE number > 100000;

INSERT INTO issue_hours (project_id, hour, issue_id, count)
SELECT project_id, unixepoch() / 3600 - back, id, 1 + id % 13
FROM issues, (SELECT 0 AS back UNION SELECT 5 UNION SELECT 17) WHERE number > 100000;

INSERT INTO incidents (uid, project_id, severity, state, summary, impact_started_at, detected_at, resolved_at,
                       resolve_reason, witness_count)
SELECT randomblob(16), (SELECT project_id FROM issues LIMIT 1), 'high', iif(i % 2, 'open', 'resolved'), 'Incident ' || i || ' of the shop',
       (unixepoch() - i) * 1000000, (unixepoch() - i) * 1000000 + 19000, iif(i % 2, NULL, unixepoch() * 1000000),
       iif(i % 2, NULL, 'recovered'), 1
FROM n;

INSERT INTO witnesses (incident_id, key, source, kind, severity, summary, detail, state, live, first_bad_at, detected_at,
                       last_bad_at)
SELECT id, 'bench:' || id, 'errors', 'condition', severity, summary, '{"events":12,"users":3}',
       iif(state = 'open', 'firing', 'ok'), state = 'open', impact_started_at, detected_at, detected_at
FROM incidents WHERE summary LIKE 'Incident %';

INSERT INTO deliveries (uid, project_id, incident_id, cause, purpose, severity, content, state, attempts, created_at,
                        delivered_at)
SELECT randomblob(16), project_id, id, 'incident', 'opened', severity, '{}', iif(state = 'open', 'waiting', 'delivered'), 1,
       detected_at, iif(state = 'open', NULL, detected_at + 300000)
FROM incidents WHERE summary LIKE 'Incident %';

INSERT OR IGNORE INTO outcomes (project_id, hour, reason, category, quantity)
SELECT (SELECT project_id FROM issues LIMIT 1), unixepoch() / 3600 - i / 15, 'client:reason_' || (i % 15), 'error', i FROM n;
