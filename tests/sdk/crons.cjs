// Runs jobs under Sentry's cron monitoring: crons.cjs DSN.
const Sentry = require("@sentry/node");

Sentry.init({ dsn: process.argv[2] });
const config = {
  schedule: { type: "crontab", value: "*/20 * * * *" },
  timezone: "Europe/Berlin",
  checkinMargin: 2,
  maxRuntime: 5,
};

// Long enough that the end is not sent beside the beginning, over another connection.
const work = () => new Promise((done) => setTimeout(done, 300));

async function main() {
  await Sentry.withMonitor("node-good", work, config);
  const failing = async () => {
    await work();
    throw new Error("no rows");
  };
  await Sentry.withMonitor("node-bad", failing, config).catch(() => {});
  console.log(JSON.stringify({ sent: await Sentry.flush(10_000) }));
}

main();
