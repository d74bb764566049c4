// The public REST API, as anyone may use it. Where the service has a token, a cookie that no script can read stands for it.
import { askForToken } from "./dialog.js";
import { pause } from "./dom.js";

let asking = null;

/** What the service refused, with its own words. */
export class Refusal extends Error {
  constructor(status, body) {
    super(body?.detail ?? `The service answered ${status}.`);
    this.status = status;
    this.code = body?.code ?? "";
    this.errors = body?.errors ?? [];
  }
}

/** The service did not answer at all. */
export class Silence extends Error {
  constructor() {
    super("The service does not answer. Is it running? Start it with: gradsweep up");
    this.status = 0;
    this.errors = [];
  }
}

async function send(path, options) {
  let response;
  try {
    response = await fetch(path, { ...options, credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Silence();
  }
  if (response.status !== 401) return response;
  asking ??= askForToken(logIn).finally(() => { asking = null; });
  await asking;
  return send(path, options);
}

/** Begin a session; what is wrong with the token in words, or null. */
async function logIn(token) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch("/v1/session", { method: "POST", body: JSON.stringify({ token }), headers, credentials: "same-origin" });
  if (response.ok) {
    dispatchEvent(new Event("session"));
    return null;
  }
  return (await response.json()).detail;
}

/** Ask the service; the answer as JSON, text or nothing. Raises Refusal, Silence, or AbortError when the view ends. */
export async function request(path, options = {}) {
  const response = await send(path, options);
  const kind = response.headers.get("content-type") ?? "";
  const body = response.status === 204 ? null : kind.includes("json") ? await response.json() : await response.text();
  if (!response.ok) throw new Refusal(response.status, body);
  return body;
}

export const get = (path, signal) => request(path, { signal });
export const post = (path) => request(path, { method: "POST" });
export const remove = (path) => request(path, { method: "DELETE" });

/** A path with its parts escaped. */
export function at(strings, ...parts) {
  return String.raw({ raw: strings }, ...parts.map(encodeURIComponent));
}

/** A query from what is set. */
export function query(values) {
  const set = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return set.length ? `?${new URLSearchParams(set)}` : "";
}

/** The body of a submission: a sweep file is YAML unless it looks like JSON. */
export function sweepFile(text, headers = {}) {
  const kind = text.trimStart().startsWith("{") ? "application/json" : "application/yaml";
  return { method: "POST", body: text, headers: { "Content-Type": kind, ...headers } };
}

/**
 * Follow a sweep's events (server-sent, read through fetch, for EventSource sends no token) until it is over.
 * `onEvents` gets what came, `onLine` whether the line is up. A lost line is taken up where it was lost.
 */
export async function follow(sweep, after, { onEvents, onLine, signal }) {
  let last = after;
  let wait = 1000;
  while (!signal.aborted) {
    try {
      const headers = { Accept: "text/event-stream", "Last-Event-ID": String(last) };
      const response = await send(at`/v1/sweeps/${sweep}/events`, { headers, signal });
      if (response.status === 204) return onLine("over");
      if (!response.ok) throw new Refusal(response.status, null);
      onLine("live");
      wait = 1000;
      for await (const events of blocks(response.body)) {
        last = Math.max(last, ...events.map((event) => event.number));
        onEvents(events);
      }
    } catch (error) {
      if (error.name === "AbortError" || error.status === 404) return;
      onLine("lost");
    }
    await pause(wait, signal);
    wait = Math.min(wait * 2, 15000);
  }
}

async function* blocks(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    const data = parts.flatMap((part) => part.split("\n").filter((line) => line.startsWith("data: ")));
    if (data.length) yield data.map((line) => JSON.parse(line.slice(6)));
  }
}
