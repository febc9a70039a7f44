// Keeps "3 min ago" true, and says on hovering when that was, in the time zone of who looks.
const near = (s) => (s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} min` : s < 172800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} days`);

export function showTimes() {
  const now = Date.now();
  for (const t of document.querySelectorAll("time[datetime]")) {
    const at = Date.parse(t.dateTime);
    if (!/ago$|^in |^now$/.test(t.textContent)) continue;
    const s = Math.floor(Math.abs(now - at) / 1000);
    const text = s < 1 ? "now" : at > now ? `in ${near(s)}` : `${near(s)} ago`;
    if (t.textContent !== text) t.textContent = text;
    const local = new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
    if (t.title !== local) t.title = local;
  }
}
showTimes();
setInterval(showTimes, 1000);
