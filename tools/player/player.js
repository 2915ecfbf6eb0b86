/*
 * The player: steps through a record, a frame for each system call, and one
 * more for each change that was seen while a call slept.
 *
 * tools/record.h and tools/talk.c say what the lines of a record mean. In here:
 *
 *     read()       makes frames of the record, once
 *     sentence()   says in words what happens in a frame
 *     show()       draws one frame: all that a key costs
 *     drawLanes()  draws the time line, once
 */
'use strict';

const $ = (id) => document.getElementById(id);
const record = $('record').textContent.split('\n').filter((line) => line !== '');
const source = $('source').textContent.replace(/\n$/, '').split('\n');
const frames = [];
const scenes = []; // {name, text, frame}
const lives = new Map(); // client -> [{time, how}], for its lane
const clientOf = new Map(); // port -> name
const accepted = new Map(); // client -> frame
let biggest = 1; // the fullest buffer of all
let now = 0; // the frame that is shown

const plural = (n, word) => `${number(n)} ${word}${n === 1 ? '' : 's'}`;
const number = (n) => n.toLocaleString('en');
const escape = (text) => String(text).replace(/&/g, '&amp;').replace(/</g, '&lt;');
const ms = (seconds) => (seconds < 0.01 ? (seconds * 1000).toFixed(1) : number(Math.round(seconds * 1000))) + ' ms';

// ---- Reading the record ---------------------------------------------------

// "client port 4031 receive 5 writable" -> {port: 4031, receive: 5, writable: true}
function pairs(words) {
  const state = {};
  for (let i = 0; i < words.length; i++) {
    if (/^-?[0-9.]+$/.test(words[i + 1])) state[words[i]] = Number(words[++i]);
    else state[words[i]] = true;
  }
  return state;
}

function read() {
  const fds = new Map(), knotes = new Map(), clients = new Map(), does = new Map();
  const lately = new Map(); // the last word of a group, running or done
  const active = new Map(); // fd -> time of its last byte
  const log = [], pending = [];
  let call = null, set = '', file = '';

  for (const line of record) {
    const m = /^\S+ port (\S+) (\d+)$/.exec(line);
    if (m) clientOf.set(Number(m[2]), m[1]);
  }

  function frame(kind, time) {
    const f = { kind, time, call, words: [], fds: new Map(fds), knotes: new Map(knotes), clients: new Map(clients),
      does: new Map(does), active: new Map(active), log: log.length, set };
    frames.push(f);
    return f;
  }

  for (const line of record) {
    const [stamp, kind, ...rest] = line.split(' ');
    const time = Number(stamp), text = line.slice(stamp.length + kind.length + 2);
    switch (kind) {
    case 'source': file = text; break;
    case 'fd': {
      const { taken, ended } = fds.get(Number(rest[0])) || {};
      const state = { taken, ended, fd: Number(rest[0]), kind: rest[1], ...pairs(rest.slice(2)) };
      if (clientOf.has(state.port) && !accepted.has(clientOf.get(state.port))) accepted.set(clientOf.get(state.port), frames.length);
      // A client without a record of its own, nc perhaps, has a lane all the same.
      if (state.kind === 'client' && !clientOf.has(state.port)) live(`fd ${state.fd}`, time, 'calm');
      fds.set(state.fd, state);
      biggest = Math.max(biggest, state.receive || 0, state.send || 0);
      break;
    }
    case 'knote': {
      const m = /^(.*) (on|off)( ready)?(?: due (\S+))?$/.exec(text);
      knotes.set(m[1], { name: m[1], on: m[2] === 'on', ready: Boolean(m[3]), due: m[4] && Number(m[4]) });
      break;
    }
    case 'gone':
      if (rest[0] === 'knote') knotes.delete(text.slice(6));
      else {
        if (lives.has(text)) live(text, time, 'over');
        fds.delete(Number(rest[1]));
        active.delete(Number(rest[1]));
      }
      break;
    case 'call': call = { line: Number(rest[0]), name: rest[1], start: time, words: [], slept: false }; break;
    case 'asleep': {
      call.slept = true;
      if (call.name === 'select') set = text;
      frame('asleep', time).words = [text];
      break;
    }
    case 'words': call.words.push(text); break;
    case 'return': {
      const last = call.words[call.words.length - 1] || '';
      const m = /^(accept|recv|send)\((\d+).* = (\d+)/.exec(last);
      call.end = time;
      if (call.name === 'select') set = last;
      if (m && m[1] === 'accept') active.set(Number(m[3]), time);
      else if (m && m[3] !== '0') active.set(Number(m[2]), time);
      // What recv() has taken, the end too: the buffer does not tell any more.
      if (m && m[1] === 'recv' && fds.has(Number(m[2]))) {
        const state = fds.get(Number(m[2]));
        fds.set(state.fd, { ...state, taken: (state.taken || 0) + Number(m[3]), ended: m[3] === '0' });
      }
      frame('return', time).words = call.words;
      break;
    }
    case 'log': log.push(text); break;
    case 'client': {
      const state = { name: rest[0], how: rest[1], ...pairs(rest.slice(2)), time };
      const before = clients.get(state.name);
      // Since when it waits for bytes.
      if (state.sent > state.got && /^(open|half)$/.test(state.how))
        state.waits = before && before.waits && before.got === state.got ? before.waits : time;
      clients.set(state.name, state);
      biggest = Math.max(biggest, state.receive || 0, state.send || 0);
      state.mood = mood(state, lately.get(state.name[0]));
      live(state.name, time, state.mood);
      break;
    }
    case 'does':
      does.set(rest[0], rest.slice(1).join(' '));
      if (rest[1] !== 'pause') lately.set(rest[0], rest[1]); // it goes on as before
      break;
    case 'done': does.delete(rest[0]); break;
    case 'scene':
      // While a call sleeps, clients can have gone on since its last frame.
      if (call && call.slept && !call.end) frame('asleep', time).words = frames[frames.length - 2].words;
      scenes.push({ name: rest[0], text: rest.slice(1).join(' '), frame: Math.max(frames.length - 1, 0) }); break;
    case 'next': {
      const m = /^(\S+) "(.*?)" (.*)$/.exec(text);
      pending.push({ name: m[1], pattern: m[2], text: m[3], from: frames.length });
      break;
    }
    case 'ended':
      call = { line: call ? call.line : 1, name: 'end', start: time, end: time, words: [] };
      frame('ended', time).words = [text];
      break;
    }
  }
  for (const f of frames) { // the changes of a call that sleeps are known when it is back
    f.file = file;
    f.log_lines = log;
    if (f.kind === 'asleep') f.words = f.call.words.filter((w) => w.startsWith('->')).concat(f.words);
  }
  find(pending);
}

// over; waits, for the server; deaf, if bytes have come and it does not read.
function mood(state, word) {
  if (/^(eof|reset|closed)$/.test(state.how)) return 'over';
  if (!state.waits) return 'calm';
  if (!state.receive) return /^(fill|stay)$/.test(word) ? 'calm' : 'waits';
  return /^(put|pour|fill|shut|stay)$/.test(word) ? 'deaf' : 'calm';
}

// One more moment in the life of a client, for its lane.
function live(name, time, how) {
  if (!lives.has(name)) lives.set(name, []);
  const life = lives.get(name);
  if (life.length === 0 || life[life.length - 1].how !== how) life.push({ time, how });
}

// The frames of `next NAME WORDS TEXT`: @A in the words is the descriptor of A.
function find(pending) {
  for (const p of pending) {
    for (let i = p.from; i < frames.length; i++) {
      const states = [frames[i], frames[Math.max(i - 1, 0)]];
      const pattern = p.pattern.replace(/@([A-Z]\d*)/g, (all, name) => fdOf(states, name));
      if (frames[i].kind !== 'return' || !frames[i].words.some((w) => new RegExp(pattern).test(w))) continue;
      scenes.push({ name: p.name, text: p.text, frame: i });
      break;
    }
  }
  scenes.sort((a, b) => a.frame - b.frame);
}

function fdOf(states, name) {
  for (const f of states)
    for (const state of f.fds.values())
      if (clientOf.get(state.port) === name) return state.fd;
  return '-';
}

// ---- Saying what happens --------------------------------------------------

// "client A (fd 5)". A descriptor that close() took away is in the frame before.
function who(f, fd) {
  const before = frames[Math.max(frames.indexOf(f) - 1, 0)];
  const state = f.fds.get(fd) || before.fds.get(fd);
  if (state && state.kind === 'listener') return `the listener (fd ${fd})`;
  const name = state && clientOf.get(state.port);
  return name ? `client ${name} (fd ${fd})` : `fd ${fd}`;
}

// The names that a server gives its timers: enum { IDLE_TIMER = 1, ... }.
const timers = ((/enum \{ (\w*TIMER) = 1((?:, \w+)*) \}/.exec(source.join('\n')) || []).slice(1).join('')).split(', ');

// The trace's words with the names of clients and timers, and commas in numbers.
function plainly(f, words) {
  return words.replace(/\d{4,}(?= (byte|ms))/g, (n) => number(Number(n)))
    .replace(/^timer (\d+)/, (all, n) => (timers[n - 1] ? `${all} (${timers[n - 1]})` : all))
    .replace(/^fd (\d+)/, (all, fd) => who(f, Number(fd)));
}

function sentence(f) {
  if (f.kind === 'ended') return `The server has ended: ${f.words[0]}.`;
  return f.kind === 'asleep' ? sleeping(f) : back(f);
}

// What a call that sleeps has waited for, when that has just come.
function roused(f, words, fd) {
  const is = (n, what) => (f.fds.get(n) || {})[what] && who(f, n);
  switch (f.call.name) {
  case 'accept': case 'recv': return is(fd, 'readable');
  case 'send': return is(fd, 'writable');
  case 'select': return (words.match(/ \d+/g) || []).map((n) => is(Number(n), 'readable')).find(Boolean);
  case 'kevent': return [...f.knotes.values()].filter((k) => k.on && k.ready).map((k) => plainly(f, k.name))[0];
  }
  return '';
}

function sleeping(f) {
  const words = f.words[f.words.length - 1], fd = Number((/\((\d+)/.exec(words) || [])[1]);
  const ready = roused(f, words, fd), asked = (words.match(/ \d+/g) || []).length;
  if (ready) return `${f.call.name}() is waking up: ${ready} is ready.`;
  switch (f.call.name) {
  case 'accept': return 'accept() sleeps: the backlog is empty.';
  case 'recv': return `recv() sleeps: the receive buffer of ${who(f, fd)} is empty. ${others(f, fd)}`;
  case 'send': return `send() sleeps: no room in the send buffer for ${who(f, fd)}. ${others(f, fd)}`;
  case 'select': return `select() sleeps: ${asked === 1 ? 'the descriptor that it was asked about is not' : `none of the ${asked} descriptors that it was asked about is`} ready.`;
  case 'kevent': return `kevent() sleeps: no knote is ready. ${left(f)}`;
  }
  return `${f.call.name}() is not back yet.`;
}

// Clients that are connected, and not yet accepted.
function strangers(f) {
  const i = frames.indexOf(f);
  return [...f.clients.values()].filter((c) => /^(open|half)$/.test(c.how) && !(accepted.get(c.name) <= i));
}

// Who waits for the server while it sleeps in a call for one client.
function others(f, mine) {
  const waiting = [];
  for (const state of f.fds.values()) {
    if (state.fd === mine) continue;
    if (state.backlog) waiting.push(`${strangers(f).map((c) => `client ${c.name}`).join(' and ') || plural(state.backlog, 'connection')} in the backlog`);
    if (state.receive) waiting.push(`${who(f, state.fd)} with ${plural(state.receive, 'byte')} unread`);
    else if (state.kind === 'client' && state.readable) waiting.push(`${who(f, state.fd)}, who will send no more`);
  }
  return waiting.length ? `Waiting for the server meanwhile: ${waiting.join('; ')}.` : '';
}

// What is left unread on purpose: the knote is off.
function left(f) {
  const texts = [];
  for (const k of f.knotes.values()) {
    const m = /^fd (\d+) READ$/.exec(k.name), state = m && f.fds.get(Number(m[1]));
    if (state && !k.on && state.receive)
      texts.push(`READ of ${who(f, state.fd)} is off, so its ${plural(state.receive, 'byte')} are left where they are.`);
  }
  return texts.join(' ');
}

function back(f) {
  const last = f.words.find((w) => w.startsWith(f.call.name + '(')) || '';
  const m = /^\w+\((\d*).*\) = (-?\d+)(?: \((.*)\))?/.exec(last) || [];
  const fd = Number(m[1]), result = Number(m[2]);
  const slept = f.call.slept ? ` It slept for ${ms(f.call.end - f.call.start)}.` : '';

  if (result === -1 && /unavailable|would block/i.test(m[3]))
    return `${f.call.name}() for ${who(f, fd)} would have to wait, and does not: ${m[3]}.${slept}`;
  if (result === -1) return `${f.call.name}() failed: ${m[3]}.${slept}`;
  switch (f.call.name) {
  case 'kqueue': return `kqueue() made a queue in the kernel: fd ${result}.`;
  case 'accept': return `accept() took ${who(f, result)} out of the backlog.${slept}`;
  case 'recv':
    return (result === 0 ? `recv() returned 0, the end: ${who(f, fd)} will send no more.`
      : `recv() took ${plural(result, 'byte')} of ${who(f, fd)} out of the receive buffer.`) + slept;
  case 'send': return sent(f, fd, Number(/, (\d+) byte/.exec(last)[1]), result) + slept;
  case 'dup': return `dup() got fd ${result}: there is a descriptor for a client.`;
  case 'shutdown': return `shutdown() told ${who(f, fd)} that no more will come.`;
  case 'close': return closed(f, fd);
  case 'select': return `select() is back: ${result} of ${(last.split(')')[0].match(/ \d+/g) || []).length} can be read.${slept}`;
  case 'kevent': return queue(f) + slept;
  }
  return `${f.call.name}() returned ${result}.${slept}`;
}

function closed(f, fd) {
  const before = frames[Math.max(frames.indexOf(f) - 1, 0)], name = who(f, fd);
  const knotes = [...before.knotes.keys()].some((k) => k.startsWith(`fd ${fd} `));
  return `close() gave back ${name === `fd ${fd}` ? name : `the descriptor of ${name}`}${knotes ? '; its knotes went along' : ''}.`;
}

function sent(f, fd, asked, n) {
  if (n === asked) return `send() put ${n === 1 ? 'the byte' : `all ${number(n)} bytes`} for ${who(f, fd)} into the send buffer.`;
  return `send() took ${number(n)} of ${plural(asked, 'byte')} for ${who(f, fd)}: there is no room for the other ${number(asked - n)}.`;
}

function queue(f) {
  const strip = (w) => plainly(f, w.slice(3).replace(/, receipt asked/, ''));
  const changes = f.words.filter((w) => w.startsWith('->')).map(strip);
  const events = f.words.filter((w) => w.startsWith('<-') && !/receipt/.test(w)).map(strip);
  const texts = [];
  if (changes.length) texts.push(`kevent() made ${plural(changes.length, 'change')}: ${changes.join('; ')}.`);
  if (events.length > 2) texts.push(`kevent() returned a batch of ${events.length} events, first ${events[0]}.`);
  else if (events.length) texts.push(`kevent() returned ${plural(events.length, 'event')}: ${events.join('; ')}.`);
  return texts.join(' ') || 'kevent() returned no event.';
}

// What a client does, from the words of tools/talk.c.
function deed(text) {
  const [word, argument] = text.split(' '), rest = text.slice(word.length + 1);
  const known = { open: 'connects', send: `sends "${rest}"`, expect: `waits for "${rest}"`,
    put: `sends ${number(Number(argument))} bytes, reads nothing`, get: `reads ${number(Number(argument))} bytes`,
    rest: 'reads all that is left', echo: `sends and reads ${number(Number(argument))} bytes`,
    fill: 'sends all it can, reads nothing', quiet: 'listens', shut: 'half-closes', eof: 'waits for the end',
    end: 'reads to the end', close: 'closes', reset: 'resets the connection', stay: 'does nothing', drain: 'reads',
    every: 'asks now and then' };
  return known[word] || text;
}

// ---- Showing a frame ------------------------------------------------------

function show(i) {
  now = Math.max(0, Math.min(i, frames.length - 1));
  const f = frames[now], before = frames[Math.max(now - 1, 0)];
  const scene = scenes.find((s) => s.frame === now);

  $('scene').textContent = scene ? scene.text : '';
  $('sentence').textContent = sentence(f);
  $('words').textContent = f.words.join('\n');
  $('where').textContent = `frame ${now + 1} of ${frames.length} · ${ms(f.time)}`;
  showSource(f);
  $('queue').innerHTML = showQueue(f, before);
  $('descriptors').innerHTML = showDescriptors(f, before);
  $('idle').innerHTML = showOrder(f, before);
  $('people').innerHTML = showClients(f);
  showLog(f, before);
  for (const cursor of cursors) cursor.style.left = `${places[now] * 100}%`;
  $('timeline').setAttribute('aria-valuenow', now + 1);
  $('timeline').setAttribute('aria-valuetext', `frame ${now + 1}: ${sentence(f)}`);
  for (const link of $('scenes').children) {
    if (scene && link.hash === '#' + scene.name) {
      link.setAttribute('aria-current', 'true');
      $('scenes').scrollLeft = link.offsetLeft - $('scenes').offsetLeft - 40;
    } else link.removeAttribute('aria-current');
  }
  remember(scene ? scene.name : String(now + 1));
}

// The address follows, but not at every key: browsers limit how often it may.
let remembering = 0;
function remember(name) {
  clearTimeout(remembering);
  remembering = setTimeout(() => { if (location.hash !== '#' + name) history.replaceState(null, '', '#' + name); }, 150);
}

// A function begins at a line that is not indented, and ends at a lone brace.
const beginnings = source.map((text, i) => (/^[a-z].*\)$/.test(text) && source[i + 1] === '{' ? i : -1));
function functionAt(line) {
  let begin = line - 1, end = line - 1;
  while (begin > 0 && beginnings[begin] === -1) begin--;
  while (end < source.length - 1 && source[end] !== '}') end++;
  return { begin, end, name: (/(\w+)\(/.exec(source[begin]) || [])[1] };
}

let marked = [];
function showSource(f) {
  const pane = $('source'), lines = pane.children, line = f.call.line, place = functionAt(line);
  for (const element of marked) element.classList.remove('function', 'here');
  marked = [];
  for (let i = place.begin; i <= place.end; i++) marked.push(lines[i]);
  for (const element of marked) element.classList.add('function');
  lines[line - 1].classList.add('here');
  $('place').textContent = `${f.file}, line ${line}, in ${place.name}()`;
  // The function from its first line, if the call is in sight then; else the call.
  const top = lines[place.begin].offsetTop, call = lines[line - 1].offsetTop;
  pane.scrollTop = call - top < pane.clientHeight * 0.7 ? top - 4 : call - pane.clientHeight / 2;
}

function showQueue(f, before) {
  if (f.set) {
    const m = /^select\((?:read)?([\d ]*)[^)]*\) = (\d*)(?: \((?:read)?([\d ]*)\))?/.exec(f.set) || [];
    const one = (fd, how) => `<span class="knote ${how}">${escape(who(f, Number(fd)))}</span>`;
    const list = (text, how) => (text || '').trim().split(' ').filter(Boolean).map((fd) => one(fd, how)).join('');
    return `<div class="box"><b>select()</b>, which the kernel forgets after each call: asked about<div class="knotes">${list(m[1], '')}</div>` +
      (m[3] ? `answered<div class="knotes">${list(m[3], 'ready')}</div>` : '<span class="note">no answer yet</span>') + '</div>';
  }
  const queues = [...f.fds.values()].filter((s) => s.kind === 'queue');
  if (queues.length === 0) return '';
  let html = '';
  for (const k of f.knotes.values()) {
    const old = before.knotes.get(k.name);
    const changed = !old || old.on !== k.on || old.ready !== k.ready || old.due !== k.due;
    const left = k.due === undefined ? '' : `: ${k.due > f.time ? `${ms(k.due - f.time)} left` : 'time is up'}`;
    html += `<span class="knote ${k.on ? (k.ready ? 'ready' : 'on') : 'off'}${changed ? ' changed' : ''}">` +
      `${escape(plainly(f, k.name))}${left}${k.on ? (k.ready ? ': ready' : '') : ': off'}</span>`;
  }
  return `<div class="box"><b>queue (fd ${queues[0].fd})</b> <span class="note">${plural(f.knotes.size, 'knote')}</span>` +
    `<div class="knotes">${html}</div></div>`;
}

function buffer(label, n, old, full) {
  if (n === undefined) return `<div class="buffer note">${label}: not told</div>`;
  const width = full ? 100 : n === 0 ? 0 : Math.max(2, 100 * Math.sqrt(n / biggest));
  const text = old !== undefined && old !== n ? `<span class="changed-number">${number(n)}</span> (was ${number(old)})` : number(n);
  return `<div class="buffer${full ? ' full' : ''}">${label}: ${text}${full ? ' <em>no room</em>' : ''}` +
    `<div class="bar"><i style="width:${width}%"></i></div></div>`;
}

function showDescriptors(f, before) {
  let html = '';
  for (const s of f.fds.values()) {
    const old = before.fds.get(s.fd) || {};
    if (s.kind === 'listener') {
      const waiting = s.backlog === undefined ? (s.readable ? 'somebody waits' : 'nobody waits')
        : s.backlog === 0 ? 'empty' : plural(s.backlog, 'connection');
      html += `<div class="box${old.backlog !== s.backlog ? ' new' : ''}"><b>listener (fd ${s.fd})</b> backlog: ` +
        `${s.backlog || (s.backlog === undefined && s.readable) ? `<span class="changed-number">${waiting}</span>` : waiting}</div>`;
    } else if (s.kind === 'client') html += connection(f, s, old, before);
  }
  for (const c of strangers(f)) {
    const lie = c.sent - (c.send || 0);
    html += `<div class="box"><b>client ${c.name}</b> <span class="note">in the backlog, without a descriptor` +
      `${lie > 0 ? `; its ${plural(lie, 'byte')} lie in a receive buffer` : ''}</span></div>`;
  }
  return html;
}

// The two ways of a connection, each with the buffer where bytes are put in and
// the one where they are taken out.
function connection(f, s, old, before) {
  const name = clientOf.get(s.port), c = name && f.clients.get(name), was = (name && before.clients.get(name)) || {};
  const open = c && c.how !== 'closed';
  const title = name ? `client ${name} (fd ${s.fd})` : `fd ${s.fd}`;
  // While a call sleeps and a send buffer stays full, the receive buffer at its
  // other end takes no more: on one machine bytes are on their way for no time.
  const stuck = (n, was, writable) => f.kind === 'asleep' && n > 0 && n === was && !writable;
  const all = [s.receive, s.send, c && c.receive, c && c.send], were = [old.receive, old.send, was.receive, was.send];
  if (old.fd !== undefined && all.every((n) => !n) && were.every((n) => !n) && !s.readable)
    return `<div class="box"><b>${title}</b> <span class="note">its buffers are empty</span></div>`;
  const ended = s.readable && s.receive === 0 ? ` <span class="note">the end ${s.ended ? 'has been' : 'waits to be'} read</span>` : '';
  return `<div class="box${old.fd === undefined ? ' new' : ''}"><b>${title}</b>${ended}<div class="buffers">` +
    (open ? buffer(`${name} → its send buffer`, c.send, was.send, !c.writable) : '<div></div>') +
    buffer('receive buffer → server', s.receive, old.receive, open && stuck(s.receive, old.receive, c.writable)) +
    (open ? buffer(`${name} ← its receive buffer`, c.receive, was.receive, stuck(c.receive, was.receive, s.writable)) : '<div></div>') +
    buffer('send buffer ← server', s.send, old.send, !s.writable) + '</div></div>';
}

// The list of step 5, as the calls tell it: who was heard of when.
const timed = record.some((line) => / knote timer /.test(line));
function order(f) {
  return [...f.active].filter(([fd]) => f.fds.has(fd)).sort((a, b) => a[1] - b[1]).map(([fd]) => fd);
}
function showOrder(f, before) {
  if (!timed || f.active.size === 0) return '';
  const list = order(f), old = order(before);
  const items = list.map((fd, i) => `<span class="${old[i] === fd ? '' : 'moved'}">${escape(who(f, fd))}: ${ms(f.time - f.active.get(fd))}</span>`);
  return `<div class="box"><b>The server's list</b> <span class="note">silent longest first, as its recv() and send() tell</span><div class="order">${items.join('→')}</div></div>`;
}

function showClients(f) {
  let html = '';
  for (const c of f.clients.values()) {
    const over = /^(eof|reset|closed)$/.test(c.how);
    const word = f.does.get(c.name[0]);
    // What the server has got was sent, though the client may note it later.
    const s = [...f.fds.values()].find((state) => clientOf.get(state.port) === c.name) || {};
    const sent = Math.max(c.sent, (s.taken || 0) + (s.receive || 0));
    const state = { eof: 'has read the end', reset: 'has lost its connection', closed: 'has closed', half: 'has half-closed', connecting: 'connects' }[c.how];
    const idle = { deaf: 'does not read', waits: 'waits', calm: 'is silent' }[c.mood];
    const text = over ? state : [state, word && !/^pause/.test(word) ? deed(word) : idle].filter(Boolean).join(', ');
    html += `<div class="person ${c.mood}"><b>${c.name}</b> ${escape(text)}<br>${number(sent)} sent, ${number(c.got)} back` +
      `${c.mood === 'waits' ? `, waits for ${ms(f.time - c.waits)}` : ''}</div>`;
  }
  return html || `<span class="note">${clientOf.size ? 'Nobody has connected yet.' : 'Not recorded: only what the server sees.'}</span>`;
}

function showLog(f, before) {
  const lines = f.log_lines.slice(Math.max(0, f.log - 100), f.log), first = f.log - lines.length;
  $('lines').innerHTML = lines.map((text, i) => (first + i >= before.log && f !== before ? `<span class="new">${escape(text)}</span>` : escape(text))).join('\n');
  $('lines').scrollTop = $('lines').scrollHeight;
  $('log').scrollTop = $('log').scrollHeight;
}

// ---- The time line --------------------------------------------------------

// Where a frame is, 0 to 1: each has the same room, and as much again is shared
// out by time, so that a long sleep looks long and no frame is too small to hit.
const places = [];
const cursors = [];

function place(time) {
  let low = 0, high = frames.length - 1;
  while (low < high) { // the last frame at or before this time
    const middle = (low + high + 1) >> 1;
    if (frames[middle].time <= time) low = middle; else high = middle - 1;
  }
  const end = places[low + 1] === undefined ? 1 : places[low + 1];
  const from = frames[low].time, to = frames[low + 1] ? frames[low + 1].time : from + 1;
  return time <= from ? places[low] : places[low] + (end - places[low]) * Math.min(1, (time - from) / (to - from));
}

function segment(from, to, how, label) {
  const left = place(from) * 100, width = place(to) * 100 - left;
  return `<i class="${how}" style="left:${left.toFixed(3)}%;width:${width.toFixed(3)}%">${label && width / 100 * $('timeline').clientWidth > 9 * label.length ? label : ''}</i>`;
}

function lane(name, segments) {
  return `<b>${name}</b><div class="track">${segments}<u></u></div>`;
}

function drawLanes() {
  const first = frames[0].time, last = frames[frames.length - 1].time, total = last - first || 1;
  for (let i = 0; i < frames.length; i++)
    places.push(0.5 * i / frames.length + 0.5 * (frames[i].time - first) / total);

  let server = segment(first, last, 'running'), call = null, html;
  for (const f of frames) {
    if (f.call === call || !f.call.slept) continue;
    call = f.call;
    server += segment(call.start, call.end || last, 'asleep', call.name);
  }
  html = lane('server', server);
  for (const [name, life] of [...lives].slice(0, 12)) {
    let segments = '';
    life.forEach((moment, i) => {
      if (moment.how !== 'over') segments += segment(moment.time, life[i + 1] ? life[i + 1].time : last, moment.how);
    });
    html += lane(name, segments);
  }
  $('timeline').innerHTML = html;
  cursors.push(...$('timeline').querySelectorAll('u'));
  $('timeline').setAttribute('aria-valuemax', frames.length);
}

function frameAt(x) {
  const track = $('timeline').querySelector('.track').getBoundingClientRect();
  const at = (x - track.left) / track.width;
  let i = places.length - 1;
  while (i > 0 && places[i] > at) i--;
  return i;
}

// ---- Keys, buttons, addresses ---------------------------------------------

let playing = 0;
function stop() {
  clearInterval(playing);
  playing = 0;
  $('play').textContent = 'Play';
}
function go(i) { stop(); show(i); }
function play() {
  if (playing) { stop(); return; }
  $('play').textContent = 'Stop';
  playing = setInterval(() => (now < frames.length - 1 ? show(now + 1) : stop()), 700);
}
function nextScene(step) {
  const list = scenes.filter((s) => (step > 0 ? s.frame > now : s.frame < now));
  if (list.length) go(list[step > 0 ? 0 : list.length - 1].frame);
}

function keys(event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === ' ' && event.target.tagName === 'BUTTON') return; // the button does it
  const acts = { ArrowRight: () => go(now + 1), ArrowLeft: () => go(now - 1), Home: () => go(0), End: () => go(frames.length - 1),
    ' ': play, PageDown: () => nextScene(1), PageUp: () => nextScene(-1) };
  if (!acts[event.key]) return;
  event.preventDefault();
  acts[event.key]();
}

// #17 is a frame, #full a scene.
function follow() {
  const name = decodeURIComponent(location.hash.slice(1)), scene = scenes.find((s) => s.name === name);
  if (scene) go(scene.frame);
  else if (/^\d+$/.test(name)) go(Number(name) - 1);
}

function start() {
  let comment = false;
  read();
  if (frames.length === 0) { $('sentence').textContent = 'The record has no call.'; return; }
  $('source').innerHTML = source.map((text) => {
    comment = comment || /^\s*\/\*/.test(text);
    const html = `<span${comment ? ' class="comment"' : ''}>${escape(text) || ' '}</span>`;
    comment = comment && !text.includes('*/');
    return html;
  }).join('');
  $('scenes').innerHTML = scenes.map((s) => `<a href="#${s.name}" title="${escape(s.text)}">${s.name}</a>`).join('');
  drawLanes();
  $('first').onclick = () => go(0);
  $('back').onclick = () => go(now - 1);
  $('play').onclick = play;
  $('forward').onclick = () => go(now + 1);
  $('last').onclick = () => go(frames.length - 1);
  $('timeline').onpointerdown = (event) => { $('timeline').setPointerCapture(event.pointerId); go(frameAt(event.clientX)); };
  $('timeline').onpointermove = (event) => { if (event.buttons) go(frameAt(event.clientX)); };
  document.addEventListener('keydown', keys);
  addEventListener('hashchange', follow);
  show(0);
  follow();
}

start();
