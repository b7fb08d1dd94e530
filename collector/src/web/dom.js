// What both pages share: elements made without markup (so that no name can become code), the switch of language, and a clock
// that never lets old figures look new.

import * as text from './text.js';

// An element with attributes and children; text is always text.
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value != null && value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child != null && child !== false));
  return element;
}

export const find = (css) => document.querySelector(css);

// Sets text only where it differs: a screen reader is not told the same again, a selection stays.
export function say(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

// Static words, the button, and what is to be drawn anew when the language changes.
export function languages(redraw) {
  const button = find('#lang');
  const apply = () => {
    document.documentElement.lang = text.lang();
    const other = text.lang() === 'vi' ? 'en' : 'vi';
    button.textContent = other === 'en' ? 'English' : 'Tiếng Việt';
    button.lang = other;
    for (const element of document.querySelectorAll('[data-text]')) say(element, text.t(element.dataset.text));
  };
  button.addEventListener('click', () => {
    text.setLang(text.lang() === 'vi' ? 'en' : 'vi');
    apply();
    redraw();
  });
  apply();
}

// To the login page, which leads back here.
export function login() {
  const query = new URLSearchParams({ next: location.pathname + location.search, lang: text.lang(), ended: 1 });
  location.assign(`/login?${query}`);
}

const POLL_MS = 5_000;
// Three polls: one that is late or lost is no alarm.
const STALE_MS = 15_000;
// A connection that hangs counts as one that failed.
const TIMEOUT_MS = 8_000;

// Asks `url` every five seconds and hands each answer to `show`. Says in #updated how old the newest is, and in #stale, loudly,
// when it is too old, whatever the reason.
export function follow(url, show) {
  let etag = null;
  let answered = null; // performance.now() of the newest good answer
  let at = null; // the collector's time in it
  let first = null; // both of the first one, to see whether the collector's time goes on
  let asking = false;
  let gone = false;

  const now = () => at == null ? null : at + (performance.now() - answered);

  async function ask() {
    if (asking) return;
    asking = true;
    try {
      const headers = etag ? { 'If-None-Match': etag } : {};
      const response = await fetch(url, { cache: 'no-store', headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
      if (response.status === 304) {
        at = Math.max(at, Date.parse(response.headers.get('Date')) || 0);
      } else if (response.ok) {
        const answer = await response.json();
        etag = response.headers.get('ETag');
        at = answer.now;
        text.setZone(answer.zone);
        show(answer);
      } else if (response.status === 401) {
        // The login is over: there is nothing more to see before the next one.
        login();
        throw new Error('the login is over');
      } else {
        gone = response.status === 404;
        throw new Error(`HTTP ${response.status}`);
      }
      gone = false;
      answered = performance.now();
      first ??= { answered, at };
    } catch (error) {
      console.warn(`${url}: ${error.message}`);
    } finally {
      asking = false;
      tick();
    }
  }

  function tick() {
    const updated = find('#updated');
    const stale = find('#stale');
    const old = answered == null ? performance.now() : performance.now() - answered;
    const behind = first == null ? 0 : (answered - first.answered) - (at - first.at);
    let message = '';
    if (gone) message = text.t('missing');
    else if (answered == null) message = old > STALE_MS / 3 ? text.t('never') : '';
    else if (old > STALE_MS) message = text.t('stale', { at: text.exact(at), ago: text.duration(old) });
    else if (behind > STALE_MS) message = text.t('behind', { at: text.exact(at), ago: text.duration(behind) });
    stale.hidden = message === '';
    say(stale, message);
    const fresh = message ? 'stale' : answered == null ? 'loading' : 'fresh';
    document.body.dataset.fresh = updated.dataset.fresh = fresh;
    say(updated, at == null ? text.t('loading') : `${text.t('now')} ${text.time(at)}`);
    if (at != null) updated.title = text.exact(at);
  }

  ask();
  setInterval(ask, POLL_MS);
  setInterval(tick, 1_000);
  document.addEventListener('visibilitychange', () => { if (!document.hidden) ask(); });
  return { now, tick };
}
