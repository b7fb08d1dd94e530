// The login page in the language that was chosen before. Without it the page works all the same.

import { lang, setLang } from './text.js';

const url = new URL(location.href);
const shown = document.documentElement.lang;
if (url.searchParams.has('lang')) setLang(shown);
else if (lang() !== shown && document.querySelector('#said').textContent === '') {
  url.searchParams.set('lang', lang());
  location.replace(url);
}
