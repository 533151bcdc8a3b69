// Plays a recorded lesson: the same stage as the page of a running one, without a server.
"use strict";
(() => {
  const lesson = JSON.parse(document.getElementById("recording").textContent);
  const stage = window.LoopLabStage, find = (id) => document.getElementById(id);
  const at = Object.fromEntries(lesson.move.map((name, place) => [name, place]));
  const seconds = { overseen: 0, alone: 0 };
  let phase = "overseen", playing = false, owed = 0, before = 0;

  // The place of the last move of a lane at a second of the clock.
  function placeOf(moves, second) {
    let low = 0, high = moves.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (moves[middle][at.second] <= second) low = middle; else high = middle - 1;
    }
    return low;
  }
  function laneAt(name, second) {
    const lane = lesson.phases[phase].lanes[name], place = placeOf(lane.moves, second);
    const move = lane.moves[place], value = (key) => move[at[key]];
    const wait = lane.waits.find(([first, length]) => first <= second && second < first + length);
    const last = place ? { cell: [value("last_row"), value("last_column")], proposed: value("proposed"),
      executed: value("executed"), verdict: lesson.verdicts[value("verdict")], state: lesson.states[value("state")],
      risk: value("risk"), violated: !!value("violated"), success: !!value("success"), done: !!value("done") } : null;
    return { name, rows: lane.pictures[value("picture")], cell: [value("row"), value("column")], proposed: value("wish"),
      state: wait ? "waits" : lesson.states[value("state")], last,
      left: wait ? Math.max(wait[2] - (second - wait[0]), 0) : 0, allowed: wait ? wait[3] : 0,
      counters: Object.fromEntries(lesson.counted.map((key) => [key, value(key)])) };
  }
  function coursesAt(second) {
    const { times, lanes, marks } = lesson.phases[phase].courses;
    const shown = times.filter((time) => time <= second).length;
    return { times: times.slice(0, shown), marks, lanes: lanes.map((lane) =>
      Object.fromEntries(Object.entries(lane).map(([name, values]) => [name, values.slice(0, shown)]))) };
  }

  function draw() {
    const second = seconds[phase], end = lesson.phases[phase].seconds;
    stage.show({ lanes: Object.keys(lesson.titles).map((name) => laneAt(name, second)) });
    stage.chart(coursesAt(second));
    stage.say(find("clock"), `${phase === "alone" ? "Alone for" : "Clock"} ${stage.clock(second)} of ${stage.clock(end)}`);
    stage.say(find("play"), playing ? "Pause" : "Play");
    find("place").max = end;
    find("place").value = second;
    find("place").setAttribute("aria-valuetext", stage.clock(second));
    find("alone").classList.toggle("on", phase === "alone");
  }
  function move(by) {
    const end = lesson.phases[phase].seconds;
    seconds[phase] = Math.min(Math.max(seconds[phase] + by, 0), end);
    if (seconds[phase] === end) playing = false;
  }
  function frame(now) {
    if (playing) {
      owed += Math.min(now - before, 200) / 1000 * Number(find("speed").value);
      const whole = Math.floor(owed);
      if (whole) { owed -= whole; move(whole); draw(); }
    }
    before = now;
    requestAnimationFrame(frame);
  }

  stage.mount("stage", { actions: lesson.actions, violation: lesson.violation }, lesson.titles);
  find("play").addEventListener("click", () => {
    if (!playing && seconds[phase] === lesson.phases[phase].seconds) seconds[phase] = 0;
    playing = !playing; owed = 0; draw();
  });
  find("step").addEventListener("click", () => { playing = false; move(1); draw(); });
  find("back").addEventListener("click", () => { playing = false; move(-1); draw(); });
  find("place").addEventListener("input", () => { playing = false; seconds[phase] = Number(find("place").value); draw(); });
  find("home").addEventListener("change", () => {
    phase = find("home").checked ? "alone" : "overseen"; owed = 0; draw();
  });
  find("theme").addEventListener("click", () => {
    const root = document.documentElement, dark = root.dataset.theme
      ? root.dataset.theme === "dark" : window.matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  draw();
  requestAnimationFrame(frame);
})();
