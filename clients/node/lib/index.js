// A gateway's client: see README.md for ten lines to a first answer.
import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

import { Overloaded, ServiceUnavailable, SpendgateError, typed } from "./errors.js";
import { contracts, google } from "./protos.js";

export * from "./errors.js";

const TRIES_MAX = 3;
const BACKOFF_SECONDS = 0.1;
const DEADLINE_SECONDS = 120;
const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;

function load(file) {
  return protoLoader.loadSync(file, {
    includeDirs: [contracts, google],
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
  });
}

const gateway = grpc.loadPackageDefinition(load("spendgate/gateway/v1/gateway_service.proto")).spendgate.gateway.v1;

function detailTypes() {
  const loaded = { ...load("google/rpc/status.proto"), ...load("google/rpc/error_details.proto") };
  const decoders = Object.entries(loaded).map(([name, { deserialize }]) => [name, { decode: deserialize }]);
  return { ...Object.fromEntries(decoders), Status: { decode: loaded["google.rpc.Status"].deserialize } };
}

const types = detailTypes();

/** A line to the gateway. Close it when done. */
export class Spendgate {
  /**
   * @param {string} address host:port, or a gRPC target.
   * @param {{key: string, rootCertificates?: Buffer}} options `rootCertificates` turns TLS on.
   */
  constructor(address, { key, rootCertificates } = {}) {
    const credentials = rootCertificates ? grpc.credentials.createSsl(rootCertificates) : grpc.credentials.createInsecure();
    this._client = new gateway.GatewayService(address, credentials, {
      "grpc.max_receive_message_length": MESSAGE_BYTES_MAX,
      "grpc.max_send_message_length": MESSAGE_BYTES_MAX,
    });
    this._key = key;
  }

  /** Answers a prompt: text, or a list of {role, content}. Gives {text, choices, summary}. */
  async complete(prompt, options = {}) {
    const until = Date.now() + (options.deadlineSeconds ?? DEADLINE_SECONDS) * 1000;
    for (let tries = 1; ; tries += 1) {
      try {
        const { choices, summary } = await this._once(request(prompt, options), until, options);
        return { text: choices[0]?.message?.content ?? "", choices, summary };
      } catch (error) {
        const wait = pause(error, tries);
        if (wait === null || Date.now() + wait > until) throw error;
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
  }

  /** Answers piece by piece: yields {text}, and {summary} last. Leaving the loop cancels. */
  async *stream(prompt, options = {}) {
    const until = Date.now() + (options.deadlineSeconds ?? DEADLINE_SECONDS) * 1000;
    const call = this._client.StreamComplete(request(prompt, options), this._metadata(options), { deadline: until });
    const abort = () => call.cancel();
    options.signal?.addEventListener("abort", abort);
    try {
      for await (const { delta, summary } of call) {
        if (summary) yield { summary };
        else if (delta?.content) yield { text: delta.content };
      }
    } catch (error) {
      throw typed(error, types);
    } finally {
      options.signal?.removeEventListener("abort", abort);
      call.cancel();
    }
  }

  close() {
    this._client.close();
  }

  _metadata({ traceparent } = {}) {
    const metadata = new grpc.Metadata();
    metadata.set("authorization", `Bearer ${this._key}`);
    if (traceparent) metadata.set("traceparent", traceparent);
    return metadata;
  }

  _once(message, deadline, options) {
    return new Promise((resolve, reject) => {
      const call = this._client.Complete(message, this._metadata(options), { deadline }, (error, response) => {
        options.signal?.removeEventListener("abort", abort);
        if (error) reject(typed(error, types));
        else resolve(response);
      });
      const abort = () => call.cancel();
      options.signal?.addEventListener("abort", abort);
    });
  }
}

// Tried again only where nothing can have been paid for: shed before work, or never arrived.
function pause(error, tries) {
  if (tries >= TRIES_MAX) return null;
  if (error instanceof Overloaded) return error.retryAfterSeconds * 1000;
  const neverArrived = error.constructor === SpendgateError && error.code === "UNAVAILABLE";
  if (!(error instanceof ServiceUnavailable) && !neverArrived) return null;
  return Math.random() * BACKOFF_SECONDS * 1000 * 2 ** tries;
}

function request(prompt, { model = "auto", system, sampling, ...options }) {
  const messages = typeof prompt === "string" ? [{ role: "user", content: prompt }] : prompt;
  const all = system ? [{ role: "system", content: system }, ...messages] : messages;
  const { feature, user, project, session, tags, cacheMode, costMaxNanos } = options;
  return {
    model,
    prompt: {
      messages: all.map(({ role, content }) => ({ role: `ROLE_${role.toUpperCase()}`, content })),
      sampling: sampling && {
        temperature: sampling.temperature,
        topP: sampling.topP,
        outputTokensMax: sampling.outputTokensMax,
        stop: sampling.stop,
        seed: sampling.seed,
      },
    },
    options: { feature, user, project, session, tags, cacheMode, costMaxNanos },
  };
}
