// Alerts: what fires, who has taken it up, and what is not told; with the forms by which operators say so.

import { el, find, login, say } from './dom.js';
import * as text from './text.js';

const { t } = text;
const TIMEOUT_MS = 8_000;
const FEW = 8; // so many are shown until all are asked for
const NAMED = 6; // so many sites of an alert about many are named in its line
const rank = { critical: 0, warning: 1, info: 2 };
const icon = { critical: '✕', warning: '⚠', info: 'ℹ' };

// Where nobody logs in, everybody may change things.
const operator = () => (find('#account')?.dataset.role ?? 'operator') === 'operator';

async function ask(url) {
  const response = await fetch(url, { cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return response.json();
}

// What is wrong, or null.
async function change(method, url, body) {
  try {
    const headers = body ? { 'Content-Type': 'application/json' } : {};
    const response = await fetch(url, { method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (response.ok) return null;
    if (response.status === 401) login();
    if (response.status === 403) return t('forbidden');
    const problem = await response.json().catch(() => ({}));
    return [problem.detail, problem.remedy].filter(Boolean).join('; ') || `HTTP ${response.status}`;
  } catch (error) {
    return error.message;
  }
}

// Asks for alerts every `every` milliseconds and shows those that fire in #alerts; `history` is handed all that came.
export function alerts({ query, every, now, history = () => {} }) {
  let answer = null;
  let silences = [];
  let failed = false;
  let all = false;
  let asking = null;
  const cards = new Map(); // id → { element, drawn, lasted, alert }

  async function load() {
    const mine = asking = {};
    try {
      const asked = new URLSearchParams({ ...query, lang: text.lang() });
      const [found, quiet] = await Promise.all([ask(`/api/v1/alerts?${asked}`), ask('/api/v1/silences')]);
      if (mine !== asking) return; // another language, or a newer question
      [answer, silences, failed] = [found, quiet.silences, false];
      text.setZone(found.zone);
    } catch (error) {
      console.warn(`alerts: ${error.message}`);
      if (mine !== asking) return;
      failed = true;
    }
    draw();
  }

  function draw() {
    const holder = find('#alerts .cards');
    const said = find('#alerts .said');
    said.hidden = !failed;
    say(said, failed ? t('alerts_failed') : '');
    if (!answer) return;
    const config = find('#alerts .config');
    config.hidden = answer.config_mistakes.length === 0;
    say(config, config.hidden ? '' : t('alerts_config', { first: answer.config_mistakes[0] }));
    const open = answer.alerts.filter((alert) => alert.until == null);
    const held = (alert) => alert.ack?.holds === true || alert.silences.length > 0;
    open.sort((a, b) => held(a) - held(b) || rank[a.severity] - rank[b.severity] || b.since - a.since);
    const shown = all ? open : open.slice(0, FEW);
    for (const id of cards.keys()) if (!shown.some((alert) => alert.id === id)) cards.delete(id);
    const elements = shown.map(card);
    if (open.length === 0) elements.push(el('p', { class: 'calm' }, t('no_alerts')));
    // Left where they are unless something changed, so that focus and what is unfolded stay.
    if (elements.length !== holder.children.length || elements.some((element, i) => element !== holder.children[i])) {
      holder.replaceChildren(...elements);
    }
    const more = find('#alerts .more');
    more.hidden = open.length <= FEW;
    say(more, all ? t('fewer') : t('all_alerts', { n: answer.more ? `> ${open.length}` : open.length }));
    quiet();
    history(answer.alerts, answer.more);
    ages();
  }

  function card(alert) {
    const { duration_ms: _, ...rest } = alert;
    const drawn = JSON.stringify([text.lang(), rest]);
    const known = cards.get(alert.id);
    if (known?.drawn === drawn) return known.element;
    const lasted = el('time', {});
    const { ack } = alert;
    const taken = ack?.holds === true;
    // On the site's own page its name stands above.
    const site = alert.site && !query.site ? el('a', { href: alert.path }, alert.name) : null;
    const about = [site ?? (alert.site ? null : alert.about), alert.link].filter(Boolean).flatMap((part, i) => [i > 0 ? ' · ' : ': ', part]);
    const element = el('article', { class: 'alert', 'data-alert': alert.id, 'data-rule': alert.rule, 'data-severity': alert.severity, 'data-site': alert.site, 'data-taken': String(taken), 'data-silenced': String(alert.silences.length > 0) },
      el('p', { class: 'alert-head' },
        el('span', { class: 'badge', 'data-severity': alert.severity }, `${icon[alert.severity]} ${alert.severity_name}`), ' ',
        el('b', {}, alert.rule_name), ...about, ' ',
        alert.drill && el('span', { class: 'badge' }, t('drill')), alert.flaps && el('span', { class: 'badge' }, t('flaps')), ' ',
        el('span', { class: 'when' }, `${t('since')} ${text.exact(alert.since)} · `, lasted)),
      (alert.cause || alert.why) && el('p', { class: 'alert-why' }, alert.cause && el('b', {}, `${text.cause(alert.cause)}. `), alert.why),
      alert.under && el('p', { class: 'soft' }, t('one_of_many', { about: alert.under_about })),
      alert.members_count > 0 && members(alert),
      taken && el('p', { class: 'soft' }, `${t('taken_by', { by: ack.by, at: text.exact(ack.at) })}${ack.until != null ? ` ${t('until', { at: text.exact(ack.until) })}` : ''}: ${ack.reason}`),
      ...alert.silences.map((silence) => el('p', { class: 'soft' }, `${t('silenced_by', { by: silence.by, at: text.exact(silence.to) })}: ${silence.reason}`)),
      operator() && el('p', { class: 'acts' },
        act('take', taken ? t('take_over') : t('take'), () => takeForm(alert)), taken && act('leave', t('leave'), () => leave(alert)), act('silence', t('silence'), () => silenceForm(alert))));
    cards.set(alert.id, { element, drawn, lasted, alert });
    return element;
  }

  function members(alert) {
    const link = (site) => el('a', { href: `/sites/${encodeURIComponent(site.id)}` }, site.name);
    const list = (sites) => sites.flatMap((site, i) => i > 0 ? [', ', link(site)] : [link(site)]);
    const count = `${alert.members_count} ${t('sites_count')}`;
    if (alert.members_count <= NAMED) return el('p', { class: 'soft' }, `${count}: `, ...list(alert.members));
    const rest = alert.members_count - alert.members.length;
    return el('details', { class: 'soft' }, el('summary', {}, count), ...list(alert.members), rest > 0 ? t('and_more', { n: rest }) : null);
  }

  const act = (what, words, done) => {
    const button = el('button', { type: 'button', 'data-act': what }, words);
    button.addEventListener('click', done);
    return button;
  };

  function quiet() {
    const holder = find('#silences');
    holder.hidden = silences.length === 0;
    say(holder.querySelector('summary'), t('silences', { n: silences.length }));
    const drawn = JSON.stringify([text.lang(), silences]);
    if (holder.drawn === drawn) return;
    holder.drawn = drawn;
    holder.querySelector('ul').replaceChildren(...silences.map((silence) => el('li', { 'data-silence': silence.id },
      `${scope(silence)}${silence.rule ? ` · ${silence.rule}` : ''} · ${text.exact(silence.from)} – ${text.exact(silence.to)} · ${silence.by}: ${silence.reason} `,
      operator() && act('unsilence', t('unsilence'), async () => told(await change('DELETE', `/api/v1/silences/${silence.id}`))))));
  }

  const scope = (silence) => silence.of == null ? t('whole') : `${t(`scope_${silence.scope}`)} ${silence.of}`;

  // What a change that has no form of its own came to.
  function told(wrong) {
    if (wrong) form(t('alerts'), [], async () => null, wrong);
    else load();
  }

  const leave = async (alert) => told(await change('DELETE', `/api/v1/alerts/${alert.id}/ack`));

  const reasonField = () => el('label', {}, t('reason'), el('input', { name: 'reason', type: 'text', maxlength: 200, required: true, autocomplete: 'off' }));
  const choice = (name, label, options) => el('label', {}, label,
    el('select', { name }, ...options.map(([value, words]) => el('option', { value }, words))));
  const HOURS = [['30m', 1_800_000], ['1h', 3_600_000], ['2h', 7_200_000], ['4h', 14_400_000], ['8h', 28_800_000], ['1d', 86_400_000], ['7d', 604_800_000], ['30d', 2_592_000_000]];
  const lengthOptions = () => HOURS.map(([value, ms]) => [value, text.duration(ms, 1)]);

  const heading = (alert) => `${alert.rule_name}: ${alert.about}`;

  function takeForm(alert) {
    form(t('take'), [el('p', {}, heading(alert)), reasonField(), choice('until', t('holds'), [['', t('until_over')], ...lengthOptions()])],
      ({ reason, until }) => change('POST', `/api/v1/alerts/${alert.id}/ack`, { reason, ...(until ? { until } : {}) }));
  }

  // Of what the alert is, as the API names it.
  function of(alert) {
    if (alert.site) return { site: alert.site };
    const [kind, name] = alert.subject.split(/\/(.*)/s);
    return ['tier', 'carrier', 'district'].includes(kind) ? { [kind]: name } : { all: true };
  }

  function silenceForm(alert) {
    const narrow = of(alert);
    const place = alert.site ? alert.name : alert.about;
    const choices = [['rule', t('quiet_rule', { rule: alert.rule_name, about: place })], ['about', t('quiet_about', { about: place })], ['all', t('quiet_all')]];
    form(t('silence'), [choice('what', t('quiet_what'), narrow.all ? choices.slice(0, 1).concat(choices.slice(2)) : choices), choice('for', t('quiet_for'), lengthOptions()), reasonField(), el('p', { class: 'soft' }, t('quiet_hint'))],
      ({ what, for: length, reason }) => change('POST', '/api/v1/silences', { ...(what === 'all' ? { all: true } : narrow), ...(what === 'rule' ? { rule: alert.rule } : {}), for: length, reason }));
  }

  // Silences a site, or everything, before anything fires.
  function silenceAll(site) {
    form(t('silence'), [el('p', {}, site ? t('quiet_about', { about: site.name }) : t('quiet_all')), choice('for', t('quiet_for'), lengthOptions()), reasonField(), el('p', { class: 'soft' }, t('quiet_hint'))],
      ({ for: length, reason }) => change('POST', '/api/v1/silences', { ...(site ? { site: site.id } : { all: true }), for: length, reason }));
  }

  // One form at a time, over the page; `send` says what is wrong, or null.
  function form(title, fields, send, wrong = null) {
    const dialog = el('dialog', { 'aria-labelledby': 'form-title' });
    const said = el('p', { class: 'said', role: 'alert', hidden: wrong == null }, wrong ?? '');
    const submit = fields.length > 0 && el('button', { type: 'submit', class: 'main' }, title);
    const cancel = el('button', { type: 'button' }, t('close'));
    const inner = el('form', { method: 'dialog' }, el('h2', { id: 'form-title' }, title), said, ...fields, el('p', { class: 'acts' }, submit, cancel));
    cancel.addEventListener('click', () => dialog.close());
    dialog.addEventListener('close', () => dialog.remove());
    inner.addEventListener('submit', async (event) => {
      event.preventDefault();
      submit.disabled = true;
      const problem = await send(Object.fromEntries(new FormData(inner)));
      submit.disabled = false;
      if (problem) {
        said.hidden = false;
        say(said, problem);
      } else {
        dialog.close();
        load();
      }
    });
    dialog.append(inner);
    document.body.append(dialog);
    dialog.showModal();
  }

  function ages() {
    const at = now() ?? answer?.now;
    for (const { lasted, alert } of cards.values()) if (at != null) say(lasted, text.duration(at - alert.since));
  }

  find('#alerts .more').addEventListener('click', () => { all = !all; draw(); });
  const whole = find('#alerts [data-act=silence-all]');
  whole.hidden = !operator();
  load();
  setInterval(() => { if (!document.hidden) load(); }, every);
  setInterval(ages, 5_000);
  document.addEventListener('visibilitychange', () => { if (!document.hidden) load(); });
  return { load, silenceAll };
}
