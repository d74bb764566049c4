// Elements from values. Text is always text: nothing here, or anywhere on the page, parses markup.

/**
 * An element with attributes and children.
 * `class`, `for` and the like are attributes; `on…` are listeners; false and null are left out, true stands alone.
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "value") made.value = value;
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...present(children));
  return made;
}

/** Put other children into an element. */
export function fill(parent, ...children) {
  parent.replaceChildren(...present(children));
  return parent;
}

function present(children) {
  return children.flat(3).filter((child) => child !== null && child !== undefined && child !== false && child !== "");
}

let announced = "";

/** Tell a screen reader; the same words twice in a row are told once. */
export function announce(words) {
  if (words === announced) return;
  announced = words;
  document.getElementById("announcer").textContent = words;
}

/** Wait, or be woken by the view's end. */
export function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}

/** Run a look again and again until the view ends; slower while nobody sees the page. */
export async function repeat(look, signal, milliseconds) {
  while (!signal.aborted) {
    const wait = (await look()) ?? milliseconds;
    await pause(document.hidden ? Math.max(wait, 15000) : wait, signal);
  }
}
