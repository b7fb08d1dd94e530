// The words of the page in its two languages, and how times and shares are told. Vietnamese is the default; the choice is
// remembered, and ?lang=vi or ?lang=en overrides it.

const words = {
  vi: {
    title: 'Mạng WAN của tỉnh', back: 'Toàn tỉnh', coverage: 'Độ phủ mạng WAN', sites: 'Đơn vị', search: 'Tìm', report: 'Báo cáo tháng trước',
    search_hint: 'tên, mã hoặc địa bàn', group: 'Xếp theo', group_auto: 'tự động', group_district: 'địa bàn',
    group_branch: 'khối', all: 'Tất cả', other: 'Khác', now: 'Cập nhật lúc', loading: 'Đang tải…',
    links: 'Đường truyền', timeline: 'Diễn biến', uptime: 'Thời gian hoạt động', facts: 'Thông tin',
    intervals: 'Danh sách các khoảng', site: 'Đơn vị', link: 'Đường', state: 'Trạng thái', loss: 'Mất gói',
    rtt: 'Trễ (trung vị)', carrier: 'Nhà mạng', contract: 'Hợp đồng', last_round: 'Lượt đo cuối', period: 'Khoảng',
    observed: 'Được quan sát', bounds: 'Cận dưới – cận trên', outages: 'Lần mất', longest: 'Lâu nhất', down_time: 'Thời gian mất',
    incidents: 'Sự cố', no_incidents: 'Không có sự cố nào trong khoảng này.', more_incidents: 'Còn nữa: hãy chọn khoảng ngắn hơn.', goes_on: 'đang diễn ra', cause: 'Nguyên nhân', evidence: 'Bằng chứng', restated: 'Đã đính chính, trước đó: {was}', taken_back: 'Đã rút lại: không phải sự cố',
    from: 'Từ', to: 'Đến', lasts: 'Kéo dài', why: 'Lý do', since: 'từ', since_before: 'từ trước', month: 'tháng này',
    covered: 'phủ', not_covered: 'chưa phủ', unknown_sites: 'chưa rõ', equipped: 'có agent', target: 'mục tiêu',
    met: 'Đạt', missed: 'Chưa đạt', undecided: 'Chưa kết luận được', no_target: 'không đặt mục tiêu',
    of: 'trên', whole: 'Toàn tỉnh', none: 'Không có đơn vị nào khớp.', no_sites: 'Chưa có đơn vị nào: hãy nhập danh sách bằng “wan-collector sites import”.',
    legend_covered: 'chắc chắn có kết nối', legend_unknown: 'chưa rõ', legend_target: 'mục tiêu', legend_not: 'không có kết nối hoặc chưa có agent',
    stale: 'Không kết nối được máy thu thập. Số liệu dưới đây là của lúc {at} ({ago} trước) và có thể đã cũ.',
    never: 'Không kết nối được máy thu thập. Chưa có số liệu nào.',
    behind: 'Máy thu thập trả lời nhưng số liệu vẫn của lúc {at} ({ago} trước).',
    missing: 'Không có đơn vị này trong danh sách.',
    shown: 'Đang hiện {n} trên {all} đơn vị', announce: '{name}: {verdict}', required: 'cần có', clear: 'Bỏ lọc',
    ago: '{t} trước', just_now: 'vừa xong', ever: 'từ đầu', zone: 'Giờ {zone}', no_links: 'Chưa thấy đường truyền nào.',
    id: 'Mã', tier: 'Cấp', branch: 'Khối', district: 'Địa bàn', parent: 'Phụ thuộc', children: 'Các đơn vị phụ thuộc', location: 'Tọa độ',
    planned: 'Theo kế hoạch', contacts: 'Liên hệ', note: 'Ghi chú', valid: 'Hiệu lực', agent: 'Agent', paths: 'Gửi về qua', version: 'Phiên bản', boot: 'Máy khởi động lúc', boots: 'Các lần máy khởi động',
    start: 'Agent chạy từ', offset: 'Lệch đồng hồ', wrong_clock: 'đồng hồ máy sai, cần chỉnh; số liệu vẫn đúng giờ', config: 'Cấu hình từ trung tâm', config_applied: 'đang áp dụng', config_waiting: 'chờ agent nhận', config_refused: 'agent từ chối: {why}', queue: 'Hàng đợi', dropped: 'Mẫu đã bỏ', issued: 'Cấp khóa lúc', last_push: 'Gửi lần cuối',
    alerts_config: 'Tệp cấu hình cảnh báo có lỗi, cấu hình cũ vẫn được dùng: {first}',
    alerts: 'Cảnh báo', alert: 'Cảnh báo', no_alerts: 'Không có cảnh báo nào.', no_alerts_month: 'Không có cảnh báo nào trong 30 ngày qua.', alerts_month: 'Trong 30 ngày qua', alerts_failed: 'Không đọc được danh sách cảnh báo; danh sách dưới đây có thể đã cũ.',
    all_alerts: 'Xem tất cả ({n})', fewer: 'Thu gọn', severity: 'Mức', drill: 'Diễn tập', flaps: 'Chập chờn', one_of_many: 'là một phần của sự cố chung: {about}', sites_count: 'đơn vị', and_more: ' và {n} đơn vị khác',
    taken: 'Người nhận', taken_by: '{by} đã nhận xử lý lúc {at}', until: 'đến {at}', silenced_by: '{by} đã tắt thông báo đến {at}', silences: 'Đang tắt thông báo: {n}', unsilence: 'Bật lại', forbidden: 'Tài khoản này không được thay đổi.',
    take: 'Nhận xử lý', take_over: 'Nhận thay', leave: 'Thôi nhận', silence: 'Tắt thông báo', silence_all: 'Tắt thông báo toàn tỉnh', silence_site: 'Tắt thông báo của đơn vị', reason: 'Lý do, hoặc đang làm gì', holds: 'Giữ đến', until_over: 'khi hết sự cố', close: 'Đóng',
    quiet_what: 'Tắt những gì', quiet_rule: 'Chỉ “{rule}”: {about}', quiet_about: 'Mọi cảnh báo: {about}', quiet_all: 'Mọi cảnh báo của toàn tỉnh', quiet_for: 'Trong', quiet_hint: 'Sự cố vẫn được ghi nhận; nếu hết thời gian mà chưa khắc phục thì thông báo được gửi.',
    scope_all: 'toàn tỉnh', scope_site: 'đơn vị', scope_subtree: 'đơn vị và các đơn vị phụ thuộc', scope_tier: 'cấp', scope_district: 'địa bàn', scope_carrier: 'nhà mạng',
    no_agent: 'chưa có agent', seen_by: 'Bên quan sát', reliable: 'Khả dụng', rule: 'Căn cứ', not_registered: 'Đơn vị này hiện không nằm trong danh sách.', logout: 'Đăng xuất',
  },
  en: {
    title: 'The province’s WAN', back: 'The whole province', coverage: 'WAN coverage', sites: 'Sites', search: 'Search', report: 'Last month’s report',
    search_hint: 'name, id or district', group: 'Group by', group_auto: 'automatic', group_district: 'district',
    group_branch: 'branch', all: 'All', other: 'Other', now: 'Updated', loading: 'Loading…',
    links: 'Links', timeline: 'Timeline', uptime: 'Uptime', facts: 'Facts',
    intervals: 'List of intervals', site: 'Site', link: 'Link', state: 'State', loss: 'Loss',
    rtt: 'RTT (median)', carrier: 'Carrier', contract: 'Contract', last_round: 'Last round', period: 'Period',
    observed: 'Observed', bounds: 'Low – high', outages: 'Outages', longest: 'Longest', down_time: 'Time down',
    incidents: 'Incidents', no_incidents: 'There were no incidents in this time.', more_incidents: 'There are more: choose a shorter time.', goes_on: 'goes on', cause: 'Cause', evidence: 'Evidence', restated: 'Restated, formerly: {was}', taken_back: 'Taken back: it was no incident',
    from: 'From', to: 'To', lasts: 'Lasts', why: 'Why', since: 'since', since_before: 'since before', month: 'this month',
    covered: 'covered', not_covered: 'not covered', unknown_sites: 'unknown', equipped: 'with an agent', target: 'target',
    met: 'Met', missed: 'Missed', undecided: 'Undecided', no_target: 'no target',
    of: 'of', whole: 'The whole province', none: 'No site fits.', no_sites: 'There are no sites yet: import a register with “wan-collector sites import”.',
    legend_covered: 'surely connected', legend_unknown: 'unknown', legend_target: 'target', legend_not: 'not connected, or no agent yet',
    stale: 'The collector cannot be reached. What follows is from {at} ({ago} ago) and may be out of date.',
    never: 'The collector cannot be reached. There are no figures yet.',
    behind: 'The collector answers, but its figures are still from {at} ({ago} ago).',
    missing: 'This site is not in the register.',
    shown: 'Showing {n} of {all} sites', announce: '{name}: {verdict}', required: 'required', clear: 'Clear filters',
    ago: '{t} ago', just_now: 'just now', ever: 'since ever', zone: 'Times in {zone}', no_links: 'No link has been seen yet.',
    id: 'Id', tier: 'Tier', branch: 'Branch', district: 'District', parent: 'Depends on', children: 'Sites that depend on it', location: 'Location',
    planned: 'Planned', contacts: 'Contacts', note: 'Note', valid: 'Registered', agent: 'Agent', paths: 'Heard by', version: 'Version', boot: 'Host booted', boots: 'Boots of the host',
    start: 'Agent started', offset: 'Clock offset', wrong_clock: 'the host’s clock is wrong, set it; its figures have the right time', config: 'Central configuration', config_applied: 'in force', config_waiting: 'not heard of yet', config_refused: 'the agent refuses it: {why}', queue: 'Queue', dropped: 'Samples dropped', issued: 'Secret issued', last_push: 'Last push',
    alerts_config: 'The configuration of alerts has a mistake, and the former one goes on: {first}',
    alerts: 'Alerts', alert: 'Alert', no_alerts: 'There are no alerts.', no_alerts_month: 'There were no alerts in the last 30 days.', alerts_month: 'The last 30 days', alerts_failed: 'The list of alerts cannot be read; what follows may be out of date.',
    all_alerts: 'Show all ({n})', fewer: 'Show fewer', severity: 'Severity', drill: 'Drill', flaps: 'Flapping', one_of_many: 'one of many: {about}', sites_count: 'sites', and_more: ' and {n} more',
    taken: 'Taken up by', taken_by: '{by} took it up at {at}', until: 'until {at}', silenced_by: '{by} silenced it until {at}', silences: 'Silences: {n}', unsilence: 'End', forbidden: 'This login does not allow changes.',
    take: 'Take up', take_over: 'Take over', leave: 'Leave', silence: 'Silence', silence_all: 'Silence the whole province', silence_site: 'Silence this site', reason: 'Reason, or what is being done', holds: 'Holds for', until_over: 'until it is over', close: 'Close',
    quiet_what: 'What', quiet_rule: 'Only “{rule}”: {about}', quiet_about: 'Every alert: {about}', quiet_all: 'Every alert of the whole province', quiet_for: 'For', quiet_hint: 'What happens is recorded all the same; what still fires at the end is told then.',
    scope_all: 'the whole province', scope_site: 'site', scope_subtree: 'site with all that depend on it', scope_tier: 'tier', scope_district: 'district', scope_carrier: 'carrier',
    no_agent: 'no agent yet', seen_by: 'Seen by', reliable: 'Availability', rule: 'Because', not_registered: 'This site is not registered at present.', logout: 'Log out',
  },
};

const verdicts = {
  vi: { online: 'Hoạt động', degraded: 'Suy giảm', wan_down: 'Mất WAN', offline: 'Mất kết nối', agent_silent: 'Agent im lặng',
    unreachable: 'Tuyến trên bị cắt', unknown: 'Chưa rõ', maintenance: 'Bảo trì', not_enrolled: 'Chưa có agent' },
  en: { online: 'Online', degraded: 'Degraded', wan_down: 'WAN down', offline: 'Offline', agent_silent: 'Agent silent',
    unreachable: 'Unreachable', unknown: 'Unknown', maintenance: 'Maintenance', not_enrolled: 'Not enrolled' },
};

const rules = {
  vi: { not_enrolled: 'chưa cấp khóa cho agent', planned: 'đang bảo trì theo kế hoạch', never_heard: 'đã cấp khóa nhưng agent chưa gửi lần nào',
    all_lines_down: 'agent báo cả WAN và Internet đều mất', wan_down: 'agent báo WAN mất', nothing_seen: 'agent gửi nhưng chưa đo được đường nào',
    part_down: 'WAN hoạt động, LAN hoặc Internet mất', part_degraded: 'có đường mất gói hoặc trễ quá mức', all_well: 'mọi thứ đo được đều tốt',
    blind: 'máy thu thập chưa nghe đủ lâu để kết luận', line_works: 'agent im lặng nhưng nơi khác thấy đường WAN vẫn thông',
    parent_cut_off: 'đơn vị tuyến trên đang mất kết nối', seen_down: 'agent im lặng và nơi khác thấy đường WAN mất', nobody_else_sees: 'agent im lặng, không nơi nào khác quan sát' },
  en: { not_enrolled: 'no secret was issued for an agent', planned: 'planned work is under way', never_heard: 'a secret was issued, and no agent has used it',
    all_lines_down: 'the agent says that WAN and Internet are down', wan_down: 'the agent says that the WAN is down', nothing_seen: 'the agent pushes, and none of its links is known',
    part_down: 'the WAN works; LAN or Internet is down', part_degraded: 'a link loses or delays too much', all_well: 'all that is measured works',
    blind: 'the collector has not listened long enough to tell', line_works: 'the agent is silent, but another vantage sees the WAN work',
    parent_cut_off: 'the site it depends on is cut off', seen_down: 'the agent is silent, and another vantage sees the WAN down', nobody_else_sees: 'the agent is silent, and nobody else looks' },
};

const states = {
  vi: { up: 'Hoạt động', degraded: 'Suy giảm', down: 'Mất', unknown: 'Chưa rõ' },
  en: { up: 'Up', degraded: 'Degraded', down: 'Down', unknown: 'Unknown' },
};

const reasons = {
  vi: { not_yet: 'chưa đến lúc', not_equipped: 'chưa có agent', collector_stopped: 'máy thu thập dừng', silent: 'không ai báo', fault: 'dụng cụ đo hỏng', not_measured: 'không đo' },
  en: { not_yet: 'not yet', not_equipped: 'no agent yet', collector_stopped: 'the collector was stopped', silent: 'nobody spoke', fault: 'the instrument failed', not_measured: 'not measured' },
};

// As the collector names them in reports.
const causes = {
  vi: { carrier: 'Nhà mạng (WAN)', isp: 'Nhà cung cấp Internet', lan: 'Mạng nội bộ (LAN)', power: 'Mất điện hoặc tắt máy', agent: 'Thiết bị giám sát', upstream: 'Tuyến trên hoặc hệ thống dùng chung', collector: 'Máy chủ giám sát', planned: 'Có kế hoạch', unknown: 'Chưa rõ' },
  en: { carrier: 'Carrier (WAN)', isp: 'Internet provider', lan: 'Local network (LAN)', power: 'Power cut or switched off', agent: 'Monitoring agent', upstream: 'Upstream or shared system', collector: 'Monitoring collector', planned: 'Planned work', unknown: 'Not known' },
};

const incidents = {
  vi: { outage: 'Mất kết nối', degradation: 'Suy giảm', gap: 'Không có số liệu' },
  en: { outage: 'Outage', degradation: 'Degraded', gap: 'Nothing known' },
};

const kinds = {
  vi: { lan: 'LAN', wan: 'WAN', internet: 'Internet', service: 'Dịch vụ' },
  en: { lan: 'LAN', wan: 'WAN', internet: 'Internet', service: 'Service' },
};

const units = { vi: ['ngày', 'giờ', 'phút', 'giây'], en: ['d', 'h', 'min', 's'] };

// A shape for each state, so that colour is never the only sign.
export const icons = { online: '✓', degraded: '≈', wan_down: '⚠', offline: '✕', agent_silent: '…', unreachable: '⇡', unknown: '?', maintenance: '⚒', not_enrolled: '○' };
export const stateIcons = { up: '✓', degraded: '≈', down: '✕', unknown: '?' };

// As the plan names them: near to far.
const kindOrder = ['lan', 'wan', 'internet', 'service'];
export const byKind = (of) => (a, b) => kindOrder.indexOf(of(a)) - kindOrder.indexOf(of(b));

// What is worst comes first.
export const order = ['offline', 'wan_down', 'unreachable', 'agent_silent', 'degraded', 'unknown', 'maintenance', 'online', 'not_enrolled'];

export const VERDICTS = Object.keys(icons);

const store = {
  get(key) { try { return localStorage.getItem(key); } catch { return null; } },
  set(key, value) { try { localStorage.setItem(key, value); } catch { /* private windows: then it is not remembered */ } },
};
export { store };

const asked = new URLSearchParams(location.search).get('lang');
let language = asked in words ? asked : (store.get('lang') in words ? store.get('lang') : 'vi');
if (asked in words) store.set('lang', asked);
let zone;

export const lang = () => language;
export function setLang(next) {
  language = next;
  store.set('lang', next);
  const url = new URL(location.href);
  if (url.searchParams.has('lang')) {
    url.searchParams.set('lang', next);
    history.replaceState(null, '', url);
  }
}
export function setZone(name) {
  if (zone === name) return;
  zone = name;
  for (const key of Object.keys(formats)) delete formats[key];
}

export const t = (key, values = {}) =>
  (words[language][key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '');
const look = (table) => (key) => table[language][key] ?? key;
export const verdict = look(verdicts);
export const rule = look(rules);
export const state = look(states);
export const reason = look(reasons);
export const kind = look(kinds);
export const cause = look(causes);
export const incident = look(incidents);

const formats = {};
function format(name, options) {
  const key = name + language;
  // Both languages write 23/11/2026 14:05; the British formats are that.
  formats[key] ??= new Intl.DateTimeFormat('en-GB', { timeZone: zone, ...options });
  return formats[key];
}
const day = { year: 'numeric', month: '2-digit', day: '2-digit' };
const clock = { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false };

export const time = (ms) => format('time', clock).format(ms);
export const exact = (ms) => ms == null ? t('ever') : `${format('day', day).format(ms)} ${time(ms)}`;
export const hour = (ms) => format('hour', { hour: '2-digit', minute: '2-digit', hour12: false }).format(ms);
export const date = (ms) => format('date', { day: '2-digit', month: '2-digit' }).format(ms);
export const short = (ms) => `${date(ms)} ${hour(ms)}`;

export function duration(ms, parts = 2) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const counts = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60];
  const first = Math.max(0, counts.findIndex((count) => count > 0));
  const from = counts.some((count) => count > 0) ? first : 3;
  return counts.slice(from, from + parts)
    .map((count, i) => [count, units[language][from + i]])
    .filter(([count], i) => i === 0 || count > 0)
    .map(([count, unit]) => `${count} ${unit}`).join(' ');
}

// How long something has held: the two largest units under a day, one of days.
export const age = (ms) => duration(ms, ms < 60_000 || ms >= 7 * 86_400_000 ? 1 : 2);

// What is not all is never shown as 100.00 %, and what is not nothing never as 0.00 %.
export function percent(share, digits = 2) {
  if (share == null) return '–';
  const least = 10 ** -digits;
  let value = share * 100;
  if (share < 1) value = Math.min(value, 100 - least);
  if (share > 0) value = Math.max(value, least);
  return `${fixed(value, digits)} %`;
}

export function fixed(value, digits) {
  const text = value.toFixed(digits);
  return language === 'vi' ? text.replace('.', ',') : text;
}

export const number = (value) => Number.isInteger(value) ? String(value) : value.toLocaleString(language === 'vi' ? 'vi-VN' : 'en-GB', { maximumFractionDigits: 1 });

// Text as people search for it: without case and Vietnamese marks.
export const fold = (text) => text.toLowerCase().normalize('NFD').replace(/[\u0300-\u036f]/g, '').replace(/đ/g, 'd');
