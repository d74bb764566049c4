// The same submission from a terminal, with curl, as a file.
import { copyButton } from "./best_card.js";
import { element, fill } from "./dom.js";

/** The card. `look` is the file's text; `update()` writes the commands anew. */
export function elsewhere(look, isTokenNeeded) {
  const shown = { terminal: element("pre", { tabindex: 0, "aria-label": "Terminal" }), curl: element("pre", { tabindex: 0, "aria-label": "curl" }) };
  const save = element("a", { class: "button", download: "sweep.yaml" }, "Save the file");
  let address = null;

  function update() {
    for (const [name, place] of Object.entries(shown)) fill(place, commands(look(), isTokenNeeded)[name]);
    if (address) URL.revokeObjectURL(address);
    const isJson = look().trimStart().startsWith("{");
    address = URL.createObjectURL(new Blob([look()], { type: isJson ? "application/json" : "application/yaml" }));
    save.href = address;
    save.download = isJson ? "sweep.json" : "sweep.yaml";
  }

  const one = (title, name) => [
    element("div", { class: "row between" }, element("h3", {}, title), copyButton("Copy", () => shown[name].textContent)), shown[name]];
  const whole = element("section", { class: "card", "aria-labelledby": "same" },
    element("div", { class: "row between" }, element("h2", { id: "same" }, "The same from elsewhere"), save),
    one("Terminal", "terminal"), one("curl", "curl"));
  return { whole, update };
}

/** Both commands, with the file inside: they can be pasted as they are. */
function commands(text, isTokenNeeded) {
  const kind = text.trimStart().startsWith("{") ? "json" : "yaml";
  let end = "END_OF_SWEEP";
  while (text.includes(end)) end += "_"; // no line of the file may end it early, and be run as a command
  const inside = `<<'${end}'\n${text.endsWith("\n") ? text : `${text}\n`}${end}`;
  const terminal = ["gradsweep submit - --watch", `--url ${location.origin}`, ...(isTokenNeeded ? ["--token-file TOKEN_FILE"] : [])];
  const curl = [`curl -X POST ${location.origin}/v1/sweeps`, `-H 'Content-Type: application/${kind}'`,
    ...(isTokenNeeded ? ["-H \"Authorization: Bearer $(cat TOKEN_FILE)\""] : []), "--data-binary @-"];
  return { terminal: `${terminal.join(" ")} ${inside}`, curl: `${curl.join(" \\\n  ")} ${inside}` };
}
