// Follows what happens: the server tells when this page has become old, and the parts of
// it that are marked data-fresh are made like those of a new one.
import { fetchPage } from "./fetch.js";
import { morph } from "./morph.js";
import { showTimes } from "./times.js";

const pulse = document.getElementById("pulse");
let stream, stale, busy;

// refresh replaces what has changed. It takes its time if the server does.
export async function refresh(url = location.href) {
  const { page, ok } = await fetchPage(url);
  if (!ok) return false;
  const said = words();
  for (const to of page.querySelectorAll("[data-fresh]")) {
    const from = document.getElementById(to.id);
    if (from) morph(from, to);
  }
  showTimes();
  if (words() !== said) document.getElementById("said").textContent = words();
  document.dispatchEvent(new Event("fresh"));
  return true;
}

// words is what those hear who don't see.
function words() {
  return [...document.querySelectorAll("[data-say]")].map((e) => e.dataset.say + e.textContent.trim()).join(". ");
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// changed looks again, once for all changes that come meanwhile, and gives the server a
// rest that is longer than its work.
async function changed() {
  stale = true;
  if (busy) return;
  busy = true;
  while (stale && !document.hidden) {
    await pause(60);
    stale = false;
    const began = performance.now();
    await refresh().catch(() => {});
    await pause(Math.min(10000, Math.max(500, 3 * (performance.now() - began))));
  }
  busy = false;
}

function follow() {
  const url = document.body.dataset.live;
  if (!url || stream) return;
  stream = new EventSource(url);
  stream.addEventListener("open", () => show("live", false));
  stream.addEventListener("error", () => show(stream.readyState === EventSource.CLOSED ? "not live" : "connecting", true));
  stream.addEventListener("change", changed);
}

function show(text, bad) {
  if (!pulse) return;
  pulse.hidden = false;
  pulse.classList.toggle("lost", bad);
  pulse.lastElementChild.textContent = text;
}

// A page that nobody looks at holds no connection: browsers have few.
document.addEventListener("visibilitychange", () => {
  if (!document.body.dataset.live) return;
  if (document.hidden) {
    stream?.close();
    stream = undefined;
  } else {
    follow();
    changed();
  }
});
follow();

// Links that change what a part of the page shows need no new page.
document.addEventListener("click", async (e) => {
  const link = e.target.closest?.("a[data-soft]");
  if (!link || e.ctrlKey || e.metaKey || e.shiftKey || e.button) return;
  e.preventDefault();
  const chart = document.getElementById("chart");
  const before = chart ? Number(chart.dataset.zoomLevel) : 1;
  const label = chart?.querySelector(".what")?.offsetWidth ?? 0;
  const middle = chart ? (chart.scrollLeft + (chart.clientWidth - label) / 2) / before : 0;
  const focus = link.dataset.zoom;
  history.replaceState(null, "", link.href.replace(/#.*/, ""));
  await refresh(link.href);
  if (chart) chart.scrollLeft = middle * Number(chart.dataset.zoomLevel) - (chart.clientWidth - label) / 2;
  if (focus && document.activeElement === document.body) document.querySelector(".zoom a")?.focus();
});
