// A sweep file's text as a tree that knows where each value stands, so that a form can show and change it in place.
// JSON and the YAML that people write: mappings, lists, plain and quoted scalars, comments. Whether the file is right,
// the service alone decides; what cannot be followed here is refused, and the form says so.

const NULLS = new Set(["", "~", "null", "Null", "NULL"]);
const BOOLEANS = { true: true, True: true, TRUE: true, false: false, False: false, FALSE: false };
const NUMBER = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/;
const OTHER_INTEGER = /^0(o[0-7]+|x[0-9a-fA-F]+)$/;
const MAX_DEPTH = 20;

/** The text is more than a form can show. */
export class Unfollowed extends Error {}

/** What a plain word of YAML means, by the 1.2 core schema. */
export function meaning(word) {
  if (NULLS.has(word)) return null;
  if (Object.hasOwn(BOOLEANS, word)) return BOOLEANS[word];
  return NUMBER.test(word) || OTHER_INTEGER.test(word) ? Number(word) : word;
}

/**
 * The tree of a sweep file, or null if it holds nothing.
 *
 * A node has `kind` (map, list, scalar), its place `start` to `end`, and `value`, `written` (scalar), `items` (list) or
 * `entries` (map), each of which has `key`, `keyStart`, `keyEnd`, `after` (just behind the colon) and `node`.
 * Maps and lists have `isFlow`.
 */
export function read(text) {
  return new Reader(text).document();
}

/** A tree as plain data. */
export function plain(node) {
  if (node === null) return null;
  if (node.kind === "scalar") return node.value;
  if (node.kind === "list") return node.items.map(plain);
  return Object.fromEntries(node.entries.map(({ key, node: under }) => [key, plain(under)]));
}

class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
    this.depth = 0;
  }

  document() {
    if (this.text.startsWith("\ufeff")) this.at = 1;
    this.skip();
    if (this.text.startsWith("---", this.at) && this.isSpace(this.at + 3)) this.at += 3;
    this.skip();
    const root = this.at < this.text.length ? this.block() : null;
    this.skip();
    if (this.at < this.text.length) this.refuse("this does not belong to what is before it");
    return root;
  }

  refuse(why) {
    throw new Unfollowed(`line ${this.text.slice(0, this.at).split("\n").length}: ${why}`);
  }

  isSpace(at) {
    return at >= this.text.length || " \t\r\n".includes(this.text[at]);
  }

  column(at = this.at) {
    return at - Math.max(this.text.lastIndexOf("\n", at - 1) + 1, this.text.startsWith("\ufeff") ? 1 : 0);
  }

  /** Past spaces, line ends and comments. */
  skip() {
    for (;;) {
      while (this.at < this.text.length && this.isSpace(this.at)) this.at += 1;
      if (this.text[this.at] !== "#") return;
      this.toLineEnd();
    }
  }

  toLineEnd() {
    const end = this.text.indexOf("\n", this.at);
    this.at = end < 0 ? this.text.length : end;
  }

  /** Past the rest of a line, which may hold a comment and nothing else. */
  endLine() {
    const before = this.at;
    while (" \t\r".includes(this.text[this.at] ?? "\n")) this.at += 1;
    const next = this.text[this.at];
    if (next === "#" && this.at > before) this.toLineEnd();
    else if (next !== undefined && next !== "\n") this.refuse("something follows the value on its line");
  }

  isDash() {
    return this.text[this.at] === "-" && this.isSpace(this.at + 1);
  }

  /** What begins here, in block style. */
  block() {
    this.depth += 1;
    if (this.depth > MAX_DEPTH) this.refuse(`it is nested deeper than ${MAX_DEPTH} levels`);
    let node;
    if (this.isDash()) node = this.blockList(this.column());
    else if ("{[".includes(this.text[this.at])) node = this.lineOf(() => this.flow());
    else node = this.isKey() ? this.blockMap(this.column()) : this.lineOf(() => this.scalar(false));
    this.depth -= 1;
    return node;
  }

  lineOf(take) {
    const node = take();
    this.endLine();
    return node;
  }

  /** Whether a key and its colon begin here. */
  isKey() {
    const before = this.at;
    const isOne = this.text[this.at] === '"' || this.text[this.at] === "'"
      ? (this.quoted(), this.text[this.at] === ":" && this.isSpace(this.at + 1))
      : this.keyEnd() !== null;
    this.at = before;
    return isOne;
  }

  /** Where a plain key on this line ends; null if there is none. */
  keyEnd() {
    const found = /^[^\n]*?:(?=[ \t\r\n]|$)/.exec(this.text.slice(this.at, this.lineEnd()));
    return found && !/(^|\s)#/.test(found[0]) ? this.at + found[0].length - 1 : null;
  }

  lineEnd() {
    const end = this.text.indexOf("\n", this.at);
    return end < 0 ? this.text.length : end;
  }

  blockMap(column) {
    const start = this.at;
    const entries = [];
    let end = start;
    while (this.at < this.text.length && this.column() === column && !this.isDash()) {
      if (!this.isKey()) this.refuse("a key and a colon are expected");
      const entry = this.key(entries, false);
      entry.node = this.under(column);
      end = Math.max(entry.after, entry.node.end);
      entries.push(entry);
      this.skip();
    }
    if (this.at < this.text.length && this.column() > column) this.refuse("this is indented too far");
    return { kind: "map", isFlow: false, start, end, entries };
  }

  /** The value of a block's key: on its line, or further in on the next. */
  under(column) {
    const after = this.at;
    while (" \t\r".includes(this.text[this.at] ?? "\n")) this.at += 1;
    const next = this.text[this.at];
    if (next !== undefined && next !== "\n" && !(next === "#" && this.at > after)) {
      return this.lineOf(() => ("{[".includes(next) ? this.flow() : this.scalar(false)));
    }
    this.skip();
    const isUnder = this.at < this.text.length && (this.column() > column || (this.column() === column && this.isDash()));
    return isUnder ? this.block() : { kind: "scalar", value: null, written: "", start: after, end: after };
  }

  blockList(column) {
    const start = this.at;
    const items = [];
    let end = start;
    while (this.at < this.text.length && this.column() === column && this.isDash()) {
      this.at += 1;
      const after = this.at;
      while (" \t".includes(this.text[this.at] ?? "\n")) this.at += 1;
      const isHere = !"\r\n#".includes(this.text[this.at] ?? "\n");
      if (!isHere) this.skip();
      const isUnder = isHere || (this.at < this.text.length && this.column() > column);
      items.push(isUnder ? this.block() : { kind: "scalar", value: null, written: "", start: after, end: after });
      end = Math.max(after, items.at(-1).end);
      this.skip();
    }
    if (this.at < this.text.length && this.column() > column) this.refuse("this is indented too far");
    return { kind: "list", isFlow: false, start, end, items };
  }

  /** A key with its colon. */
  key(entries, isFlow) {
    const keyStart = this.at;
    const isQuoted = this.text[this.at] === '"' || this.text[this.at] === "'";
    let key;
    if (isQuoted) key = this.quoted();
    else if (isFlow) key = this.word(true);
    else {
      this.checkFirst();
      key = this.text.slice(keyStart, this.keyEnd()).trimEnd();
      this.at = keyStart + key.length;
    }
    const keyEnd = this.at;
    if (isFlow) this.skip();
    else while (" \t".includes(this.text[this.at])) this.at += 1;
    if (this.text[this.at] !== ":" || !(isQuoted && isFlow ? true : this.isSpace(this.at + 1))) this.refuse(`a colon and a space are expected behind ${key}`);
    if (entries.some((one) => one.key === key) || key === "<<") this.refuse(`the key ${key} is given twice`);
    this.at += 1;
    return { key, keyStart, keyEnd, after: this.at, node: null };
  }

  flow() {
    this.depth += 1;
    if (this.depth > MAX_DEPTH) this.refuse(`it is nested deeper than ${MAX_DEPTH} levels`);
    const node = this.text[this.at] === "{" ? this.flowMap() : this.text[this.at] === "[" ? this.flowList() : this.scalar(true);
    this.depth -= 1;
    return node;
  }

  flowMap() {
    const start = this.at;
    const entries = [];
    this.each("}", () => {
      const entry = this.key(entries, true);
      this.skip();
      entry.node = ",}".includes(this.text[this.at] ?? "") ? { kind: "scalar", value: null, written: "", start: entry.after, end: entry.after } : this.flow();
      entries.push(entry);
    });
    return { kind: "map", isFlow: true, start, end: this.at, entries };
  }

  flowList() {
    const start = this.at;
    const items = [];
    this.each("]", () => items.push(this.flow()));
    return { kind: "list", isFlow: true, start, end: this.at, items };
  }

  /** What stands between commas, up to the closing bracket and past it. */
  each(closing, take) {
    this.at += 1;
    for (;;) {
      this.skip();
      if (this.text[this.at] === closing) break;
      take();
      this.skip();
      if (this.text[this.at] === ",") this.at += 1;
      else if (this.text[this.at] !== closing) this.refuse(`a comma or ${closing} is expected`);
    }
    this.at += 1;
  }

  scalar(isFlow) {
    const start = this.at;
    if (this.text[start] === '"' || this.text[start] === "'") {
      const value = this.quoted();
      return { kind: "scalar", value, written: value, start, end: this.at };
    }
    const written = this.word(isFlow);
    return { kind: "scalar", value: meaning(written), written, start, end: this.at };
  }

  checkFirst() {
    if ("&*!|>%@`#,[]{}".includes(this.text[this.at]) || (this.text[this.at] === "?" && this.isSpace(this.at + 1))) this.refuse(`a form cannot follow ${this.text[this.at]} here`);
  }

  /** A plain scalar: in flow style up to a comma or bracket, else to the end of its line. */
  word(isFlow) {
    this.checkFirst();
    const start = this.at;
    const rest = this.text.slice(start, this.lineEnd());
    const end = rest.search(isFlow ? /[,[\]{}]|:(?=[\s,[\]{}]|$)|\s#/ : /:(?=\s|$)|\s#/);
    if (!isFlow && rest[end] === ":") this.refuse("two keys stand on one line");
    const word = (end < 0 ? rest : rest.slice(0, end)).trimEnd();
    if (!word) this.refuse("a value is expected");
    this.at = start + word.length;
    return word;
  }

  quoted() {
    const rest = this.text.slice(this.at);
    const found = (rest[0] === '"' ? /^"(?:[^"\\\n]|\\.)*"/ : /^'(?:[^'\n]|'')*'/).exec(rest)?.[0];
    if (!found) this.refuse("a quotation does not end on its line");
    let value;
    if (rest[0] === "'") value = found.slice(1, -1).replaceAll("''", "'");
    else {
      try {
        value = JSON.parse(found);
      } catch {
        this.refuse("a form cannot follow what is quoted here");
      }
    }
    this.at += found.length;
    return value;
  }
}
