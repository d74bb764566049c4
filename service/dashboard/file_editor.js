// Changes to a sweep file's text, one value at a time: what else is written there, comments too, stays as it is.
import { meaning, read } from "./file_reader.js";

const PLAIN = /^[A-Za-z_](?:[\w .+/-]*[\w+/-])?$/;
const JSON_NUMBER = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$/;

/** What somebody typed, to be written as it was typed: `1e-4` stays `1e-4`. */
export class Typed {
  constructor(words) {
    this.words = words.trim();
  }
}

/** Write a value at a path of keys; what is missing on the way is made. */
export function write(text, path, value) {
  const isJson = text.trimStart().startsWith("{");
  const root = read(text);
  if (root === null) return `${text}${text === "" || text.endsWith("\n") ? "" : "\n"}${path[0]}: ${literal(around(path.slice(1), value), isJson)}\n`;
  let node = root;
  for (const [depth, key] of path.entries()) {
    const entry = node.kind === "map" ? node.entries.find((one) => one.key === key) : null;
    if (!entry) return insert(text, node, key, around(path.slice(depth + 1), value), isJson, depth === 0 && key === "parameters" && path.length > 1);
    if (key === "parameters" && depth === 0 && path.length > 1 && entry.node.kind !== "map" && !root.isFlow) {
      return splice(text, entry.after, Math.max(entry.after, entry.node.end), section(around(path.slice(1), value), ""));
    }
    if (depth === path.length - 1 || entry.node.kind !== "map") {
      return splice(text, entry.after, Math.max(entry.after, entry.node.end), ` ${literal(around(path.slice(depth + 1), value), isJson)}`);
    }
    node = entry.node;
  }
  return text;
}

/** Remove a key with its value; a section that holds nothing else goes with it, but for `parameters`. */
export function erase(text, path) {
  const root = read(text);
  let node = root;
  let parent = null;
  for (const key of path) {
    const entry = node?.kind === "map" ? node.entries.find((one) => one.key === key) : null;
    if (!entry) return text;
    parent = node;
    node = entry.node;
  }
  if (parent.entries.length === 1 && path.length > 1 && !(path.length === 2 && path[0] === "parameters")) return erase(text, path.slice(0, -1));
  const place = parent.entries.findIndex((one) => one.node === node);
  return parent.isFlow ? eraseInFlow(text, parent, place) : eraseLines(text, parent.entries[place]);
}

/** Where the key or value that a JSON pointer names stands, or as much of it as there is: start and end. */
export function locate(text, pointer) {
  let node;
  try {
    node = read(text);
  } catch {
    return null;
  }
  let found = null;
  for (const part of pointer.split("/").slice(1)) {
    const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
    const entry = node?.kind === "map" ? node.entries.find((one) => one.key === key) : null;
    const under = entry ? entry.node : node?.kind === "list" ? node.items[Number(key)] : null;
    if (!under) break;
    found = entry ? [entry.keyStart, entry.keyEnd] : [under.start, under.end];
    node = under;
  }
  return found;
}

/** A value as it is written on one line. */
export function literal(value, isJson) {
  if (value instanceof Typed) return typed(value.words, isJson);
  if (Array.isArray(value)) return `[${value.map((one) => literal(one, isJson)).join(", ")}]`;
  if (value !== null && typeof value === "object") {
    const parts = Object.entries(value).map(([key, one]) => `${isJson ? JSON.stringify(key) : literal(key, false)}: ${literal(one, isJson)}`);
    return `{${parts.join(", ")}}`;
  }
  if (typeof value !== "string" || isJson) return JSON.stringify(value);
  return PLAIN.test(value) && meaning(value) === value ? value : JSON.stringify(value);
}

function typed(words, isJson) {
  const found = meaning(words);
  if (typeof found === "string" || words === "") return literal(words, isJson);
  if (!isJson) return words;
  return JSON_NUMBER.test(words) ? words : JSON.stringify(found);
}

function around(path, value) {
  return path.reduceRight((inner, key) => ({ [key]: inner }), value);
}

function splice(text, start, end, words) {
  return text.slice(0, start) + words + text.slice(end);
}

function lineStart(text, at) {
  return text.lastIndexOf("\n", at - 1) + 1;
}

function lineEnd(text, at) {
  const end = text.indexOf("\n", at);
  return end < 0 ? text.length : end;
}

/** The parameters, each on a line of its own. */
function section(value, indent) {
  return Object.entries(value).map(([key, one]) => `\n${indent}  ${key}: ${literal(one, false)}`).join("");
}

function insert(text, map, key, value, isJson, isParameters) {
  if (map.kind !== "map") return splice(text, map.start, map.end, literal({ [key]: value }, isJson));
  const name = isJson ? JSON.stringify(key) : literal(key, false);
  if (!map.isFlow) {
    const indent = " ".repeat(map.entries[0].keyStart - lineStart(text, map.entries[0].keyStart));
    const end = lineEnd(text, map.end);
    const words = isParameters ? section(value, indent) : ` ${literal(value, false)}`;
    return splice(text, end, end, `${end === 0 ? "" : "\n"}${indent}${name}:${words}`);
  }
  const last = map.entries.at(-1);
  if (!last) return splice(text, map.start, map.end, `{${name}: ${literal(value, isJson)}}`);
  const start = lineStart(text, last.keyStart);
  const before = text.slice(start, last.keyStart);
  const isOnOwnLine = start > map.start && before.trim() === "";
  return splice(text, last.node.end, last.node.end, `,${isOnOwnLine ? `\n${before}` : " "}${name}: ${literal(value, isJson)}`);
}

function eraseInFlow(text, map, place) {
  const entry = map.entries[place];
  const next = map.entries[place + 1];
  if (next) return splice(text, entry.keyStart, next.keyStart, "");
  const before = map.entries[place - 1];
  const end = Math.max(entry.after, entry.node.end);
  return before ? splice(text, Math.max(before.after, before.node.end), end, "") : splice(text, map.start, map.end, "{}");
}

function eraseLines(text, entry) {
  const end = lineEnd(text, Math.max(entry.after, entry.node.end));
  return splice(text, lineStart(text, entry.keyStart), Math.min(end + 1, text.length), "");
}
