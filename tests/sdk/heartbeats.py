"""Pings heartbeats with an unmodified client of healthchecks.io: heartbeats.py BASE PING_KEY UUID."""

import json
import sys

from healthchecks_io import CheckNotFoundError, CheckTrap, Client

base, key, uuid = sys.argv[1:]
client = Client(ping_key=key, ping_url=f"{base}/ping/")
said = {
    "start": client.start_ping(uuid=uuid),
    "success": client.success_ping(uuid=uuid, data="three tables, 12 MB"),
    "exit": client.exit_code_ping(3, slug="by-slug", data="rsync: no space left"),
}
try:
    client.success_ping(slug="nobody")
    said["unknown"] = "taken"
except CheckNotFoundError:
    said["unknown"] = "refused"
try:
    with CheckTrap(client, slug="trapped") as check:
        check.add_log("began")
        raise RuntimeError("the disk is gone")
except RuntimeError:
    said["trapped"] = "raised"
print(json.dumps(said))
