"use strict";
// The first page: trades of all markets and one book over the WebSocket, counts from /v1/health each second.

const SECONDS = 60, TRADES_SHOWN = 12;
const at = (id) => document.getElementById(id);
const state = { socket: null, book: null, chosen: false, trades: 0, rates: [], counted: null, newest: null, bookAt: 0, wait: 500 };

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const url = `${scheme}//${location.host}/v1/stream?symbols=*`;
  at("stream-url").textContent = url;
  const socket = state.socket = new WebSocket(url);
  socket.onopen = () => { state.wait = 500; if (state.book) follow(state.book); };
  socket.onmessage = (event) => receive(JSON.parse(event.data));
  socket.onclose = () => {
    show("lost", "connection lost, trying again");
    setTimeout(connect, state.wait * (0.5 + Math.random()));
    state.wait = Math.min(state.wait * 2, 10000);
  };
}

function receive(message) {
  if (message.type === "trade") trade(message);
  else if (message.type === "orderbook") { if (message.ticker === state.book) { state.newest = message; state.bookAt = performance.now(); } }
  else if (message.type === "book_state") { if (message.ticker === state.book) at("book-note").textContent = message.message; }
  else if (message.type === "status" && message.state === "stale") show("stale", `stale: ${message.message}`);
}

// What the feed does is for the server to judge: a bus that stands may carry nothing but notices of loss.
const PILL = { ok: "live", waiting: "waiting", quiet: "quiet", stopped: "stopped", gap_open: "gap open", unknown: "stale" };

function judge(components) {
  if (state.socket.readyState !== WebSocket.OPEN) return;
  const data = components.data, name = PILL[data.status] || data.status;
  if (components.nats.status !== "ok") show("stale", `stale: ${components.nats.detail}`);
  else if (data.status === "ok") show("live", "live", data.detail);
  else if (data.status === "gap_open") show("gap", `gap open: ${data.detail}`);
  else show(name, `${name}: ${data.detail.split(/[,:] /)[0]}`, data.detail);
}

function show(name, text, title) {
  const badge = at("state");
  badge.dataset.state = name;
  badge.textContent = text;
  badge.title = title || "";
}

function trade(message) {
  state.trades += 1;
  at("trade-count").textContent = state.trades.toLocaleString("en");
  at("last-price").textContent = `$${price(message.price)}`;
  at("last-side").textContent = `${message.size} ${message.side === "buy" ? "bought" : "sold"}`;
  at("last-side").className = message.side;
  at("last-ticker").textContent = message.ticker;
  addRow(message);
  // Markets close: a book that nobody picked gives way to one that moves.
  const isOver = !state.chosen && performance.now() - state.bookAt > 20000;
  if (!state.book || isOver) choose(message.ticker);
}

function addRow(message) {
  const row = document.createElement("tr");
  row.title = message.ticker;
  const cells = [new Date(message.ts).toISOString().slice(11, 19), null, price(message.price), message.size, message.side];
  cells.forEach((content, index) => {
    const cell = row.insertCell();
    if (index === 1) { cell.append(marketButton(message.ticker)); cell.className = "ticker"; }
    else cell.textContent = content;
    if (index === 2 || index === 3) cell.className = "number";
    if (index === 4) cell.className = message.side;
  });
  row.onclick = () => { state.chosen = true; choose(message.ticker); };
  const body = at("trades");
  body.prepend(row);
  while (body.rows.length > TRADES_SHOWN) body.lastChild.remove();
}

function marketButton(ticker) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = ticker;
  return button;
}

function price(value) { return value.toFixed(4).replace(/0{1,2}$/, ""); }

function choose(ticker) {
  if (ticker === state.book) return;
  if (state.book) send({ action: "unsubscribe", symbols: [state.book], channels: ["orderbook"] });
  state.book = ticker;
  state.newest = null;
  state.bookAt = performance.now();
  at("book-ticker").textContent = ticker;
  for (const id of ["best-bid", "best-ask"]) at(id).textContent = "–";
  at("book-note").textContent = "waiting for a book";
  at("depth").replaceChildren();
  follow(ticker);
}

function follow(ticker) { send({ action: "subscribe", symbols: [ticker], channels: ["orderbook"] }); }

function send(request) {
  if (state.socket.readyState === WebSocket.OPEN) state.socket.send(JSON.stringify(request));
}

// Books come faster than screens are drawn: the newest one a frame is enough.
function drawBook() {
  const book = state.newest;
  if (book) {
    state.newest = null;
    at("best-bid").textContent = book.bids.length ? `$${price(book.bids[0][0])}` : "–";
    at("best-ask").textContent = book.asks.length ? `$${price(book.asks[0][0])}` : "–";
    at("book-note").textContent = `${book.bids.length + book.asks.length} levels`;
    drawDepth(at("depth"), book.bids, book.asks);
  }
  requestAnimationFrame(drawBook);
}

async function count() {
  try {
    const { components } = await (await fetch("/v1/health")).json();
    judge(components);
    const data = components.data, total = data.market_data_messages, now = performance.now();
    if (state.counted) {
      const rate = Math.max(0, (total - state.counted.total) / ((now - state.counted.now) / 1000));
      state.rates = state.rates.concat(rate).slice(-SECONDS);
      at("rate").textContent = Math.round(rate).toLocaleString("en");
      drawRate(at("rate-plot"), state.rates);
      at("rate-note").textContent = rateNote(data);
    }
    state.counted = { total, now };
  } catch { /* the badge already says that the connection is lost */ }
}

function rateNote(data) {
  const most = `last ${state.rates.length} s, at most ${Math.round(Math.max(...state.rates)).toLocaleString("en")} a second`;
  if (data.market_data_age_seconds === null) return "no market data yet";
  return data.capturing ? most : `no market data for ${Math.round(data.market_data_age_seconds)} s`;
}

async function figures() {
  try {
    const found = await (await fetch("/v1/figures")).json();
    for (const [name, value] of Object.entries(found)) {
      const text = name === "bytes" ? bytes(value) : value.toLocaleString("en").replaceAll(",", "\u202f");
      at(`figure-${name}`).textContent = text;
    }
  } catch { /* shown again at the next turn */ }
}

function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return unit ? `${value.toFixed(1)} ${units[unit]}` : `${value} B`;
}

// Without trades for a while, some active market's book is better than none.
async function anyBook() {
  if (state.book) return;
  const markets = await (await fetch(`/v1/markets?feed=${document.body.dataset.feed}&status=active&limit=1`)).json();
  if (!state.book && markets.results?.length) choose(markets.results[0].ticker);
}

if (document.body.dataset.feed) {
  connect();
  count();
  setInterval(count, 1000);
  setInterval(figures, 5000);
  setTimeout(anyBook, 4000);
  requestAnimationFrame(drawBook);
} else {
  show("stale", "nothing is streamed");
}
