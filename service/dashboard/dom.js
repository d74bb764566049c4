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

/** Put newer children into an element: whoever is at one of the old ones stays there, and what was unfolded stays so. */
export function renew(parent, ...children) {
  const held = parent.contains(document.activeElement) ? document.activeElement : null;
  const unfolded = new Set([...parent.querySelectorAll("details[open] > summary")].map(keyOf));
  fill(parent, ...children);
  for (const summary of parent.querySelectorAll("details > summary")) if (unfolded.has(keyOf(summary))) summary.parentElement.open = true;
  if (held) successor(held, parent)?.focus({ preventScroll: true });
  return parent;
}

/** What stands in a newer drawing where an element stood in the older one; the element itself while it is there. */
export function successor(one, parent = document) {
  if (one.isConnected) return one;
  return [...parent.querySelectorAll(one.tagName)].find((other) => keyOf(other) === keyOf(one));
}

/** By what an element is known again: a key of its own, else where it leads or what it says. */
function keyOf(one) {
  return one.dataset.key ?? one.getAttribute("href") ?? one.getAttribute("aria-label") ?? one.textContent;
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

/** Wait, or be woken: by the view's end, or by a "ring" of the bell. */
export function pause(milliseconds, signal, bell = new EventTarget()) {
  return new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", wake);
      bell.removeEventListener("ring", wake);
      resolve();
    };
    const timer = setTimeout(wake, milliseconds);
    signal.addEventListener("abort", wake);
    bell.addEventListener("ring", wake);
  });
}

/**
 * Run a look again and again until the view ends, each as long after the last as that one said; slower while nobody
 * sees the page, at once when the bell rings.
 */
export async function repeat(look, signal, milliseconds, bell = new EventTarget()) {
  let isRung = false;
  bell.addEventListener("ring", () => { isRung = true; });
  while (!signal.aborted) {
    isRung = false;
    const wait = (await look()) ?? milliseconds;
    if (!isRung) await pause(document.hidden ? Math.max(wait, 15000) : wait, signal, bell);
  }
}
