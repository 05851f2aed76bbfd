/*
 * assessment.js: scores an assessment in the browser and hands the numbers to the form that evergreen.js sends.
 *
 *   <form data-assessment="#details">
 *     <fieldset data-system="Marketing"> <legend>…</legend> four radio buttons with the values red, orange, yellow, green </fieldset> …
 *     <button disabled>Continue</button>
 *   </form>
 *   <form id="details" data-evergreen="…/webhook/assessment" hidden> … hidden fields assessment_score, red_systems, … </form>
 *
 * The score is 0 when every system is red and 100 when every one is green. The event `evergreen:scored` on the second form
 * carries { colors: { Marketing: "red", … }, scores: { assessment_score, red_systems, … } } as its detail.
 */
(() => {
  "use strict";

  const POINTS = { red: 0, orange: 1, yellow: 2, green: 3 };

  /** The color of each answered system, by its name. */
  function colorsOf(questions) {
    const systems = [...questions.querySelectorAll("[data-system]")];
    const answered = systems.map((system) => [system.dataset.system, system.querySelector(":checked")?.value]);
    return Object.fromEntries(answered.filter(([, color]) => color in POINTS));
  }

  /** The numbers that the webhook wants. */
  function score(colors) {
    const all = Object.values(colors);
    const points = all.reduce((sum, color) => sum + POINTS[color], 0);
    const counts = Object.keys(POINTS).map((color) => [`${color}_systems`, all.filter((one) => one === color).length]);
    return { assessment_score: Math.round((100 * points) / (POINTS.green * all.length)), ...Object.fromEntries(counts) };
  }

  for (const questions of document.querySelectorAll("form[data-assessment]")) {
    const details = document.querySelector(questions.dataset.assessment);
    questions.addEventListener("submit", (event) => {
      event.preventDefault();
      const colors = colorsOf(questions);
      const scores = score(colors);
      for (const [name, value] of Object.entries(scores)) details.elements.namedItem(name).value = value;
      questions.hidden = true;
      details.hidden = false;
      details.dispatchEvent(new CustomEvent("evergreen:scored", { bubbles: true, detail: { colors, scores } }));
      details.querySelector("input:not([type=hidden])").focus();
    });
    for (const button of questions.querySelectorAll("button")) button.disabled = false;
  }
})();
