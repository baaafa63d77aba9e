// Verifies a webhook as an application does, with its provider's own library: verify_webhook.cjs PROVIDER SECRET URL.
// Input and verdict are those of verify_webhook.py.
const { fields, octokit, read } = require("./webhook_libraries.cjs");

const said = (accepted) => {
  if (!accepted) throw new Error("the library says no");
};

const verifiers = {
  github: async (secret, url, headers, body) =>
    said(await (await octokit()).verify(secret, body, headers["x-hub-signature-256"])),
  stripe: (secret, url, headers, body) =>
    require("stripe").webhooks.constructEvent(body, headers["stripe-signature"], secret),
  standard: (secret, url, headers, body) => new (require("standardwebhooks").Webhook)(secret).verify(body, headers),
  svix: (secret, url, headers, body) => new (require("svix").Webhook)(secret).verify(body, headers),
  twilio: (secret, url, headers, body) => {
    const { validateRequest, validateRequestWithBody } = require("twilio");
    const signature = headers["x-twilio-signature"];
    said(
      url.includes("bodySHA256")
        ? validateRequestWithBody(secret, signature, url, body)
        : validateRequest(secret, signature, url, fields(body)),
    );
  },
};

async function main() {
  const [provider, secret, url] = process.argv.slice(2);
  const { headers, body } = JSON.parse(await read());
  const verify = verifiers[provider];
  if (!verify) {
    console.error(`no library for ${provider}`);
    process.exit(2);
  }
  try {
    await verify(secret, url, headers, body);
  } catch (refusal) {
    console.log(String(refusal));
    process.exitCode = 1;
  }
}

main();
