// morph makes one element like another, and leaves alone what is the same: so focus, open
// details, selected text and scroll positions stay where they are.
export function morph(from, to) {
  if (from.nodeName !== to.nodeName) {
    from.replaceWith(to);
    return;
  }
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && !(name === "open" && from.nodeName === "DETAILS") && !(name === "class" && from.classList.contains("here"))) from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) {
    if (from.getAttribute(name) !== value && !(name === "class" && from.classList.contains("here"))) from.setAttribute(name, value);
  }
  children(from, to);
}

const key = (n) => (n.nodeType === Node.ELEMENT_NODE ? n.id || n.dataset?.key : undefined);

function children(from, to) {
  const keyed = new Map();
  for (const c of from.children) if (key(c)) keyed.set(key(c), c);
  let at = from.firstChild;
  for (const want of [...to.childNodes]) {
    const k = key(want);
    let have = k ? keyed.get(k) : at;
    if (have && !k && (have.nodeType !== want.nodeType || have.nodeName !== want.nodeName || key(have))) have = null;
    if (!have || (k && have.parentNode !== from)) {
      from.insertBefore(document.importNode(want, true), at);
      continue;
    }
    if (have === at) at = at.nextSibling;
    else from.insertBefore(have, at);
    if (have.nodeType === Node.ELEMENT_NODE) morph(have, want);
    else if (have.data !== want.data) have.data = want.data;
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}
