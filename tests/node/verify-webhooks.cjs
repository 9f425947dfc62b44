// A receiver of webhooks as its author would write it: with the package `standardwebhooks`.
//
// Reads an array of `{ secret, headers, body }` from standard input, the body in base64, and writes an array with
// `verified` for each, or why it is not.
"use strict";

const { Webhook, WebhookVerificationError } = require("standardwebhooks");
const { readFileSync } = require("node:fs");

function verify({ secret, headers, body }) {
  try {
    new Webhook(secret).verify(Buffer.from(body, "base64"), headers, { jsonParse: false });
    return "verified";
  } catch (error) {
    if (error instanceof WebhookVerificationError) {
      return error.message;
    }
    throw error;
  }
}

const received = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(received.map(verify)));
