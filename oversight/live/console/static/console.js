// What has to happen in the browser: keys, countdowns, the title's badge, theme and sound.
// All of it writes text, never markup.
(() => {
  const one = (selector) => document.querySelector(selector);
  const all = (selector) => [...document.querySelectorAll(selector)];
  // A key that comes so soon after a question appeared was meant for the one before.
  const SETTLE_MS = 350;
  const PICTURE_MS = 3000;
  const TWICE_MS = 3000;
  let offset = 0;
  let openedAt = 0;
  let base = "";
  let before = null;
  let spoken = "";
  let action = null;

  const keep = (name, value) => {
    try {
      if (value !== undefined) localStorage.setItem(`looplab-${name}`, value);
      return localStorage.getItem(`looplab-${name}`);
    } catch {
      return null;
    }
  };

  const write = (element, text) => {
    if (element && element.textContent !== text) element.textContent = text;
  };

  const label = (button, text) => write(button?.querySelector(".what"), text);

  // Telling the page

  function emit(press) {
    if (typeof emitEvent === "function") emitEvent("press", press);
  }

  function settled() {
    const picture = one("#picture");
    const since = performance.now() - openedAt;
    if (since < SETTLE_MS) return false;
    return !picture || picture.hidden || picture.complete || since > PICTURE_MS;
  }

  function chosen(button) {
    const how = button.dataset.action;
    if (how === undefined) return null;
    if (how === "named") return one("#chooser [name=named]").value.trim();
    if (how === "numbers") {
      return all("#chooser input[type=number]").map((field) =>
        field.value === "" ? null : Number(field.value),
      );
    }
    return Number(how);
  }

  function formOf(button) {
    const form = button.closest("[data-form]");
    const values = {};
    if (!form) return values;
    for (const field of form.querySelectorAll("input, select")) {
      if (field.type === "range" && field.dataset.touched === undefined) continue;
      values[field.name] = field.type === "checkbox" ? (field.checked ? "yes" : "") : field.value;
    }
    return values;
  }

  function press(button) {
    if (button.dataset.local !== undefined) {
      local[button.dataset.local](button);
      return;
    }
    if (button.dataset.guarded !== undefined && !settled()) return;
    if (button.dataset.twice !== undefined && !armed(button)) return;
    say("");
    const numbers = chosen(button);
    if (Array.isArray(numbers) && numbers.includes(null)) {
      say("Each number is needed.");
      return;
    }
    emit({
      what: button.dataset.press,
      value: button.dataset.value ?? "",
      request: one(".question")?.dataset.request ?? "",
      action: numbers,
      tags: all(".tag[aria-pressed=true]").map((tag) => tag.dataset.tag),
      text: one("#note")?.value ?? "",
      form: formOf(button),
    });
  }

  function armed(button) {
    const now = performance.now();
    if (Number(button.dataset.armedAt ?? -TWICE_MS) + TWICE_MS > now) {
      disarm(button);
      return true;
    }
    button.dataset.armedAt = now;
    button.dataset.was = button.querySelector(".what").textContent;
    label(button, button.dataset.twice);
    speak(button.dataset.twice);
    setTimeout(() => disarm(button), TWICE_MS);
    return false;
  }

  function disarm(button) {
    if (button.dataset.armedAt === undefined) return;
    delete button.dataset.armedAt;
    label(button, button.dataset.was);
  }

  function say(text) {
    write(one("#hint"), text);
  }

  function speak(text) {
    write(one("#spoken"), text);
  }

  // What stays in the browser

  const THEMES = { auto: "Theme: system", light: "Theme: light", dark: "Theme: dark" };

  function theme(name) {
    document.documentElement.dataset.theme = name in THEMES ? name : "auto";
    label(one("[data-local=theme]"), THEMES[document.documentElement.dataset.theme]);
  }

  function sound(on) {
    label(one("[data-local=sound]"), on ? "Sound: on" : "Sound: off");
  }

  const local = {
    theme() {
      const names = Object.keys(THEMES);
      const next = names[(names.indexOf(document.documentElement.dataset.theme) + 1) % 3];
      keep("theme", next);
      theme(next);
    },
    sound() {
      const on = keep("sound") !== "on";
      keep("sound", on ? "on" : "off");
      sound(on);
      if (on) chime();
    },
    help() {
      const dialog = one("#keys");
      dialog.open ? dialog.close() : dialog.showModal();
    },
    choose() {
      const box = one("#chooser");
      unfold(box.hidden);
    },
    tag(button) {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", on ? "true" : "false");
    },
    async logout() {
      await fetch("/api/logout", { method: "POST" }).catch(() => {});
      window.looplab.leave("out");
    },
  };

  function unfold(open) {
    const box = one("#chooser");
    if (!box) return;
    box.hidden = !open;
    one("[data-local=choose]")?.setAttribute("aria-expanded", open ? "true" : "false");
    if (!open) return;
    const numbers = all("#chooser input[type=number]");
    numbers.forEach((field, at) => {
      if (Array.isArray(action) && field.value === "") field.value = action[at] ?? "";
    });
    (one("#chooser input") ?? one("#chooser button"))?.focus();
  }

  function chime() {
    navigator.vibrate?.(150);
    try {
      const audio = new AudioContext();
      const tone = audio.createOscillator();
      const volume = audio.createGain();
      volume.gain.setValueAtTime(0.1, audio.currentTime);
      volume.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + 0.3);
      tone.connect(volume).connect(audio.destination);
      tone.frequency.value = 660;
      tone.start();
      tone.stop(audio.currentTime + 0.3);
    } catch {
      // no sound here
    }
  }

  // What the page calls

  window.looplab = {
    opened(request, proposed) {
      openedAt = performance.now();
      action = proposed;
      unfold(false);
      if (request) speak(`New question. Proposed: ${one("#proposal")?.textContent ?? ""}.`);
    },
    asked() {
      openedAt = performance.now();
      speak(`${one(".filling h3")?.textContent ?? "A form"}.`);
      scrollTo(0, 0);
    },
    cleared() {
      all(".tag[aria-pressed=true]").forEach((tag) => tag.setAttribute("aria-pressed", "false"));
      const note = one("#note");
      if (note) note.value = "";
      all("#chooser input").forEach((field) => (field.value = ""));
      unfold(false);
    },
    badge(mine, others) {
      const total = mine + others;
      if (before !== null && total > before && keep("sound") === "on") chime();
      before = total;
      document.title = (total ? `(${total}) ` : "") + base;
    },
    badges(counts) {
      for (const badge of all("[data-badge]")) {
        const count = counts[badge.dataset.badge] ?? 0;
        badge.hidden = !count;
        write(badge, String(count));
      }
    },
    leave(why) {
      location.replace(`/login#why=${why}`);
    },
  };

  // Countdowns, by the service's clock

  function tick() {
    const clock = one("[data-now]")?.dataset.now;
    if (clock && clock !== tick.clock) {
      tick.clock = clock;
      offset = Math.max(...all("[data-now]").map((e) => Number(e.dataset.now))) - Date.now();
    }
    for (const element of all("[data-deadline]")) count(element);
    const ring = one("#ring");
    if (ring && ring.dataset.deadline === undefined) {
      ring.style.setProperty("--share", 0);
      ring.dataset.pace = "none";
      write(ring, "–");
    }
  }

  function count(element) {
    const deadline = Number(element.dataset.deadline);
    const ring = element.id === "ring";
    if (!deadline) {
      write(element, ring ? "∞" : "no limit");
      element.dataset.pace = "calm";
      return;
    }
    const left = Math.max(0, (deadline - Date.now() - offset) / 1000);
    const seconds = Math.ceil(left);
    write(element, ring ? String(seconds) : `${seconds} s`);
    element.dataset.pace = left > 20 ? "calm" : left > 8 ? "soon" : "now";
    if (!ring) return;
    const since = Number(element.dataset.since);
    element.style.setProperty("--share", Math.min(1, (left * 1000) / Math.max(1, deadline - since)));
    element.setAttribute("aria-label", `${seconds} seconds left`);
    for (const mark of [30, 10, 5]) {
      if (seconds === mark && spoken !== `${deadline} ${mark}`) {
        spoken = `${deadline} ${mark}`;
        speak(`${mark} seconds left`);
      }
    }
  }

  // Keys

  function nameOf(event) {
    if (event.key === " ") return "Space";
    let key = event.key;
    if (/^Key[A-Z]$/.test(event.code) && !/^[\x20-\x7e]$/.test(key)) key = event.code.slice(3);
    if (/^[a-z]$/i.test(key)) {
      key = key.toLowerCase();
      if (event.ctrlKey || event.metaKey) return `Control+${key}`;
      return event.shiftKey ? `Shift+${key}` : key;
    }
    return event.ctrlKey || event.metaKey ? `Control+${key}` : key;
  }

  function pressed(name) {
    // Where an action is asked for, digits mean actions; else they tick reasons.
    return [...all("#chooser [data-keys]"), ...all("[data-keys]")].find(
      (button) =>
        button.dataset.keys.split(" ").includes(name) &&
        !button.disabled &&
        button.offsetParent !== null,
    );
  }

  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.altKey || one("#keys")?.open) return;
    const field = event.target.closest?.("input, select, textarea");
    if (event.key === "Escape") {
      field?.blur();
      unfold(false);
      return;
    }
    if (field) {
      if (event.key !== "Enter") return;
      const enter = field.dataset.enter;
      if (enter) one(`#${enter}`)?.click();
      else if (field.id === "note") field.blur();
      return;
    }
    const name = nameOf(event);
    if (name === "x" && one("#note")) {
      event.preventDefault();
      one("#note").focus();
      return;
    }
    const button = pressed(name);
    if (!button) return;
    event.preventDefault();
    if (!event.repeat) button.click();
  });

  // A slider that nobody has touched says nothing.
  function touched(event) {
    const slider = event.target.closest?.("input[type=range]");
    if (!slider || event.key === "Tab") return;
    slider.dataset.touched = "yes";
    write(slider.closest(".slider")?.querySelector("output"), slider.value);
  }
  for (const kind of ["input", "pointerup", "keydown"]) document.addEventListener(kind, touched);

  // Space vetoes; it does not press the button that happens to have the focus.
  document.addEventListener("keyup", (event) => {
    if (event.key === " " && !event.target.closest?.("input, select, textarea") && pressed("Space"))
      event.preventDefault();
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-press]");
    if (button && !button.disabled && !button.classList.contains("empty")) press(button);
  });

  document.addEventListener("visibilitychange", () => {
    emit({ what: "visible", value: document.hidden ? "" : "yes" });
  });

  theme(keep("theme") ?? "auto");
  document.addEventListener("DOMContentLoaded", () => {
    base = document.title;
    setInterval(tick, 200);
    const drawn = setInterval(() => {
      if (!one("[data-local=theme]")) return;
      clearInterval(drawn);
      theme(keep("theme") ?? "auto");
      sound(keep("sound") === "on");
    }, 50);
  });
})();
