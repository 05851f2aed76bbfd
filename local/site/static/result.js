/* The assessment page of the demo site: how many questions are answered, the way back, and the result in colors. */
(() => {
  "use strict";

  const SAYS = { red: "Red: needs help now", orange: "Orange: costs you every month", yellow: "Yellow: works, with gaps", green: "Green: runs itself" };
  const [questions, details] = [document.querySelector("#questions"), document.querySelector("#details")];
  const sentAt = details.elements.namedItem("email_1_sent_at");
  let result = null;

  function count() {
    const answered = questions.querySelectorAll(":checked").length;
    document.querySelector("#progress").value = answered;
    document.querySelector("#answered").textContent = answered;
  }

  /** The moment of the site's own email, only where the site says that it was sent. */
  function stamp() {
    if (sentAt) sentAt.value = details.elements.namedItem("email_1_status").value === "sent" ? new Date().toISOString() : "";
  }

  function verdict({ red_systems: red, orange_systems: orange }) {
    if (red >= 2) return `${red} systems are on fire. Start with one of them, today.`;
    if (red || orange >= 2) return "You are carrying more than you should. Fixing one system would give you hours back.";
    return "The foundation is sound. Now work on the last ten percent.";
  }

  function show({ colors, scores }) {
    document.querySelector("#score").textContent = scores.assessment_score;
    document.querySelector("#verdict").textContent = verdict(scores);
    const rows = Object.entries(colors).map(([system, color]) => {
      const row = Object.assign(document.createElement("li"), { className: color });
      row.append(Object.assign(document.createElement("b"), { textContent: system }), Object.assign(document.createElement("span"), { textContent: SAYS[color] }));
      return row;
    });
    document.querySelector("#colors").replaceChildren(...rows);
    document.querySelector(".intro").hidden = true;
  }

  questions.addEventListener("change", count);
  details.addEventListener("change", (event) => event.target.name === "email_1_status" && stamp());
  details.addEventListener("evergreen:scored", (event) => {
    result = event.detail;
    stamp();
  });
  details.addEventListener("evergreen:accepted", () => {
    show(result);
    sessionStorage.setItem("northside:scores", JSON.stringify(result.scores));
  });
  document.querySelector("#back").addEventListener("click", () => {
    details.hidden = true;
    questions.hidden = false;
    questions.querySelector("input:checked").focus();
  });
  count(); // a reload keeps the answers in some browsers
})();
