// One site: its links, what happened to them, how reliable they were.

import { alerts } from './alerts.js';
import { el, find, follow, languages, say, svg } from './dom.js';
import * as text from './text.js';

const { t } = text;
const id = document.body.dataset.site;
const path = `/api/v1/sites/${encodeURIComponent(id)}`;
const SPANS = { '24h': '-24h', '7d': '-7d' };
// Strips are drawn anew this often; the newest seconds of a day are less than a pixel.
const STRIPS_MS = 30_000;
// More intervals than this are drawn as columns, each as bad as its worst.
const MOST_RECTS = 1_500;

const MOST_INCIDENTS = 200;

let site = null;
let names = { tier: {}, branch: {}, site: {} }; // id → what people call it
let strips = []; // [{ link, timeline }]
let span = '24h';

const source = follow(path, (answer) => {
  const first = site == null;
  answer.links.sort((a, b) => text.byKind((link) => link.kind)(a, b) || a.link.localeCompare(b.link));
  site = answer;
  draw();
  if (first) {
    load();
    loadNames();
  }
});

const firing = alerts({ query: { site: id, from: '-30d', limit: MOST_INCIDENTS }, every: 10_000, now: source.now, history: alertHistory });
find('#alerts [data-act=silence-all]').addEventListener('click', () => firing.silenceAll({ id, name: site?.name ?? id }));
// The sentences of incidents and alerts come in the language that is asked for.
languages(() => { draw(); drawStrips(); loadIncidents(); source.tick(); firing.load(); });
setInterval(load, STRIPS_MS);

function draw() {
  if (!site) return;
  document.title = `${text.icons[site.verdict]} ${site.name} – Wanwatch`;
  say(find('#name'), site.name);
  say(find('#zone'), t('zone', { zone: site.zone }));
  const held = site.since == null ? t('ever') : `${t(site.since_before ? 'since_before' : 'since')} ${text.exact(site.since)} (${text.age(source.now() - site.since)})`;
  find('#verdict').replaceChildren(
    el('span', { class: 'badge', 'data-verdict': site.verdict }, `${text.icons[site.verdict]} ${text.verdict(site.verdict)}`), ` ${held}`,
    el('br'), `${t('rule')}: ${text.rule(site.rule)}`, ...(site.registered ? [] : [el('br'), t('not_registered')]));
  say(find('#place'), [site.district, site.id].filter(Boolean).join(' · '));
  links();
  spans();
  uptime();
  facts();
}

function row(tag, cells, attributes = {}) {
  return el('tr', attributes, ...cells.map((cell) => cell instanceof Element && /^T[DH]$/.test(cell.tagName) ? cell : el(tag, {}, cell)));
}

const badge = ({ state, why }) => el('span', { class: 'badge', 'data-state': state },
  `${text.stateIcons[state]} ${text.state(state)}${why ? ` (${text.reason(why)})` : ''}`);

function links() {
  const table = find('#links');
  if (site.links.length === 0) {
    table.replaceChildren(el('tbody', {}, row('td', [t('no_links')])));
    return;
  }
  const head = row('th', [t('link'), t('state'), t('loss'), t('rtt'), t('carrier'), t('contract'), t('last_round'), t('seen_by')]);
  const body = site.links.map((link) => row('td', [
    el('th', { scope: 'row' }, link.link), badge(link.state),
    link.latest ? text.percent(link.latest.loss, 0) : '–',
    link.latest?.rtt_median_seconds != null ? `${text.fixed(link.latest.rtt_median_seconds * 1000, 1)} ms` : '–',
    link.carrier ?? '–', [link.contract, link.contract_uptime != null ? text.percent(link.contract_uptime) : null].filter(Boolean).join(', ') || '–',
    link.latest ? text.exact(link.latest.end) : '–', link.vantages.map((v) => v.vantage).join(', ') || '–',
  ], { 'data-link': link.link, 'data-state': link.state.state }));
  table.replaceChildren(el('thead', {}, head), el('tbody', {}, ...body));
}

function spans() {
  find('#span').replaceChildren(...Object.keys(SPANS).map((name) => {
    const button = el('button', { type: 'button', class: 'chip', 'data-span': name, 'aria-pressed': String(name === span) }, text.duration(name === '24h' ? 86_400_000 : 604_800_000, 1).replace(/^1 (ngày|d)$/, name === '24h' && text.lang() === 'en' ? '24 h' : '24 giờ'));
    button.addEventListener('click', () => { span = name; spans(); load(); find(`#span [data-span="${name}"]`).focus(); });
    return button;
  }));
}

// What tiers, branches and neighbours are called; without it their ids are shown.
async function loadNames() {
  try {
    const overview = await (await fetch('/api/v1/overview')).json();
    const map = (list, value) => Object.fromEntries(list.map((entry) => [entry.id, value(entry)]));
    names = { tier: map(overview.tiers, (e) => e), branch: map(overview.branches, (e) => e), site: map(overview.sites, (e) => e.name) };
    draw();
  } catch (error) {
    console.warn(`names: ${error.message}`);
  }
}

async function loadIncidents() {
  if (!site || document.hidden) return;
  const wanted = span;
  try {
    const query = new URLSearchParams({ site: id, from: SPANS[wanted], lang: text.lang(), limit: MOST_INCIDENTS });
    const response = await fetch(`/api/v1/incidents?${query}`, { cache: 'no-store' });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    const answer = await response.json();
    if (wanted === span) incidents(answer);
  } catch (error) {
    console.warn(`incidents: ${error.message}`);
  }
}

async function load() {
  if (!site || document.hidden) return;
  loadIncidents();
  const wanted = span;
  const wantedLinks = [null, ...site.links.map((link) => link.link)];
  try {
    const loaded = await Promise.all(wantedLinks.map(async (link) => {
      const query = new URLSearchParams({ from: SPANS[wanted], ...(link ? { link } : {}) });
      const response = await fetch(`${path}/timeline?${query}`, { cache: 'no-store' });
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      return { link, timeline: await response.json() };
    }));
    if (wanted !== span) return;
    strips = loaded;
    drawStrips();
  } catch (error) {
    console.warn(`timeline: ${error.message}`);
  }
}

// ---- strips

function drawStrips() {
  if (!site || strips.length === 0) return;
  const whole = strips[0].timeline.window;
  const readout = el('p', { id: 'hover', 'aria-hidden': 'true' }, '\u00a0');
  const rows = strips.map(({ link, timeline }) => el('div', { class: 'strip', 'data-strip': link ?? 'site' },
    el('span', { class: 'strip-name' }, link ?? t('site')), strip(link, timeline, whole, readout)));
  find('#timeline').replaceChildren(...rows, axis(whole), readout);
  find('.headline ~ section .legend').replaceChildren(...['up', 'degraded', 'down', 'unknown'].map((state) =>
    el('span', {}, el('span', { class: 'swatch', 'data-state': state }), text.state(state))));
  list();
}

const told = (interval) => `${text.exact(interval.start)} – ${text.exact(interval.end)} · ${text.state(interval.state)}` +
  `${interval.why ? ` (${text.reason(interval.why)})` : ''} · ${text.duration(interval.duration_ms)}`;

function strip(link, timeline, whole, readout) {
  const length = Math.max(1, whole.end - whole.start);
  const x = (at) => (at - whole.start) / length * 1000;
  const intervals = timeline.intervals.length > MOST_RECTS ? columns(timeline.intervals, whole) : timeline.intervals;
  // What is down is drawn last and at least a hair wide, so that the shortest outage of a week is seen.
  const ordered = [...intervals].sort((a, b) => (a.state === 'down') - (b.state === 'down'));
  const rects = ordered.map((interval) => {
    const width = Math.max(x(interval.end) - x(interval.start), interval.state === 'down' ? 2 : 0);
    const rect = svg('rect', { x: Math.min(x(interval.start), 1000 - width).toFixed(3), width: width.toFixed(3), height: 20, 'data-state': interval.state, 'data-start': interval.start, 'data-end': interval.end },
      svg('title', {}, told(interval)));
    rect.addEventListener('pointerenter', () => say(readout, `${link ?? t('site')}: ${told(interval)}`));
    return rect;
  });
  const down = timeline.intervals.filter((interval) => interval.state === 'down').length;
  return svg('svg', { viewBox: '0 0 1000 20', preserveAspectRatio: 'none', role: 'img', 'aria-label': `${link ?? t('site')}: ${t('outages')} ${down}` }, ...rects);
}

function columns(intervals, whole) {
  const rank = { down: 3, degraded: 2, unknown: 1, up: 0 };
  const width = (whole.end - whole.start) / 1000;
  const worst = [];
  for (const interval of intervals) {
    const last = Math.min(999, Math.ceil((interval.end - whole.start) / width) - 1);
    for (let i = Math.max(0, Math.floor((interval.start - whole.start) / width)); i <= last; i += 1) {
      if (!worst[i] || rank[interval.state] > rank[worst[i].state]) worst[i] = interval;
    }
  }
  return worst.map((interval, i) => ({ ...interval, start: whole.start + i * width, end: whole.start + (i + 1) * width }));
}

function axis(whole) {
  const HOUR = 3_600_000;
  const step = whole.end - whole.start > 48 * HOUR ? 24 * HOUR : 3 * HOUR;
  const [, sign, hours, minutes] = whole.start_local.match(/([+-])(\d\d):(\d\d)$/) ?? ['', '+', '0', '0'];
  const offset = (sign === '-' ? -1 : 1) * (Number(hours) * HOUR + Number(minutes) * 60_000);
  const holder = el('div', { class: 'axis', 'aria-hidden': 'true' });
  for (let at = Math.ceil((whole.start + offset) / step) * step - offset; at < whole.end; at += step) {
    const label = el('span', {}, step > 3 * HOUR ? text.date(at) : text.hour(at));
    label.style.left = `${(at - whole.start) / (whole.end - whole.start) * 100}%`;
    holder.append(label);
  }
  return el('div', { class: 'strip' }, el('span', { class: 'strip-name' }), holder);
}

function list() {
  const LONGEST = 500;
  const head = row('th', [t('link'), t('from'), t('to'), t('lasts'), t('state'), t('why')]);
  const rows = strips.flatMap(({ link, timeline }) => timeline.intervals.map((interval) => ({ link, ...interval })));
  rows.sort((a, b) => b.start - a.start);
  const body = rows.slice(0, LONGEST).map((interval) => row('td', [
    interval.link ?? t('site'), text.exact(interval.start), text.exact(interval.end), text.duration(interval.duration_ms),
    badge({ state: interval.state }), interval.why ? text.reason(interval.why) : '',
  ], { 'data-state': interval.state }));
  find('#intervals table').replaceChildren(el('thead', {}, head), el('tbody', {}, ...body));
}

// ---- incidents

function incidents({ incidents: found, more }) {
  const table = find('#incidents');
  if (found.length === 0) {
    table.replaceChildren(el('tbody', {}, row('td', [t('no_incidents')])));
    return;
  }
  const head = row('th', [t('link'), t('from'), t('to'), t('lasts'), t('state'), t('cause'), t('why')]);
  const body = found.map((incident) => row('td', [
    incident.link ?? t('site'), text.exact(incident.start), incident.end == null ? t('goes_on') : text.exact(incident.end),
    text.duration(incident.bad_ms), text.incident(incident.kind), text.cause(incident.cause), reasons(incident),
  ], {
    'data-incident': incident.id, 'data-kind': incident.kind, 'data-cause': incident.cause, 'data-open': String(incident.end == null),
    'data-taken-back': String(incident.taken_back != null),
  }));
  if (more) body.push(el('tr', {}, el('td', { colspan: 7 }, t('more_incidents'))));
  table.replaceChildren(el('thead', {}, head), el('tbody', {}, ...body));
}

// The rule, the evidence, and what had been said before.
function reasons(incident) {
  const lines = [incident.why];
  const small = (line) => el('small', {}, line);
  const earlier = incident.restatements.map(({ was }) => was).at(-1);
  if (earlier) lines.push(small(t('restated', { was: `${text.cause(earlier.cause)}, ${text.exact(earlier.start)} – ${earlier.end == null ? t('goes_on') : text.exact(earlier.end)}` })));
  if (incident.taken_back != null) lines.push(small(t('taken_back')));
  lines.push(small(`${t('evidence')}: ${incident.evidence}`));
  return el('span', {}, ...lines.flatMap((line, i) => i > 0 ? [el('br'), line] : [line]));
}

// ---- alerts

function alertHistory(found, more) {
  const table = find('#history table');
  const drawn = JSON.stringify([text.lang(), found.map(({ id: alert, until, ack, corrections }) => [alert, until, ack, corrections.length]), more]);
  if (table.drawn === drawn) return;
  table.drawn = drawn;
  if (found.length === 0) {
    table.replaceChildren(el('tbody', {}, row('td', [t('no_alerts_month')])));
    return;
  }
  const head = row('th', [t('alert'), t('severity'), t('from'), t('to'), t('lasts'), t('cause'), t('why'), t('taken')]);
  const body = found.map((alert) => row('td', [
    [alert.rule_name, alert.link].filter(Boolean).join(' · '), alert.severity_name, text.exact(alert.since), alert.until == null ? t('goes_on') : text.exact(alert.until),
    text.duration(alert.duration_ms), alert.cause ? text.cause(alert.cause) : '–',
    [alert.drill && t('drill'), alert.under && t('one_of_many', { about: alert.under_about }), alert.flaps && t('flaps'), alert.why, alert.corrections.at(-1)?.text].filter(Boolean).join('; '),
    alert.ack ? `${alert.ack.by}: ${alert.ack.reason}` : '',
  ], { 'data-alert': alert.id, 'data-rule': alert.rule, 'data-open': String(alert.until == null) }));
  if (more) body.push(el('tr', {}, el('td', { colspan: 8 }, t('more_incidents'))));
  table.replaceChildren(el('thead', {}, head), el('tbody', {}, ...body));
}

// ---- figures and facts

function uptime() {
  const head = row('th', [t('link'), t('period'), t('uptime'), t('bounds'), t('observed'), t('reliable'), t('down_time'), t('outages'), t('longest')]);
  const measured = site.links.map((link) => link.link).filter((link) => link in (site.uptime[0]?.links ?? {}));
  const body = [null, ...measured].flatMap((link) => site.uptime.map((rolling, i) => {
    const figures = link == null ? rolling.site : rolling.links[link];
    return row('td', [
      ...(i === 0 ? [el('th', { scope: 'rowgroup', rowspan: site.uptime.length }, link ?? t('site'))] : []),
      period(rolling.period), text.percent(figures.uptime), figures.low == null ? '–' : `${text.percent(figures.low)} – ${text.percent(figures.high)}`,
      text.percent(figures.observed_share), text.percent(figures.availability), text.duration(figures.down_ms), String(figures.outages),
      figures.longest_outage ? `${text.duration(figures.longest_outage.down_ms)} (${text.short(figures.longest_outage.start)})` : '–',
    ], { 'data-link': link ?? 'site', 'data-period': rolling.period });
  }));
  find('#uptime').replaceChildren(el('thead', {}, head), el('tbody', {}, ...body));
}

const period = (name) => ({ '24h': text.lang() === 'vi' ? '24 giờ' : '24 h', '7d': text.duration(604_800_000), '30d': text.duration(2_592_000_000), month: t('month') }[name] ?? name);

function clockOffset(agent) {
  const bound = agent.clock_offset_bound_seconds != null ? ` ± ${text.fixed(agent.clock_offset_bound_seconds, 3)}` : '';
  return `${text.fixed(agent.clock_offset_seconds, 3)}${bound} s${agent.clock_wrong ? ` – ${t('wrong_clock')}` : ''}`;
}

// Boots of the host and, below each, starts of the agent: a power cut shows as a boot, an agent's restart only as a start.
function lives(boots) {
  return boots.flatMap((boot, i) => [
    ...(i > 0 ? [el('br')] : []), text.exact(boot.at),
    ...(boot.starts.length > 0 ? [` – ${t('start')}: ${boot.starts.map((start) => text.exact(start.at)).join(', ')}`] : []),
  ]);
}

function configuration(config) {
  const since = config.state !== 'waiting' && config.at != null ? ` (${text.exact(config.at)})` : '';
  return `${t(`config_${config.state}`, { why: config.reason ?? '' })}${since}`;
}

function facts() {
  const { agent } = site;
  const link = (other) => el('a', { href: `/sites/${other}`, title: other }, names.site[other] ?? other);
  const links = (ids) => ids.flatMap((other, i) => [i > 0 ? ', ' : '', link(other)]);
  const entries = [
    ['id', site.id], ['tier', names.tier[site.tier]?.[text.lang()] ?? site.tier], ['branch', names.branch[site.branch]?.[text.lang()] ?? site.branch], ['district', site.district],
    ['parent', site.parent && link(site.parent)], ['children', site.children.length > 0 && el('span', {}, ...links(site.children))],
    ['location', site.location && `${site.location.latitude}, ${site.location.longitude}`],
    ['planned', site.planned.length > 0 && el('span', {}, ...site.planned.flatMap((works, i) => {
      const line = `${works.reason} (${works.scope}${works.of ? ` ${works.of}` : ''}, ${works.when}, ${works.added_by})`;
      return i > 0 ? [el('br'), line] : [line];
    }))],
    ['contacts', site.contacts.length > 0 && el('span', {}, ...site.contacts.flatMap((line, i) => i > 0 ? [el('br'), line] : [line]))],
    ['valid', (site.valid_from ?? site.valid_to) && `${site.valid_from ?? '…'} – ${site.valid_to ?? '…'}`], ['note', site.note],
    ['issued', agent.issued != null ? text.exact(agent.issued) : t('no_agent')], ['last_push', site.last_push != null && text.exact(site.last_push)],
    ['paths', agent.paths.length > 0 && agent.paths.map((seen) => `${seen.path} (${text.exact(seen.last_seen)})`).join(', ')],
    ['version', agent.version], ['boot', agent.boot_time != null && text.exact(agent.boot_time)], ['start', agent.start_time != null && text.exact(agent.start_time)],
    ['boots', agent.boots.length > 0 && el('span', {}, ...lives(agent.boots))],
    ['offset', agent.clock_offset_seconds != null && el('span', { 'data-wrong': String(agent.clock_wrong) }, clockOffset(agent))],
    ['config', agent.config.state !== 'none' && configuration(agent.config)],
    ['queue', agent.queue_bytes != null && `${agent.queue_bytes} B`], ['dropped', agent.dropped_samples != null && String(agent.dropped_samples)],
  ];
  find('#facts').replaceChildren(...entries.filter(([, value]) => value).flatMap(([name, value]) =>
    [el('dt', {}, t(name)), el('dd', { 'data-fact': name }, value)]));
}
