/*
 * challenge.js: solves the challenge of a form that evergreen.js sends, in the background. It needs the folder altcha/ beside it.
 *
 *   <form data-evergreen="https://hooks.example.org/webhook/signup" data-challenge> … </form>
 *   <script src="/challenge.js" type="module"></script>
 *
 * It shows nothing. ALTCHA's widget is loaded when a visitor turns to such a form, and works when the form is sent.
 */
const PATIENCE = 15_000; // ms; a slow phone needs a few seconds

let loading;
const load = () =>
  (loading ??= import("./altcha/altcha.min.js").then(() =>
    window.$altcha.algorithms.set("PBKDF2/SHA-256", () => new Worker(new URL("altcha/pbkdf2.js", import.meta.url))),
  ));

async function work(widget) {
  await load();
  const ready = new Promise((resume) => widget.addEventListener("load", resume, { once: true }));
  document.body.append(widget);
  await ready;
  return (await widget.verify())?.payload;
}

/** Resolves to the solution of a new challenge from `url`, or to undefined if it fails or takes too long; never rejects. */
window.evergreenChallenge = async (url) => {
  const widget = Object.assign(document.createElement("altcha-widget"), { hidden: true });
  const settings = { challenge: url, display: "invisible", minDuration: 0, humanInteractionSignature: false };
  widget.setAttribute("configuration", JSON.stringify(settings));
  try {
    return await Promise.race([work(widget), new Promise((resume) => setTimeout(resume, PATIENCE))]);
  } catch {
    return undefined;
  } finally {
    widget.reset?.(); // ends the work if it goes on
    widget.remove();
  }
};

document.addEventListener("focusin", (event) => {
  if (event.target.form?.matches("[data-evergreen][data-challenge]")) load().catch(() => {});
});
