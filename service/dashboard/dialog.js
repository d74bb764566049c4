// Questions that must be answered: may I, and who are you.
import { element } from "./dom.js";

function open(dialog) {
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
}

/** Ask before something that cannot be taken back; true if it was confirmed. */
export function confirm({ title, words, action, isDangerous = false }) {
  return new Promise((resolve) => {
    const dialog = element("dialog", { "aria-labelledby": "question" },
      element("div", { class: "body" },
        element("h2", { id: "question" }, title),
        element("p", { class: "soft" }, words),
        element("div", { class: "row" },
          element("button", { type: "button", autofocus: true, onclick: () => dialog.close("no") }, "Keep it"),
          element("button", { type: "button", class: isDangerous ? "danger" : "primary", onclick: () => dialog.close("yes") }, action))));
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"));
    open(dialog);
  });
}

/** Ask for the token of a service that wants one. */
export function askForToken(wasWrong) {
  return new Promise((resolve) => {
    const field = element("input", { id: "token", type: "password", autocomplete: "current-password", required: true });
    const dialog = element("dialog", { "aria-labelledby": "who" },
      element("form", { method: "dialog", onsubmit: () => resolve(field.value.trim()) },
        element("h2", { id: "who" }, "This service wants a token"),
        element("p", { class: "soft" }, wasWrong
          ? "That token was not the one."
          : "It is in the file that GRADSWEEP_TOKEN_FILE names. It stays in this tab, and is forgotten when you close it."),
        element("div", { class: "field" }, element("label", { for: "token" }, "Token"), field),
        element("div", { class: "row" }, element("button", { class: "primary" }, "Go on"))));
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    open(dialog);
  });
}
