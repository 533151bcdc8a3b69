// Comes in with the token of the address's fragment, which browsers never send, or with a typed one.
(() => {
  const WHYS = {
    expired: "Your token has expired. Ask for a new one.",
    revoked: "Your token is not valid any more.",
    out: "You are logged out.",
    forbidden: "That page is for administrators.",
    needed: "Log in to go on.",
  };
  const HOME = "/console/";
  const say = (text) => (document.getElementById("why").textContent = text);
  const given = new URLSearchParams(location.hash.slice(1));
  const token = given.get("token");
  const why = given.get("why");
  if (location.hash) history.replaceState(null, "", location.pathname);

  async function enter(secret) {
    say("Coming in …");
    try {
      const answer = await fetch("/api/login", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ token: secret.trim() }),
      });
      if (answer.ok) {
        location.replace(HOME);
        return;
      }
      const told = await answer.json().catch(() => ({}));
      say(told.message ? `Not let in: ${told.message}.` : `Not let in (${answer.status}).`);
    } catch {
      say("The service does not answer.");
    }
    document.getElementById("token").focus();
  }

  document.getElementById("form").addEventListener("submit", (event) => {
    event.preventDefault();
    enter(document.getElementById("token").value);
  });
  if (token) enter(token);
  else if (why) say(WHYS[why] ?? "Log in to go on.");
  else if (document.body.dataset.in === "yes") location.replace(HOME);
})();
