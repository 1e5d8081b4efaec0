"use strict";

// The backend of app.js over HTTP, served by `sparring explore` (explorer/server.py).
const backend = (() => {
  const token = new URLSearchParams(location.search).get("token") || "";
  const headers = { "X-Sparring-Token": token };
  const RETRY = 5000; // milliseconds
  let known = null;

  async function ask(path, content) {
    const post = content && {
      method: "POST",
      headers: { ...headers, "Content-Type": "application/json" },
      body: JSON.stringify(content),
    };
    const answer = await fetch(path, post || { headers });
    if (answer.ok) return answer;
    const text = await answer.text();
    let why = text;
    try {
      why = JSON.parse(text).error || text;
    } catch {
      // not JSON: `why` stays the plain text
    }
    throw new Error(why || `HTTP ${answer.status}`);
  }

  async function model() {
    known = await (await ask("api/model")).json();
    return known;
  }

  async function render(points) {
    const answer = await ask("api/render", { points });
    if (known.kind === "texts") return answer.json();
    const buffer = await answer.arrayBuffer();
    const numbers = known.kind === "series" ? new Float32Array(buffer) : new Uint8Array(buffer);
    const size = known.shape.reduce((product, side) => product * side, 1);
    return points.map((_, index) => numbers.subarray(index * size, (index + 1) * size));
  }

  async function download(point) {
    const answer = await ask("api/download", point);
    const [, name] = answer.headers.get("Content-Disposition").match(/filename="([^"]+)"/);
    return { blob: await answer.blob(), name };
  }

  // A browser opens six connections to a server at most, and a stream takes one for good: one tab follows the run and
  // tells the others, until it is closed and another takes its place.
  function events(callback) {
    if (!navigator.locks) {
      follow(callback);
      return;
    }
    const name = `sparring ${token}`;
    const channel = new BroadcastChannel(name);
    let rows = null; // all so far, where this tab follows the run
    let numbers = [];
    channel.onmessage = ({ data }) => {
      if (data !== "what is known?") callback(data);
      else if (rows) channel.postMessage({ rows, fresh: true, numbers });
    };
    channel.postMessage("what is known?");
    navigator.locks.request(name, () => {
      follow((news) => {
        if (news.rows) {
          rows = news.fresh || !rows ? news.rows : rows.concat(news.rows);
          numbers = news.numbers;
        }
        callback(news);
        channel.postMessage(news);
      });
      return new Promise(() => {}); // the lock is held as long as the tab is open
    });
  }

  function follow(callback) {
    const source = new EventSource(`api/events?token=${encodeURIComponent(token)}`);
    source.onmessage = (message) => callback(JSON.parse(message.data));
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) setTimeout(follow, RETRY, callback); // an answer such as 503
    };
  }

  return { model, render, download, events };
})();
