// The login page in the language that was chosen before. Without it the page works all the same.

import { lang, setLang } from './text.js';

const url = new URL(location.href);
const shown = document.documentElement.lang;
const said = document.querySelector('#said').textContent;
if (url.searchParams.has('lang')) setLang(shown);
else if (lang() !== shown && (said === '' || url.searchParams.has('ended'))) {
  url.searchParams.set('lang', lang());
  location.replace(url);
}

// The other language is another page: the name that was typed goes there with the reader, and nowhere else.
const name = document.querySelector('[name=name]');
const KEPT = 'wanwatch-name';
try {
  if (name.value === '') name.value = sessionStorage.getItem(KEPT) ?? '';
  sessionStorage.removeItem(KEPT);
  document.querySelector('#lang').addEventListener('click', () => sessionStorage.setItem(KEPT, name.value));
} catch { /* private windows: then it is typed again */ }
