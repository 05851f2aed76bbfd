/* The Christmas form of the demo site: which scores go along. */
(() => {
  "use strict";

  const SAMPLE = { assessment_score: 45, red_systems: 2, orange_systems: 1, yellow_systems: 3, green_systems: 2 };
  const NONE = Object.fromEntries(Object.keys(SAMPLE).map((name) => [name, ""]));
  const own = JSON.parse(sessionStorage.getItem("northside:scores") || "null");
  const form = document.querySelector("#christmas-form");

  function fill() {
    const scores = { none: NONE, own, sample: SAMPLE }[document.querySelector("[name=result_from]:checked").value];
    for (const [name, value] of Object.entries(scores)) form.elements.namedItem(name).value = value;
  }

  if (own) {
    const choice = document.querySelector("#own-result");
    choice.hidden = false;
    choice.querySelector("input").checked = true;
    document.querySelector("#own-score").textContent = `${own.assessment_score} out of 100`;
  }
  form.addEventListener("change", fill);
  fill();
})();
