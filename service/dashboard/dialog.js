// Questions that must be answered: may I, and who are you.
import { element, successor } from "./dom.js";

function open(dialog) {
  const opener = document.activeElement ?? document.body;
  document.body.append(dialog);
  dialog.addEventListener("close", () => {
    dialog.remove();
    (successor(opener) ?? document.getElementById("view")).focus({ preventScroll: true }); // the view may be newer than the question
  });
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

/** Ask for the token of a service that wants one, until `logIn(token)` has nothing against it. */
export function askForToken(logIn) {
  return new Promise((resolve) => {
    const field = element("input", { id: "token", type: "password", autocomplete: "current-password", required: true, "aria-describedby": "refused" });
    const refused = element("p", { id: "refused", class: "notice wrong", role: "alert", hidden: true });
    const send = async (event) => {
      event.preventDefault();
      let wrong;
      try {
        wrong = await logIn(field.value.trim());
      } catch {
        wrong = "The service does not answer. Is it running?";
      }
      if (wrong === null) {
        dialog.close();
        resolve();
        return;
      }
      refused.textContent = wrong;
      refused.hidden = false;
      field.select();
    };
    const dialog = element("dialog", { "aria-labelledby": "who" },
      element("form", { onsubmit: send },
        element("h2", { id: "who" }, "This service wants a token"),
        element("p", { class: "soft" }, "It is in the file that GRADSWEEP_TOKEN_FILE names. The browser stays logged in for seven days, or until you log out."),
        element("div", { class: "field" }, element("label", { for: "token" }, "Token"), field),
        refused,
        element("div", { class: "row" }, element("button", { class: "primary" }, "Log in"))));
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    open(dialog);
  });
}
