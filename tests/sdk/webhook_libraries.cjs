// The libraries of providers, for sign_webhook.cjs and verify_webhook.cjs. One of them can only be imported, which knows
// nothing of NODE_PATH: so it is found by hand.
const path = require("node:path");
const { pathToFileURL } = require("node:url");

exports.ID = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";

exports.octokit = async () => {
  const folders = process.env.NODE_PATH.split(path.delimiter);
  const file = path.join(folders[0], "@octokit/webhooks-methods/dist-node/index.js");
  return import(pathToFileURL(file).href);
};

exports.fields = (body) => {
  const fields = {};
  for (const [name, value] of new URLSearchParams(body)) {
    fields[name] = name in fields ? [fields[name], value].flat() : value;
  }
  return fields;
};

exports.read = async () => {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
};
