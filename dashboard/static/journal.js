// A journal is loaded in pages as it is scrolled, and followed at its end.
import { fetchPage } from "./fetch.js";
import { openDialog } from "./dialog.js";

const box = document.getElementById("events");
let loading;

const more = () => box.querySelector("a[rel=next]");

// load puts the next page at the end.
async function load(url) {
  if (loading) return loading;
  loading = (async () => {
    const { page, ok } = await fetchPage(url);
    if (!ok) return;
    box.querySelector(".pages")?.remove();
    const part = page.getElementById("events");
    for (const n of [...part.children]) {
      if (!n.matches(".events, .pages") || (n.matches(".events") && !n.children.length)) continue;
      const own = document.importNode(n, true);
      if (own.children.length > 100) own.classList.add("long"); // is laid out only when it is near
      box.append(own);
    }
    look();
  })();
  await loading.finally(() => (loading = undefined));
}

const near = new IntersectionObserver((seen) => {
  if (seen.some((s) => s.isIntersecting) && more()) load(more().href);
}, { root: box?.matches(".scroll") ? box : null, rootMargin: "1500px" });

function look() {
  near.disconnect();
  const next = box.querySelector(".pages");
  if (next) near.observe(next);
}

if (box) {
  look();
  box.addEventListener("click", (e) => {
    const link = e.target.closest("a.event");
    if (!link || e.ctrlKey || e.metaKey || e.shiftKey) return;
    e.preventDefault();
    openDialog(link.href);
  });
  // What is new comes after the last one, if that is here.
  document.addEventListener("fresh", () => {
    if (!box.dataset.journal || more()) return;
    const last = [...box.querySelectorAll(".event .pos")].at(-1)?.textContent ?? "0";
    load(`${box.dataset.journal}&after=${last}`);
  });
}
