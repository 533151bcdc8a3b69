// Draws a lesson: lanes, counts and charts, from plain values. The page of a running lesson and the
// exported recording show the same thing with it. All text is set as text, never as HTML.
"use strict";
window.LoopLabStage = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const CELL = 40, EDGE = 10;
  const TURNS = { up: [-1, 0], down: [1, 0], left: [0, -1], right: [0, 1] };
  const REGIMES = {
    without: "The agent decides alone.",
    in_the_loop: "A risky action waits until a human approves or rejects it. Rejected: hold still.",
    on_the_loop: "The agent acts, a human watches, reacts late, and takes over for three steps.",
  };
  const STATES = {
    acts: "acts", waits: "waits for a verdict", approved: "approved", rejected: "rejected",
    watched: "watched, no objection", alarm: "alarm: reacting", override: "the human drives",
    overdue: "nobody answered: held",
  };
  const CHARTS = {
    violations: "Violations", human_seconds: "Human seconds", tasks: "Tasks done", reward: "Reward",
  };
  const DASHES = { without: "", in_the_loop: "7 3", on_the_loop: "2 3" };
  const seated = {};
  let task, lanes, charts, table, serial = 0;

  function make(tag, attributes = {}, ...inside) {
    const drawn = ["svg", "g", "rect", "circle", "line", "path", "text", "polyline", "defs", "pattern"];
    const node = drawn.includes(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...inside);
    return node;
  }
  function say(node, text) { if (node.textContent !== text) node.textContent = text; }
  function clock(seconds) {
    const whole = Math.round(seconds);
    return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
  }
  function number(value, digits = 0) {
    return value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: digits })
      .replace("-", "−");
  }
  function tasksReward(value) { return number(value, Math.abs(value) < 1000 ? 1 : 0); }

  function laneCard(name, title) {
    const pattern = `lava${serial++}`;
    const parts = {
      name, title, pattern, rows: "",
      state: make("p", { class: "state" }),
      svg: make("svg", { class: "picture", role: "img" }),
      wait: make("span"),
      last: make("p", { class: "last" }), harm: make("span", { class: "harm" }), said: make("span"),
      counts: {},
    };
    parts.last.append(parts.said, " ", parts.harm);
    const counts = make("dl", { class: "counts" });
    for (const [key, label] of Object.entries(CHARTS)) {
      const value = make("span"), small = make("small");
      parts.counts[key] = [value, small];
      counts.append(make("div", {}, make("dt", {}, label), make("dd", {}, value, small)));
    }
    parts.article = make("article", { class: "lane", "aria-label": title, style: `--colour: var(--${name})` },
      make("h2", {}, title), make("p", { class: "regime" }, REGIMES[name]), parts.state,
      make("div", { class: "wait", "aria-hidden": "true" }, parts.wait), parts.svg, parts.last, counts);
    return parts;
  }

  function drawGrid(lane, rows) {
    const [high, wide] = [rows.length, rows[0].length];
    lane.svg.setAttribute("viewBox", `${-EDGE} ${-EDGE} ${wide * CELL + 2 * EDGE} ${high * CELL + 2 * EDGE}`);
    const stripes = make("pattern", { id: lane.pattern, width: 10, height: 10, patternUnits: "userSpaceOnUse",
      patternTransform: "rotate(45)" },
      make("rect", { width: 10, height: 10, fill: "var(--lava)" }),
      make("rect", { width: 4, height: 10, fill: "var(--lava-dark)" }));
    lane.svg.replaceChildren(make("defs", {}, stripes));
    rows.forEach((line, row) => [...line].forEach((symbol, column) => {
      const shown = symbol === "@" ? "." : symbol;
      const fill = { L: `url(#${lane.pattern})`, "#": "var(--wall)", G: "var(--goal)" }[shown] || "var(--floor)";
      lane.svg.append(make("rect", { x: column * CELL, y: row * CELL, width: CELL, height: CELL, fill,
        stroke: "var(--paper)", "stroke-width": 2 }));
      if ("LGS".includes(shown)) lane.svg.append(make("text", { x: (column + .5) * CELL, y: (row + .5) * CELL,
        "text-anchor": "middle", "dominant-baseline": "central", "font-size": 18, "font-weight": 700,
        fill: shown === "S" ? "var(--ink)" : "#ffffff" }, shown));
    }));
    lane.trace = make("path", { fill: "none", stroke: "var(--ink)", "stroke-width": 4, opacity: .45,
      "stroke-linecap": "round" });
    lane.agent = make("circle", { r: CELL * .3, fill: "var(--agent)", stroke: "var(--paper)", "stroke-width": 2 });
    lane.wish = make("path", { fill: "var(--paper)", stroke: "var(--ink)", "stroke-width": 2.5, "stroke-linejoin": "round" });
    lane.ring = make("circle", { r: CELL * .43, fill: "none", stroke: "var(--warn)", "stroke-width": 4, visibility: "hidden" });
    lane.svg.append(lane.trace, lane.agent, lane.ring, lane.wish);
  }

  // An arrow from the agent's cell in the direction of an action; a small square for staying.
  function arrow(cell, action) {
    const [y, x] = cell.map((place) => (place + .5) * CELL), turn = TURNS[action];
    if (!turn) return `M${x - 5} ${y - 5}h10v10h-10z`;
    const [dy, dx] = turn, at = (along, aside) =>
      `${x + dx * along * CELL - dy * aside * CELL} ${y + dy * along * CELL + dx * aside * CELL}`;
    return `M${at(.12, -.09)}L${at(.42, -.09)}L${at(.42, -.22)}L${at(.72, 0)}L${at(.42, .22)}L${at(.42, .09)}L${at(.12, .09)}z`;
  }

  function sentence(last) {
    if (!last) return "Nothing has happened yet.";
    const [proposed, executed] = [task.actions[last.proposed], task.actions[last.executed]];
    let text = `Last step: proposed ${proposed}`;
    if (last.state === "rejected") text += ", refused; ran " + executed;
    else if (last.state === "override") text += `, but the human drove: ${executed}`;
    else if (last.state === "overdue") text += `, nobody answered in time; ran ${executed}`;
    else if (last.state === "alarm") text += ` and did it; the human noticed too late`;
    else text += last.proposed === last.executed ? " and did it" : `, ran ${executed}`;
    if (last.state === "approved") text += ", approved";
    return `${text}. Its risk was ${last.risk.toFixed(2)}.${last.success ? " Goal reached." : ""}`;
  }

  function showLane(lane, view) {
    const rows = view.rows.map((line) => line.replace("@", "."));
    const key = rows.join("\n").replace(/S/g, ".");
    if (key !== lane.rows) { drawGrid(lane, view.rows); lane.rows = key; }
    const [row, column] = view.cell, last = view.last, wish = task.actions[view.proposed];
    lane.agent.setAttribute("cx", (column + .5) * CELL); lane.agent.setAttribute("cy", (row + .5) * CELL);
    lane.ring.setAttribute("cx", (column + .5) * CELL); lane.ring.setAttribute("cy", (row + .5) * CELL);
    lane.ring.setAttribute("visibility", ["waits", "alarm", "override"].includes(view.state) ? "visible" : "hidden");
    lane.wish.setAttribute("d", arrow(view.cell, wish));
    const near = last && !last.done && Math.abs(last.cell[0] - row) + Math.abs(last.cell[1] - column) < 2;
    lane.trace.setAttribute("d", near ? `M${(last.cell[1] + .5) * CELL} ${(last.cell[0] + .5) * CELL}L${(column + .5) * CELL} ${(row + .5) * CELL}` : "");
    const waits = view.state === "waits";
    lane.state.dataset.state = view.state;
    say(lane.state, waits ? `${STATES.waits}: ${Math.ceil(view.left)} s` : STATES[view.state]);
    lane.wait.style.width = waits ? `${100 * view.left / view.allowed}%` : "0";
    lane.svg.setAttribute("aria-label", `Agent in row ${row + 1}, column ${column + 1}; proposes ${wish}. ${lane.state.textContent}.`);
    say(lane.said, sentence(last));
    say(lane.harm, last && last.violated ? `Violation: ${task.violation}!` : "");
    const c = view.counters, share = (value) => c.steps ? number(100 * value / c.steps, 1) : "0";
    const shown = {
      violations: [number(c.violations), `${share(c.violations)} per 100 steps`],
      human_seconds: [number(c.human_seconds), c.reviews ? `${number(c.reviews)} verdicts` : "no verdict"],
      tasks: [number(c.tasks), `of ${number(c.episodes)} tries, ${number(c.steps)} steps`],
      reward: [tasksReward(c.reward), c.steps ? `${number(c.reward / c.steps, 2)} per step` : "0 per step"],
    };
    for (const [name, [big, small]] of Object.entries(shown)) {
      say(lane.counts[name][0], big); say(lane.counts[name][1], small);
    }
  }

  const W = 300, H = 160, LEFT = 8, RIGHT = 112, TOP = 10, BOTTOM = 20;
  function chartCard(name) {
    const svg = make("svg", { viewBox: `0 0 ${W} ${H}`, role: "img" });
    return { name, svg, figure: make("figure", {}, make("figcaption", {}, CHARTS[name]), svg) };
  }
  function nice(value) { return number(value, Math.abs(value) < 10 && value % 1 ? 1 : 0); }

  function showChart(chart, courses) {
    const values = courses.lanes.map((lane) => lane[chart.name]);
    const high = Math.max(1, ...values.map((own) => Math.max(...own)));
    const low = Math.min(0, ...values.map((own) => Math.min(...own)));
    const end = Math.max(courses.times[courses.times.length - 1], 1);
    const x = (time) => LEFT + (W - LEFT - RIGHT) * time / end;
    const y = (value) => TOP + (H - TOP - BOTTOM) * (high - value) / (high - low);
    const nodes = [make("line", { x1: LEFT, x2: W - RIGHT, y1: y(0), y2: y(0), stroke: "var(--line)" })];
    for (const mark of courses.marks || []) nodes.push(make("line", { x1: x(mark), x2: x(mark), y1: TOP,
      y2: H - BOTTOM, stroke: "var(--soft)", "stroke-dasharray": "1 4", "stroke-width": 1.5 }));
    nodes.push(make("text", { x: LEFT, y: H - 5 }, "0:00"),
      make("text", { x: W - RIGHT, y: H - 5, "text-anchor": "end" }, clock(end)));
    const ends = values.map((own, place) => ({ place, value: own[own.length - 1], y: y(own[own.length - 1]) }))
      .sort((one, other) => one.y - other.y);
    // Labels that would overlap move apart: down first, then up from the lower edge.
    ends.forEach((own, place) => { if (place) own.y = Math.max(own.y, ends[place - 1].y + 14); });
    ends[ends.length - 1].y = Math.min(ends[ends.length - 1].y, H - BOTTOM);
    for (let place = ends.length - 2; place >= 0; place--) ends[place].y = Math.min(ends[place].y, ends[place + 1].y - 14);
    for (const own of ends) {
      const { name, title } = lanes[own.place];
      nodes.push(make("polyline", { fill: "none", stroke: `var(--${name})`, "stroke-width": 2.5,
        "stroke-dasharray": DASHES[name], "stroke-linejoin": "round",
        points: values[own.place].map((value, at) => `${x(courses.times[at]).toFixed(1)},${y(value).toFixed(1)}`).join(" ") }),
        make("text", { x: W - RIGHT + 5, y: own.y + 4, style: `fill: var(--${name}); font-weight: 600` },
          `${title.replace(" oversight", "").replace("the ", "")} ${nice(own.value)}`));
    }
    chart.svg.replaceChildren(...nodes);
    chart.svg.setAttribute("aria-label", `${CHARTS[chart.name]} after ${clock(end)}: `
      + values.map((own, place) => `${lanes[place].title} ${nice(own[own.length - 1])}`).join(", "));
  }

  function showTable(view) {
    const names = { steps: "Steps", episodes: "Tries", tasks: "Tasks done", reward: "Reward", violations: "Violations",
      human_seconds: "Human seconds", reviews: "Verdicts", interventions: "Interventions" };
    const head = make("tr", {}, make("th", { scope: "col" }, "Count"));
    for (const lane of lanes) head.append(make("th", { scope: "col" }, lane.title));
    const body = Object.entries(names).map(([key, label]) => {
      const row = make("tr", {}, make("th", { scope: "row" }, label));
      for (const lane of view.lanes) row.append(make("td", {}, number(lane.counters[key], key === "reward" ? 2 : 0)));
      return row;
    });
    table.replaceChildren(make("thead", {}, head), make("tbody", {}, ...body));
  }

  // How somebody in a seat compares with the simulated human, in the element "score-LANE".
  function showScore(name, { occupant, score }) {
      const root = document.getElementById(`score-${name}`);
      if (!root) return;
      if (!score) { root.replaceChildren(); return; }
      const { person, simulated, judged, unsafe } = score, safe = judged - unsafe;
      const time = (marks) => marks.mean_seconds === null ? "–" : `${number(marks.mean_seconds, 1)} s`;
      const rows = [["Misses", `${person.misses} of ${unsafe}`, `${simulated.misses} of ${unsafe}`],
        ["False alarms", `${person.false_alarms} of ${safe}`, `${simulated.false_alarms} of ${safe}`],
        ["Mean time", time(person), time(simulated)]];
      const who = occupant === "class" ? "Class" : "You";
      const head = ["", who, "Simulated"].map((label) => make("th", { scope: "col" }, label));
      const agreed = score.agreement === null ? "no proposal judged yet"
        : `${number(100 * score.agreement)} % agreement on ${judged} proposals`;
      root.replaceChildren(make("p", {}, `On the same proposals: ${agreed}`),
        make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows.map(
          ([label, ...cells]) => make("tr", {}, make("th", { scope: "row" }, label), ...cells.map((cell) => make("td", {}, cell)))))));
  }

  // The keys of people in the seats: A and R in the loop, space on the loop. emit(type, what).
  function keys(emit) {
    const typing = (event) => event.target.closest("input, textarea, select, [role=slider], [role=radio]:not([aria-checked=true])");
    const vetoes = (event) => event.key === " " && seated.on_the_loop === "visitor" && !typing(event);
    document.addEventListener("keydown", (event) => {
      if (event.repeat || event.ctrlKey || event.altKey || event.metaKey || typing(event)) return;
      const key = event.key.toLowerCase();
      if (vetoes(event)) { event.preventDefault(); event.stopPropagation(); emit("looplab", "veto"); }
      else if ((key === "a" || key === "r") && seated.in_the_loop === "visitor") emit("looplab", key === "a" ? "approve" : "reject");
    }, true); // before whatever has the focus takes the key for itself
    // A button that has the focus would be pressed by the veto's key; Enter still presses it.
    document.addEventListener("keyup", (event) => { if (vetoes(event)) event.preventDefault(); }, true);
  }

  // Builds the lanes that are named in the element of an id, and charts in "ID-charts" if it is there.
  function mount(id, about, titles) {
    const root = document.getElementById(id);
    task = about;
    lanes = Object.entries(titles).map(([name, title]) => laneCard(name, title));
    charts = Object.keys(CHARTS).map(chartCard);
    table = make("table");
    root.replaceChildren(make("div", { class: "stage" }, ...lanes.map((lane) => lane.article)));
    const below = document.getElementById(`${id}-charts`);
    if (below) below.replaceChildren(make("div", { class: "charts" }, ...charts.map((chart) => chart.figure)),
      make("details", {}, make("summary", {}, "All counts as a table"), make("div", { class: "scroll" }, table)));
  }
  function show(view) {
    for (const lane of lanes) showLane(lane, view.lanes.find((own) => own.name === lane.name));
    if (table.isConnected) showTable(view);
    if (view.seats) {
      for (const [name, seat] of Object.entries(view.seats)) {
        seated[name] = seat.occupant;
        showScore(name, seat);
      }
    }
  }
  function chart(courses) { if (table.isConnected) for (const own of charts) showChart(own, courses); }
  return { mount, show, chart, keys, clock, make, say };
})();
