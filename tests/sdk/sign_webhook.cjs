// Signs a webhook with its provider's own library: sign_webhook.cjs PROVIDER SECRET AT URL, the body on stdin. Arguments
// and answer are those of sign_webhook.py.
const { ID, fields, octokit, read } = require("./webhook_libraries.cjs");

const signers = {
  github: async (secret, at, url, body) => ({
    "x-github-delivery": ID,
    "x-hub-signature-256": await (await octokit()).sign(secret, body),
  }),
  stripe: (secret, at, url, body) => ({
    "stripe-signature": require("stripe").webhooks.generateTestHeaderString({ payload: body, secret, timestamp: at }),
  }),
  standard: (secret, at, url, body) => ({
    "webhook-id": ID,
    "webhook-timestamp": String(at),
    "webhook-signature": new (require("standardwebhooks").Webhook)(secret).sign(ID, new Date(at * 1000), body),
  }),
  svix: (secret, at, url, body) => ({
    "svix-id": ID,
    "svix-timestamp": String(at),
    "svix-signature": new (require("svix").Webhook)(secret).sign(ID, new Date(at * 1000), body),
  }),
  twilio: (secret, at, url, body) => {
    const isHashed = url.includes("bodySHA256");
    const signature = require("twilio").getExpectedTwilioSignature(secret, url, isHashed ? {} : fields(body));
    const type = isHashed ? "application/json" : "application/x-www-form-urlencoded";
    return { "content-type": type, "x-twilio-signature": signature };
  },
};

async function main() {
  const [provider, secret, at, url] = process.argv.slice(2);
  const body = await read();
  const headers = await signers[provider](secret, Number(at), url, body);
  console.log(JSON.stringify({ headers: { "content-type": "application/json", ...headers }, body }));
}

main();
