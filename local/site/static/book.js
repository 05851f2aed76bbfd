/* The booking page of the demo site: times to choose from, and the bookings that this tab remembers, the one that is shown first. */
(() => {
  "use strict";

  const KEPT = "northside:bookings";
  const KINDS = { call: "First call", workshop: "Workshop", coaching: "Coaching, three weeks, first" };
  const DAYS = 3;
  const HOURS = [10, 14];
  const AS_TEXT = new Intl.DateTimeFormat("en", { weekday: "short", day: "numeric", month: "short", hour: "numeric", minute: "2-digit" });
  const SAYS = { book: "Your call is booked.", reschedule: "Your call was moved.", cancel: "Your call was canceled.", "cancel-all": "All dates were canceled.", "no-show": "Marked as no-show." };
  const [form, booked, others, posted, news] = ["#book", "#booked", "#others", "#posted", "#news"].map((id) => document.querySelector(id));
  if (!form) return;

  /** The next working days' times, in the visitor's zone. */
  function nextTimes() {
    const times = [];
    for (let day = new Date(), days = 0; days < DAYS; ) {
      day = new Date(day.getFullYear(), day.getMonth(), day.getDate() + 1);
      if (day.getDay() % 6 === 0) continue;
      days += 1;
      for (const hour of HOURS) times.push(new Date(day.getFullYear(), day.getMonth(), day.getDate(), hour));
    }
    return times;
  }

  function choice(value, text) {
    const label = Object.assign(document.createElement("label"), { className: "choice" });
    const radio = Object.assign(document.createElement("input"), { type: "radio", name: "starts_at", value, required: true });
    label.append(radio, " ", Object.assign(document.createElement("span"), { textContent: text }));
    return label;
  }

  function offer(fieldset) {
    fieldset.querySelector(".zone").textContent = `(${Intl.DateTimeFormat().resolvedOptions().timeZone})`;
    fieldset.append(...nextTimes().map((time) => choice(time.toISOString(), AS_TEXT.format(time))));
    const step = Number(fieldset.dataset.step);
    if (!step) return;
    const soon = choice("now", `Demo: in ${3 * step} seconds, to see the reminders`);
    soon.classList.add("wide");
    soon.querySelector("input").dataset.soon = 3 * step;
    fieldset.append(soon);
  }

  const kept = () => JSON.parse(sessionStorage.getItem(KEPT) || "[]");
  const inWords = (booking) => `${KINDS[booking.kind]}: ${AS_TEXT.format(new Date(booking.starts_at))}, with Noor, for ${booking.name}`;
  const isSame = (one, other) => one.uid === other.uid && one.email === other.email;

  function show(booking) {
    form.hidden = Boolean(booking);
    booked.hidden = !booking;
    list(kept().filter((one) => !booking || !isSame(one, booking)));
    if (!booking) return;
    document.querySelector("#when").textContent = inWords(booking);
    for (const field of document.querySelectorAll("[data-booking]")) field.value = booking[field.dataset.booking];
    for (const part of document.querySelectorAll("[data-only]")) part.hidden = !part.dataset.only.split(" ").includes(booking.kind);
  }

  /** A button for each booking that is not shown. */
  function list(bookings) {
    others.hidden = !bookings.length;
    others.querySelectorAll("button").forEach((button) => button.remove());
    for (const booking of bookings) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: inWords(booking) });
      button.addEventListener("click", () => remember(booking));
      others.append(button);
    }
  }

  /** The booking becomes the one that is shown, in place of `old`. */
  function remember(booking, old = booking) {
    const rest = kept().filter((one) => !old || !isSame(one, old));
    sessionStorage.setItem(KEPT, JSON.stringify(booking ? [booking, ...rest] : rest));
    show(booking);
  }

  document.querySelectorAll("[data-times]").forEach(offer);
  document.querySelector("#another").addEventListener("click", () => {
    show(null);
    news.textContent = "";
    form.querySelector("[name=starts_at]").focus();
  });
  // Before evergreen.js reads the form: a time that counts from the click.
  document.addEventListener("submit", (event) => {
    const soon = event.target.querySelector("[data-soon]:checked");
    if (soon) soon.value = new Date(Date.now() + soon.dataset.soon * 1000).toISOString();
  }, true);
  document.addEventListener("evergreen:accepted", (event) => {
    const { sent, answer } = event.detail;
    event.preventDefault();
    posted.hidden = false;
    posted.querySelector("pre").textContent = JSON.stringify(answer.posted, null, 2);
    remember(sent.action.startsWith("cancel") ? null : answer.booking, sent);
    news.textContent = SAYS[sent.action];
    news.focus();
  });
  show(kept()[0]);
})();
