"use strict";

// Draws samples and curves: maps numbers to elements.
const Draw = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const FRAMES_PER_SECOND = 8;
  const SMALL = 128; // pixels per side; smaller pictures are scaled without smoothing
  const COLORS = 6;

  function svg(name, attributes = {}, parent = null) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (parent) parent.append(element);
    return element;
  }

  // ---- pictures and videos ------------------------------------------------------------------------------------

  function makeCanvas(width, height, channels) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    canvas.classList.toggle("pixels", Math.max(width, height) < SMALL);
    canvas.classList.toggle("see-through", channels % 2 === 0);
    return canvas;
  }

  // Draws a picture from byte planes: grey, grey and alpha, RGB or RGBA; planes are `apart` bytes apart.
  function paint(canvas, values, channels, start, apart) {
    const image = new ImageData(canvas.width, canvas.height);
    const color = channels > 2 ? 3 : 1;
    for (let pixel = 0; pixel < canvas.width * canvas.height; pixel++) {
      const at = (channel) => values[start + channel * apart + pixel];
      for (let c = 0; c < 3; c++) image.data[4 * pixel + c] = at(color === 3 ? c : 0);
      image.data[4 * pixel + 3] = channels > color ? at(color) : 255;
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  function picture([channels, height, width], values) {
    const canvas = makeCanvas(width, height, channels);
    paint(canvas, values, channels, 0, height * width);
    return canvas;
  }

  function clip([channels, frames, height, width], values) {
    const canvas = makeCanvas(width, height, channels);
    const size = height * width;
    player.add(canvas, (step) => paint(canvas, values, channels, (step % frames) * size, frames * size));
    return canvas;
  }

  // A single loop plays all videos on the page.
  const player = (() => {
    const videos = new Map(); // canvas -> function that draws a frame
    let playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    let [step, ticks, running] = [0, 0, false];

    function prune() {
      for (const canvas of videos.keys()) if (!canvas.isConnected) videos.delete(canvas);
    }

    function tick(now) {
      requestAnimationFrame(tick);
      const due = Math.floor((now * FRAMES_PER_SECOND) / 1000);
      if (due === ticks) return;
      ticks = due;
      if (playing) step += 1;
      prune();
      if (playing) for (const draw of videos.values()) draw(step);
    }

    // The caller must put a canvas on the page before it adds the next one.
    function add(canvas, draw) {
      prune(); // a hidden page has no ticks that prune
      videos.set(canvas, draw);
      draw(step);
      if (!running) requestAnimationFrame(tick);
      running = true;
    }

    return { add, isPlaying: () => playing, toggle: () => (playing = !playing) };
  })();

  // A point of the plane; both axes go from -1 to 1.
  function dot(values, large) {
    const [x, y] = [values[0] / 127.5 - 1, values[1] / 127.5 - 1];
    const plot = svg("svg", { viewBox: "-1.1 -1.1 2.2 2.2", class: "plane" });
    svg("path", { d: "M-1.1 0H1.1M0-1.1V1.1", class: "grid" }, plot);
    svg("circle", { cx: x, cy: -y, r: large ? 0.05 : 0.14, class: "dot" }, plot);
    return plot;
  }

  // ---- series -------------------------------------------------------------------------------------------------

  // Minimum and maximum of each channel in samples (C, T), as [[low, high], ...].
  function scaleOf([channels, steps], samples) {
    return Array.from({ length: channels }, (_, channel) => {
      let [low, high] = [Infinity, -Infinity];
      for (const values of samples) {
        for (let i = channel * steps; i < (channel + 1) * steps; i++) {
          if (values[i] < low) low = values[i];
          if (values[i] > high) high = values[i];
        }
      }
      return low <= high ? [low, high] : [0, 1];
    });
  }

  function series([channels, steps], values, scale) {
    const plot = svg("svg", { viewBox: "0 0 100 60", preserveAspectRatio: "none", class: "series" });
    for (let channel = 0; channel < channels; channel++) {
      const [low, high] = scale[channel];
      const span = high - low || 1;
      let [path, drawn] = ["", false];
      for (let step = 0; step < steps; step++) {
        const value = values[channel * steps + step];
        if (!Number.isNaN(value)) {
          const x = steps > 1 ? (100 * step) / (steps - 1) : 50;
          const y = 56 - (52 * (value - low)) / span;
          path += `${drawn ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(2)}${drawn ? "" : "h0"}`; // h0 draws a single step as a dot
        }
        drawn = !Number.isNaN(value);
      }
      svg("path", { d: path, class: `line color-${channel % COLORS}` }, plot);
    }
    return plot;
  }

  // A legend from a list of [name, note].
  function legend(entries) {
    const list = document.createElement("ul");
    list.className = "legend";
    entries.forEach(([name, note], index) => {
      const item = document.createElement("li");
      const key = svg("svg", { viewBox: "0 0 16 8", class: "key", "aria-hidden": "true" });
      svg("path", { d: "M0 4H16", class: `line color-${index % COLORS}` }, key);
      item.append(key, name);
      if (note) {
        const text = document.createElement("span");
        text.className = "muted";
        text.textContent = ` ${note}`;
        item.append(text);
      }
      list.append(item);
    });
    return list;
  }

  // ---- samples of all kinds -----------------------------------------------------------------------------------

  // A sample as an element. For series, `scale` comes from `scaleOf`, and `large` adds a legend.
  function sample(model, value, { scale = null, large = false } = {}) {
    if (model.kind === "texts") {
      const text = document.createElement("span");
      text.className = value.trim() ? "text" : "text muted";
      text.textContent = value.trim() ? value : Strings.get("empty");
      text.dir = "auto";
      return text;
    }
    if (model.kind === "series") {
      const limits = scale || scaleOf(model.shape, [value]);
      const plot = series(model.shape, value, limits);
      if (!large) return plot;
      const whole = document.createElement("div");
      const notes = limits.map(([low, high]) => `${Strings.number(low, 3)} … ${Strings.number(high, 3)}`);
      whole.append(plot, legend(model.channels.map((name, channel) => [name, notes[channel]])));
      return whole;
    }
    if (model.kind === "clips") return clip(model.shape, value);
    return String(model.shape) === "2,1,1" ? dot(value, large) : picture(model.shape, value);
  }

  // ---- curves -------------------------------------------------------------------------------------------------

  const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT] = [320, 170, 44, 22, 8, 18];

  function linearTicks(low, high) {
    if (low === high) return [low];
    const rough = (high - low) / 5;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * ([1, 2, 5].find((s) => s * power >= rough) || 10);
    const first = Math.ceil(low / step);
    const ticks = Array.from({ length: 6 }, (_, i) => (first + i) * step || 0); // no -0
    return [...new Set(ticks)].filter((tick) => tick <= high + step / 1000);
  }

  function logTicks(low, high) {
    const decades = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) decades.push(power);
    const inside = (ticks) => ticks.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
    const tens = inside(decades.map((power) => 10 ** power));
    if (tens.length >= 2) return tens.filter((_, i) => i % Math.ceil(tens.length / 4) === 0);
    const between = inside(decades.flatMap((power) => [1, 2, 5].map((s) => s * 10 ** power)));
    return between.length >= 2 ? between : linearTicks(low, high);
  }

  // A plot of lines [{name, points: [[x, y], ...]}] with axes and a legend; `log` makes the vertical axis logarithmic.
  function curve(title, lines, { log = false } = {}) {
    const shown = lines.map((line) => ({ ...line, points: line.points.filter(([, y]) => !log || y > 0) }));
    const all = shown.flatMap((line) => line.points);
    const range = (values) => values.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
    const [left, right] = range(all.map(([x]) => x));
    let [low, high] = range(all.map(([, y]) => y));
    if (low === high) {
      const apart = Math.abs(low) / 2 || 1;
      [low, high] = [low - apart, Math.min(high + apart, Number.MAX_VALUE)];
    }
    const along = log ? Math.log : (value) => value;
    const x = (value) => LEFT + ((WIDTH - LEFT - RIGHT) * (value - left)) / (right - left || 1);
    const y = (value) => HEIGHT - BOTTOM - ((HEIGHT - BOTTOM - TOP) * (along(value) - along(low))) / (along(high) - along(low));
    const last = shown.map(({ name, points }) => `${name} ${points.length ? Strings.number(points.at(-1)[1], 3) : "–"}`);

    const plot = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}: ${last.join(", ")}` });
    for (const tick of log ? logTicks(low, high) : linearTicks(low, high)) {
      svg("path", { d: `M${LEFT} ${y(tick)}H${WIDTH - RIGHT}`, class: "grid" }, plot);
      svg("text", { x: LEFT - 6, y: y(tick) + 3.5, class: "tick end" }, plot).textContent = Strings.number(tick, 3);
    }
    for (const tick of linearTicks(left, right)) {
      svg("text", { x: x(tick), y: HEIGHT - 6, class: "tick middle" }, plot).textContent = short(tick);
    }
    shown.forEach(({ points }, index) => {
      const path = points.map(([px, py], i) => `${i ? "L" : "M"}${x(px).toFixed(1)} ${y(py).toFixed(1)}`).join("");
      svg("path", { d: path, class: `line color-${index % COLORS}` }, plot);
      if (points.length < 30) {
        for (const [px, py] of points) svg("circle", { cx: x(px), cy: y(py), r: 2.5, class: `mark color-${index % COLORS}` }, plot);
      }
    });

    const figure = document.createElement("figure");
    figure.className = "curve";
    const heading = document.createElement("h3");
    heading.textContent = title;
    figure.append(heading, plot);
    if (lines.length > 1) figure.append(legend(lines.map(({ name }) => [name])));
    return figure;
  }

  function short(value) {
    return new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 }).format(value);
  }

  return { curve, player, sample, scaleOf };
})();
