// Verifies a webhook as an application does, with its provider's own library: verify_webhook.cjs PROVIDER SECRET URL.
// Input and verdict are those of verify_webhook.py.
const { fields, octokit, read } = require("./webhook_libraries.cjs");

class Refused extends Error {}

const said = (accepted) => {
  if (!accepted) throw new Refused("the library says no");
};

// Each loads its library, then answers how it verifies and the error by which it refuses.
const verifiers = {
  github: async () => {
    const { verify } = await octokit();
    return [async (secret, url, headers, body) => said(await verify(secret, body, headers["x-hub-signature-256"] || "-")), Refused];
  },
  stripe: () => {
    const { webhooks, errors } = require("stripe");
    return [
      (secret, url, headers, body) => webhooks.constructEvent(body, headers["stripe-signature"], secret),
      errors.StripeSignatureVerificationError,
    ];
  },
  standard: () => {
    const { Webhook, WebhookVerificationError } = require("standardwebhooks");
    return [(secret, url, headers, body) => new Webhook(secret).verify(body, headers), WebhookVerificationError];
  },
  svix: () => {
    const { Webhook, WebhookVerificationError } = require("svix");
    return [(secret, url, headers, body) => new Webhook(secret).verify(body, headers), WebhookVerificationError];
  },
  twilio: () => {
    const { validateRequest, validateRequestWithBody } = require("twilio");
    const verify = (secret, url, headers, body) => {
      const signature = headers["x-twilio-signature"] || "";
      said(
        url.includes("bodySHA256")
          ? validateRequestWithBody(secret, signature, url, body)
          : validateRequest(secret, signature, url, fields(body)),
      );
    };
    return [verify, Refused];
  },
};

async function main() {
  const [provider, secret, url] = process.argv.slice(2);
  const { headers, body } = JSON.parse(await read());
  const load = verifiers[provider];
  if (!load) throw new Error(`no library for ${provider}`);
  const [verify, refusal] = await load();
  try {
    await verify(secret, url, headers, body);
  } catch (refused) {
    if (!(refused instanceof refusal)) throw refused;
    console.log(String(refused));
    process.exitCode = 1;
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 2;
});
