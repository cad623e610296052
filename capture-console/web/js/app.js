// Starts the page: the words, who asks, the frame, and the page of the place. Each page is a module of its own, loaded
// when it is first shown.

import { access, whoAsks } from './api.js';
import { el, replace } from './dom.js';
import * as frame from './frame.js';
import * as live from './live.js';
import { place, places } from './router.js';
import { blank, errorText, loading, notice } from './ui.js';
import * as words from './words.js';

/**
 * @typedef {object} Page what a module of `pages` exports
 * @property {(place: import('./router.js').Place) => string} title
 * @property {(root: HTMLElement, place: import('./router.js').Place) => void | (() => void) | Promise<void | (() => void)>} show
 *   fills the root, and may give what ends it
 * @property {(place: import('./router.js').Place) => boolean} [update] takes another place of the same page without
 *   being built anew; false where it cannot
 */

/** Pages by the first part of the path; of a task by the third as well. */
const PAGES = /** @type {Record<string, () => Promise<Page>>} */ ({
  tasks: () => import('./pages/tasks.js'),
  interfaces: () => import('./pages/interfaces.js'),
  storage: () => import('./pages/storage.js'),
  access: () => import('./pages/access.js'),
  audit: () => import('./pages/audit.js'),
  health: () => import('./pages/health.js'),
  packets: () => import('./pages/packets.js'),
  conversations: () => import('./pages/conversations.js'),
  new: () => import('./pages/new.js'),
  task: () => import('./pages/task.js'),
  findings: () => import('./pages/findings.js'),
  compare: () => import('./pages/compare.js'),
  share: () => import('./pages/share.js'),
});

/** What one must be allowed to do to have a page, where all that it asks for would be refused otherwise. */
const RIGHTS = /** @type {Record<string, string>} */ ({ audit: 'administer', health: 'inspect', packets: 'inspect', conversations: 'inspect', compare: 'inspect' });

/** Parts of a task that are pages of their own. */
const OF_TASK = ['packets', 'conversations', 'findings'];

/** The page that one is likely to go to from another. */
const NEXT = /** @type {Record<string, string>} */ ({ task: 'packets' });

/** Loads the modules of the page that follows, while nothing else is to be done. @param {string} name */
function loadNext(name) {
  const next = NEXT[name];
  if (!next || (RIGHTS[next] && !frame.may(RIGHTS[next]))) return;
  // What cannot be loaded now is tried again, and told, when it is to be shown.
  requestIdleCallback(() => PAGES[next]().catch(() => {}));
}

/**
 * The name of the page at a place: `tasks/ID` is `task`, `tasks/ID/packets` is `packets`.
 * @param {import('./router.js').Place} at
 */
function pageName({ path }) {
  const [first = 'tasks', second, third] = path;
  if (first === 'tasks' && second) return OF_TASK.includes(third) ? third : 'task';
  return first;
}

const app = /** @type {HTMLElement} */ (document.getElementById('app'));
/** @type {{name: string, key: string, page: Page, root: HTMLElement, end: void | (() => void)} | null} */
let shown = null;
let showing = 0;

async function main() {
  frame.applyTheme();
  await words.load();
  if (place().path[0] === 'share') {
    frame.build(app, null);
    return show();
  }
  replace(app, loading());
  await enter();
}

/** Asks who this is, and shows the page or the login. */
async function enter() {
  let session;
  try {
    session = await whoAsks();
  } catch (error) {
    replace(app, blank(words.t('error.title'), notice('high', errorText(error)),
      el('button', { class: 'button primary', onclick: () => location.reload() }, words.t('action.try_again'))));
    return;
  }
  if (!session) return login();
  frame.build(app, session);
  live.start();
  await show();
}

async function login() {
  live.stop();
  shown?.end?.();
  shown = null;
  const { show: showLogin } = await import('./pages/login.js');
  document.title = words.t('login.title');
  replace(app);
  showLogin(app, enter);
}

/** Shows the page of the place. */
async function show() {
  const at = place();
  const name = pageName(at);
  const key = `${name} ${name === 'task' || OF_TASK.includes(name) ? at.path[1] : ''}`;
  // Where the next page has taken its place already, that one is still coming, and would be shown here.
  if (shown && shown.key === key && shown.root.isConnected && shown.page.update?.(at)) {
    document.title = `${shown.page.title(at)} · capture-agent`;
    return;
  }
  showing += 1;
  const mine = showing;
  const root = frame.newRoot(name);
  try {
    const page = PAGES[name] ? await PAGES[name]() : null;
    if (mine !== showing) return;
    shown?.end?.();
    shown = null;
    if (!page) {
      document.title = 'capture-agent';
      replace(root, blank(words.t('error.no_page'), el('a', { class: 'button', href: '#/tasks' }, words.t('nav.tasks'))));
      return;
    }
    document.title = `${page.title(at)} · capture-agent`;
    if (RIGHTS[name] && !frame.may(RIGHTS[name])) {
      replace(root, blank(words.t('error.not_allowed'), el('p', null, words.t('error.not_allowed_why', { role: words.t(`role.${frame.session()?.role}`) }))));
      return;
    }
    const end = await page.show(root, at);
    if (mine !== showing) return end?.();
    shown = { name, key, page, root, end };
    loadNext(name);
  } catch (error) {
    if (mine !== showing) return;
    console.warn(error);
    replace(root, blank(words.t('error.title'), notice('high', errorText(error))));
  } finally {
    if (mine === showing) frame.setReady();
  }
}

places.addEventListener('change', () => {
  if (frame.isBuilt()) show();
});
// The page of a share has no login.
access.addEventListener('signed-out', () => { if (frame.session()) login(); });
frame.changes.addEventListener('language', () => {
  // All texts anew; the tasks stay.
  shown?.end?.();
  shown = null;
  frame.build(app, frame.session());
  show();
});

main();
