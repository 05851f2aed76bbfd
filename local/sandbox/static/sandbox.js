// The pages work without this file. With it, times are local ones and the list follows what arrives.
"use strict";

const LOOK_EVERY_MS = 2000;

function showLocalTimes(root) {
  const today = new Date().toDateString();
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
    const day = { day: "numeric", month: "short" };
    const minute = { ...day, hour: "2-digit", minute: "2-digit" };
    if ("minute" in time.dataset) time.textContent = at.toLocaleString([], minute);
    else if ("long" in time.dataset) time.textContent = at.toLocaleString([], { ...day, year: "numeric", ...clock });
    else time.textContent = at.toDateString() === today ? at.toLocaleTimeString([], clock) : at.toLocaleString([], minute);
    time.title = time.dateTime;
  }
}

async function followOutbox(list, count) {
  if (document.hidden) return;
  const now = (await (await fetch("/outbox/count")).json()).count;
  const before = Number(count.dataset.count);
  if (now === before) return;
  const fresh = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
  const focused = list.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  list.replaceChildren(...fresh.getElementById("list").childNodes);
  if (focused) list.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  count.textContent = now.toLocaleString();
  count.dataset.count = now;
  if (now > before) document.getElementById("news").textContent = `${now - before} new`;
  showLocalTimes(list);
}

showLocalTimes(document);
const list = document.querySelector("#list[data-follow]");
if (list) {
  const look = () => followOutbox(list, document.getElementById("count")).catch(() => {}).then(() => setTimeout(look, LOOK_EVERY_MS));
  setTimeout(look, LOOK_EVERY_MS);
}
