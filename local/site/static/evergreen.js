/*
 * evergreen.js: sends the forms of a website to Evergreen's webhooks. No dependencies; free to copy and change.
 *
 *   <form data-evergreen="https://hooks.example.org/webhook/signup" data-done="#thanks"> … <button disabled>Sign up</button> </form>
 *   <script src="/evergreen.js" defer></script>
 *
 * data-evergreen  where the form goes.
 * data-done       afterwards: "#id" shows that element in the form's place, anything else is a page to go to. Without it, a line of text.
 * data-challenge  the browser does a second of work for the form, with challenge.js; if that fails, the form goes without.
 * data-error      on a field: what to say when the webhook refuses its value, instead of the webhook's own words.
 * data-number     on a hidden field: its value is a number.
 *
 * A mistyped domain in an email field gets "Did you mean …?", a button; the address is sent as it is unless the visitor presses it.
 * The fields' names are the webhook's. `timezone` is added, and `consent_text`: the label of a ticked box named `consent`, word for word.
 * Buttons are `disabled` in the HTML and enabled here, so that no form is sent before this script can carry it.
 * The form tells the page what happened with the events `evergreen:accepted` (detail: sent, answer; after preventDefault() the page
 * shows the rest itself) and `evergreen:failed` (detail: status).
 */
(() => {
  "use strict";

  const [GIVE_UP_AFTER, ATTEMPT_TIMEOUT] = [30_000, 10_000]; // ms; for all attempts together, and for one
  const [FIRST_PAUSE, LONGEST_PAUSE] = [500, 8_000]; // ms; a pause is twice the one before
  const SOLVED_FOR = 15 * 60_000; // ms; a challenge is good for 20 minutes
  const TEXT = {
    sending: "Sending…",
    again: "This is taking longer than usual. Trying again…",
    done: "Thank you. Your details have arrived.",
    fields: "Please check the marked fields.",
    unreachable: "That did not work: our server could not be reached. Your entries are still here. Please try again in a moment.",
    meant: (address) => `Did you mean ${address}?`,
    busy: (wait) => `Too many tries. Your entries are still here. Please try again in ${wait}.`,
    refused: (status) => `That did not work: the form was refused (${status}). Trying again will not help. Please contact us instead.`,
  };

  /** Where keys wait until they are accepted: the tab's own storage, which survives a reload; a variable where the browser forbids that. */
  const storage = (() => {
    try {
      return window.sessionStorage;
    } catch {
      return {};
    }
  })();

  /** One field's value as the webhook wants it: numbers as numbers, an instant with its zone. */
  function valueOf(field) {
    const value = field.value.trim();
    if (field.type === "number" || "number" in field.dataset) return Number(value);
    if (field.type === "datetime-local") return new Date(value).toISOString();
    return value;
  }

  /** The form's fields as a flat object; what is empty, disabled or has no name is left out. */
  function read(form) {
    const body = { timezone: Intl.DateTimeFormat().resolvedOptions().timeZone };
    for (const field of form.elements) {
      if (!field.name || field.matches(":disabled, button, fieldset, output")) continue;
      if (field.type === "checkbox") body[field.name] = field.checked;
      else if (field.type === "radio" && !field.checked) continue;
      else if (field.value.trim()) body[field.name] = valueOf(field);
    }
    const label = body.consent === true && form.elements.namedItem("consent").labels[0];
    if (label) body.consent_text = label.textContent.trim().replace(/\s+/g, " ");
    return body;
  }

  /** A mark of a text (FNV-1a, 32 bits), so that nothing personal is stored. */
  function fingerprint(text) {
    let hash = 0x811c9dc5;
    for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
    return (hash >>> 0).toString(16);
  }

  /** The key under which the webhook knows this very text, and the solved challenge that goes with it: the same until it is accepted. */
  async function proofsFor(place, text, challenge) {
    const mark = fingerprint(text);
    const [known, key, since, altcha] = (storage[place] || "").split(" ");
    if (known === mark && (!altcha || Date.now() - since < SOLVED_FOR)) return { key, altcha };
    const fresh = crypto.randomUUID?.() ?? crypto.getRandomValues(new Uint32Array(4)).join("-"); // pages without https lack the first
    const solution = (challenge && (await window.evergreenChallenge?.(challenge))) || "";
    storage[place] = `${mark} ${fresh} ${Date.now()} ${solution}`;
    return { key: fresh, altcha: solution };
  }

  /** How long a Retry-After asks to wait, in ms; 0 where there is none. It holds seconds or a date. */
  function askedToWait(response) {
    const text = response?.headers.get("Retry-After") || "0";
    return Math.max(0, /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now()) || 0;
  }

  /** One request; null when there is no response. */
  async function attempt(url, text, key) {
    const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
    try {
      return await fetch(url, { method: "POST", body: text, headers, signal: AbortSignal.timeout(ATTEMPT_TIMEOUT) });
    } catch {
      return null;
    }
  }

  /** The webhook's answer, after as many attempts as fit. What the webhook refused for good is not repeated. */
  async function post(url, text, key, beforeNext) {
    const until = Date.now() + GIVE_UP_AFTER;
    for (let pause = FIRST_PAUSE; ; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
      const response = await attempt(url, text, key);
      if (response && response.status < 500 && response.status !== 429) return response;
      // The random part keeps the visitors of one outage from coming back all at once.
      const wait = Math.max(askedToWait(response), pause / 2) + (Math.random() * pause) / 2;
      if (Date.now() + wait > until) return response;
      beforeNext();
      await new Promise((resume) => setTimeout(resume, wait));
    }
  }

  /** The line under a form in which it says what happens; screen readers read it out. */
  function statusOf(form) {
    let line = form.querySelector(".evergreen-status");
    if (!line) form.append((line = Object.assign(document.createElement("p"), { className: "evergreen-status", role: "status" })));
    return line;
  }

  const say = (form, text, kind = "") => Object.assign(statusOf(form), { textContent: text, className: `evergreen-status ${kind}` });

  /** Put a message next to a field, and tell screen readers that it belongs there. */
  function mark(field, message) {
    const note = Object.assign(document.createElement("p"), { className: "evergreen-error" });
    note.id = `evergreen-error-${field.form.dataset.evergreen.split("/").pop()}-${field.name}`;
    note.textContent = field.dataset.error || message;
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-describedby", `${field.getAttribute("aria-describedby") || ""} ${note.id}`.trim());
    (field.type === "checkbox" ? field.closest("label") || field : field).after(note);
  }

  function unmark(form) {
    for (const note of form.querySelectorAll(".evergreen-error")) note.remove();
    for (const field of form.querySelectorAll("[aria-invalid]")) {
      field.removeAttribute("aria-invalid");
      field.setAttribute("aria-describedby", field.getAttribute("aria-describedby").replace(/ ?evergreen-error\S+/, ""));
    }
  }

  /** An address without the frequent mistakes in its domain. */
  const meant = (address) =>
    address
      .replace(/\.con$/i, ".com")
      .replace(/@(?:gmial|gmai|gmal|gamil|gnail)\.com$/i, "@gmail.com")
      .replace(/@(?:hotmial|hotmal|hotmai)\.com$/i, "@hotmail.com")
      .replace(/@(gmail|hotmail|outlook|yahoo|icloud)\.c[om]$/i, "@$1.com");

  /** Offer what was probably meant, next to the field. */
  function offer(field) {
    field.form.querySelector(".evergreen-meant")?.remove();
    const right = meant(field.value.trim());
    if (right === field.value.trim()) return;
    const button = Object.assign(document.createElement("button"), { type: "button", className: "evergreen-meant", textContent: TEXT.meant(right) });
    button.onclick = () => {
      field.value = right;
      field.focus();
      button.remove();
    };
    field.after(button);
  }

  /** Show what a 422 says, field by field; what belongs to no visible field goes into the form's own line. */
  function showFaults(form, detail) {
    const others = [];
    for (const { loc, msg } of detail) {
      const field = loc.length && form.elements.namedItem(loc.at(-1));
      if (field instanceof HTMLElement && field.type !== "hidden") mark(field, msg);
      else others.push([...loc, msg].join(": "));
    }
    say(form, [TEXT.fields, ...others].join(" "), "problem");
    form.querySelector("[aria-invalid]")?.focus();
  }

  function finish(form) {
    const done = form.dataset.done;
    form.reset();
    if (!done) say(form, TEXT.done, "done");
    else if (!done.startsWith("#")) location.assign(done);
    else Object.assign(document.querySelector(done), { hidden: false, tabIndex: -1 }).focus();
    form.hidden = Boolean(done?.startsWith("#"));
  }

  async function explain(form, response) {
    const answer = response?.status === 422 ? await response.json().catch(() => null) : null;
    const minutes = Math.ceil(askedToWait(response) / 60_000);
    if (Array.isArray(answer?.detail)) showFaults(form, answer.detail);
    else if (response?.status === 429) say(form, TEXT.busy(minutes > 1 ? `${minutes} minutes` : "a minute"), "problem");
    else say(form, !response || response.status >= 500 ? TEXT.unreachable : TEXT.refused(response.status), "problem");
    form.dispatchEvent(new CustomEvent("evergreen:failed", { bubbles: true, detail: { status: response?.status ?? 0 } }));
  }

  function setBusy(form, busy) {
    form.setAttribute("aria-busy", String(busy));
    for (const button of form.querySelectorAll("button")) button.disabled = busy;
  }

  async function submit(form) {
    const body = read(form);
    const url = form.dataset.evergreen;
    const place = `evergreen:${url}`;
    unmark(form);
    setBusy(form, true);
    say(form, TEXT.sending);
    const { key, altcha } = await proofsFor(place, JSON.stringify(body), "challenge" in form.dataset && url);
    const text = JSON.stringify(altcha ? { ...body, altcha } : body);
    const response = await post(url, text, key, () => say(form, TEXT.again));
    setBusy(form, false);
    if (!response?.ok) return void explain(form, response);
    delete storage[place];
    say(form, "");
    const answer = await response.json().catch(() => ({}));
    const accepted = new CustomEvent("evergreen:accepted", { bubbles: true, cancelable: true, detail: { sent: body, answer } });
    if (form.dispatchEvent(accepted)) finish(form);
  }

  document.addEventListener("submit", (event) => {
    if (!event.target.matches("form[data-evergreen]")) return;
    event.preventDefault();
    if (event.target.getAttribute("aria-busy") !== "true") submit(event.target);
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches("form[data-evergreen] input[type=email]")) offer(event.target);
  });

  for (const form of document.querySelectorAll("form[data-evergreen]")) {
    statusOf(form);
    setBusy(form, false);
  }
})();
