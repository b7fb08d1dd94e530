// The province: coverage, counts, and a tile for each site.

import { alerts } from './alerts.js';
import { el, find, follow, languages, say, svg } from './dom.js';
import * as text from './text.js';

const { t } = text;
let overview = null;
const chosen = new Set(); // verdicts; none: all
let query = '';
let grouping = text.store.get('group') ?? 'auto';
const tiles = new Map(); // id → { element, … }
let layout = ''; // what the sections were built for

const source = follow('/api/v1/overview', (answer) => {
  const before = overview && new Map(overview.sites.map((site) => [site.id, site.verdict]));
  overview = answer;
  draw();
  if (before) announce(answer.sites.filter((site) => before.has(site.id) && before.get(site.id) !== site.verdict));
});

const firing = alerts({ query: { folded: true, limit: 200 }, every: 5_000, now: source.now });
find('#alerts [data-act=silence-all]').addEventListener('click', () => firing.silenceAll(null));
languages(() => { layout = ''; controls(); draw(); source.tick(); firing.load(); });
controls();

find('#search').addEventListener('input', (event) => { query = text.fold(event.target.value.trim()); filter(); });
find('#group').addEventListener('change', (event) => {
  grouping = event.target.value;
  text.store.set('group', grouping);
  draw();
});
setInterval(ages, 10_000);

function controls() {
  find('#search').placeholder = t('search_hint');
  const select = find('#group');
  for (const option of select.options) option.textContent = t(`group_${option.value}`);
  select.value = grouping;
  if (select.selectedIndex < 0) select.value = grouping = 'auto';
}

function draw() {
  if (!overview) return;
  document.title = title();
  say(find('#zone'), t('zone', { zone: overview.zone }));
  coverage();
  counts();
  const wanted = JSON.stringify([text.lang(), grouping, overview.tiers, overview.sites.map((s) => [s.id, s.name, s.tier, s.branch, s.district])]);
  if (wanted !== layout) {
    layout = wanted;
    build();
  }
  for (const site of overview.sites) update(tiles.get(site.id), site);
  ages();
  filter();
}

function title() {
  const bad = ['offline', 'wan_down', 'unreachable', 'agent_silent'].reduce((sum, word) => sum + (overview.counts[word] ?? 0), 0);
  return (bad > 0 ? `(${bad}) ` : '') + t('title') + ' – Wanwatch';
}

const named = (list, id) => list.find((entry) => entry.id === id)?.[text.lang()] ?? id;

// ---- coverage

function coverage() {
  const { tiers, cells, total } = overview.coverage;
  const card = (row) => {
    const id = row.tier ?? 'all';
    const rank = (cell) => overview.branches.findIndex((branch) => branch.id === cell.branch) >>> 0;
    const branches = cells.filter((cell) => cell.tier === row.tier).sort((a, b) => rank(a) - rank(b));
    return el('article', { 'data-tier': id, 'data-low': row.low, 'data-high': row.high, 'data-target': row.target, 'data-standing': row.standing },
      el('h3', {}, row.tier ? named(overview.tiers, row.tier) : t('whole')),
      el('p', { class: 'figure' }, bounds(row), standing(row)),
      bar(row, row.tier ? named(overview.tiers, row.tier) : t('whole')),
      el('p', { class: 'detail' }, tally(row)),
      el('div', { class: 'cells' }, ...branches.map((cell) => el('div', { class: 'cell', 'data-branch': cell.branch, 'data-low': cell.low, 'data-high': cell.high },
        el('span', {}, named(overview.branches, cell.branch)),
        bar(cell, named(overview.branches, cell.branch)),
        el('span', { class: 'value', title: tally(cell) }, bounds(cell, 1))))));
  };
  find('#coverage .bars').replaceChildren(...tiers.map(card), card(total));
  find('#coverage .legend').replaceChildren(
    ...['covered', 'unknown', 'not', 'target'].map((kind) => el('span', {}, key(kind), t(`legend_${kind}`))));
}

function bounds(row, digits = 2) {
  if (row.low == null) return '–';
  return row.low === row.high ? text.percent(row.low, digits) : `${text.percent(row.low, digits)} – ${text.percent(row.high, digits)}`;
}

function standing(row) {
  if (row.target == null) return row.tier ? el('span', { class: 'standing' }, t('no_target')) : null;
  const word = row.standing ? t(row.standing) : '–';
  const sign = { met: '✓', missed: '✕', undecided: '?' }[row.standing] ?? '';
  return el('span', { class: 'standing', 'data-standing': row.standing }, `${sign} ${word} · ${t('target')} ${text.percent(row.target, 0)}`);
}

function tally(row) {
  return [`${text.number(row.covered)} ${t('of')} ${text.number(row.registered)} ${t('covered')}`,
    row.unknown > 0 ? `${text.number(row.unknown)} ${t('unknown_sites')}` : null,
    `${text.number(row.equipped)} ${t('equipped')}`].filter(Boolean).join(' · ');
}

// Solid: surely covered. Hatched: unknown. Empty: not. A line: the target.
function bar(row, name) {
  const low = (row.low ?? 0) * 100;
  const high = (row.high ?? 0) * 100;
  const label = `${name}: ${bounds(row)}` + (row.target != null ? `; ${t('target')} ${text.percent(row.target, 0)}` : '');
  return svg('svg', { class: 'bar-chart', role: 'img', 'aria-label': label },
    svg('defs', {}, hatch()),
    svg('rect', { class: 'none', width: '100%', height: '100%' }),
    svg('rect', { class: 'maybe', x: `${low}%`, width: `${Math.max(0, high - low)}%`, height: '100%', fill: 'url(#hatch)' }),
    svg('rect', { class: 'sure', width: `${low}%`, height: '100%' }),
    row.target != null && svg('line', { class: 'target', x1: `${row.target * 100}%`, x2: `${row.target * 100}%`, y1: 0, y2: '100%' }));
}

function hatch() {
  return svg('pattern', { id: 'hatch', width: 6, height: 6, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' },
    svg('rect', { class: 'hatch-back', width: 6, height: 6 }), svg('rect', { class: 'hatch-line', width: 3, height: 6 }));
}

function key(kind) {
  const shape = {
    covered: () => svg('rect', { class: 'sure', width: '100%', height: '100%' }),
    unknown: () => svg('rect', { width: '100%', height: '100%', fill: 'url(#hatch)' }),
    not: () => svg('rect', { class: 'none', width: '100%', height: '100%' }),
    target: () => svg('line', { class: 'target', x1: '50%', x2: '50%', y1: 0, y2: '100%' }),
  }[kind]();
  return svg('svg', { class: 'key' }, svg('defs', {}, hatch()), shape);
}

// ---- counts, which filter

function counts() {
  const holder = find('#counts');
  const focused = document.activeElement?.dataset?.count;
  const chip = (verdict) => {
    const button = el('button', { type: 'button', class: 'chip', 'data-count': verdict, 'data-verdict': verdict, 'aria-pressed': String(chosen.has(verdict)) },
      el('span', { class: 'icon', 'aria-hidden': 'true' }, text.icons[verdict]), el('b', {}, String(overview.counts[verdict] ?? 0)), ` ${text.verdict(verdict)}`);
    button.addEventListener('click', () => {
      if (!chosen.delete(verdict)) chosen.add(verdict);
      counts();
      filter();
    });
    return button;
  };
  const shown = text.order.filter((verdict) => overview.counts[verdict] > 0 || chosen.has(verdict));
  const clear = el('button', { type: 'button', class: 'chip', 'data-count': 'all', 'aria-pressed': String(chosen.size === 0) },
    el('b', {}, String(overview.sites.length)), ` ${t('all')}`);
  clear.addEventListener('click', () => { chosen.clear(); counts(); filter(); });
  holder.replaceChildren(clear, ...shown.map(chip));
  if (focused) holder.querySelector(`[data-count="${focused}"]`)?.focus();
}

// ---- tiles

function build() {
  tiles.clear();
  const sections = overview.tiers.map((tier) => tier.id);
  for (const site of overview.sites) if (!sections.includes(site.tier)) sections.push(site.tier);
  const compare = new Intl.Collator('vi', { numeric: true }).compare;
  const section = (tier) => {
    const sites = overview.sites.filter((site) => site.tier === tier);
    if (sites.length === 0) return null;
    const by = grouping !== 'auto' ? grouping : new Set(sites.map((site) => site.district)).size > 1 ? 'district' : 'branch';
    const groups = new Map();
    for (const site of sites) {
      const name = (by === 'district' ? site.district : named(overview.branches, site.branch)) ?? t('other');
      if (!groups.has(name)) groups.set(name, []);
      groups.get(name).push(site);
    }
    const names = [...groups.keys()];
    if (by === 'district') names.sort(compare);
    else names.sort((a, b) => place(a) - place(b));
    return el('section', { class: 'tier', 'data-tier': tier },
      el('h2', {}, named(overview.tiers, tier), ' ', el('small', {}, String(sites.length))),
      ...names.map((name) => el('div', { class: 'group', 'data-group': name },
        el('h3', {}, name),
        el('ul', { class: 'tiles' }, ...groups.get(name).sort((a, b) => compare(a.name, b.name)).map((site) => el('li', {}, tile(site)))))));
  };
  const built = sections.map(section).filter(Boolean);
  find('#sites').replaceChildren(...built, el('p', { id: 'none', hidden: true }));
}

const place = (name) => overview.branches.findIndex((branch) => branch[text.lang()] === name) >>> 0;

function tile(site) {
  const icon = el('span', { class: 'icon', 'aria-hidden': 'true' });
  const state = el('span', { class: 'state' });
  const since = el('time', {});
  const kinds = el('span', { class: 'kinds' });
  const element = el('a', { class: 'tile', href: `/sites/${site.id}`, 'data-site': site.id },
    icon, el('span', { class: 'name' }, site.name), el('span', { class: 'line' }, state, ' ', since), kinds);
  const entry = { element, icon, state, since, kinds, site, words: text.fold(`${site.id} ${site.name} ${site.district ?? ''}`) };
  tiles.set(site.id, entry);
  return element;
}

function update(entry, site) {
  entry.site = site;
  if (entry.drawn === `${site.verdict} ${site.since} ${site.since_before} ${JSON.stringify(site.kinds)}`) return;
  entry.drawn = `${site.verdict} ${site.since} ${site.since_before} ${JSON.stringify(site.kinds)}`;
  const { element } = entry;
  element.dataset.verdict = site.verdict;
  if (site.since != null) element.dataset.since = site.since;
  say(entry.icon, text.icons[site.verdict] ?? '?');
  say(entry.state, text.verdict(site.verdict));
  element.title = `${site.name}\n${text.verdict(site.verdict)} ${t(site.since_before ? 'since_before' : 'since')} ${text.exact(site.since)}\n${text.rule(site.rule)}`;
  if (site.since != null) entry.since.dateTime = new Date(site.since).toISOString();
  entry.kinds.replaceChildren(...Object.entries(site.kinds).sort(text.byKind(([kind]) => kind)).map(([kind, state]) =>
    el('span', { 'data-kind': kind, 'data-state': state, title: `${text.kind(kind)}: ${text.state(state)}` }, `${text.kind(kind)} ${text.stateIcons[state]}`)));
}

function ages() {
  const now = source.now();
  if (now == null) return;
  for (const { since, site } of tiles.values()) {
    // How long a site has had no agent is how long it has been registered: years, and no news.
    say(since, site.since == null || site.verdict === 'not_enrolled' ? '' : `${site.since_before ? '> ' : ''}${text.age(now - site.since)}`);
  }
}

function filter() {
  if (!overview) return;
  let shown = 0;
  for (const { element, site, words } of tiles.values()) {
    const fits = (chosen.size === 0 || chosen.has(site.verdict)) && words.includes(query);
    element.parentElement.hidden = !fits;
    if (fits) shown += 1;
  }
  for (const group of document.querySelectorAll('#sites .group, #sites .tier')) {
    group.hidden = !group.querySelector('li:not([hidden])');
  }
  const none = find('#none');
  none.hidden = shown > 0;
  say(none, overview.sites.length === 0 ? t('no_sites') : t('none'));
  say(find('#shown'), shown === overview.sites.length ? '' : t('shown', { n: shown, all: overview.sites.length }));
}

function announce(changed) {
  if (changed.length === 0) return;
  say(find('#announce'), changed.slice(0, 3).map((site) => t('announce', { name: site.name, verdict: text.verdict(site.verdict) })).join('. '));
}
