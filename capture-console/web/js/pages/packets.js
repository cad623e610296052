// The packets of a task, while it runs and after.

import { session } from '../frame.js';
import * as live from '../live.js';
import { View } from '../packets/view.js';
import { taskPart } from '../task_part.js';

export const { title, show, update } = taskPart('packets', 'packets.title', (root, task, at) => {
  root.classList.add('pk');
  const source = {
    path: `tasks/${encodeURIComponent(task.id)}`, filter: 'filter', task: task.id, isRunning: live.isRunning(task), sharkd: Boolean(session()?.features?.sharkd),
    files: (task.files ?? []).map((/** @type {any} */ file) => ({ index: file.index, name: String(file.name).split('/').at(-1) ?? '' })),
  };
  const view = new View(root, source, at);
  const begun = (/** @type {any} */ { detail }) => {
    if (detail?.id !== task.id || source.isRunning || !live.isRunning(detail)) return;
    // What was asked while it waited says that there is nothing more to come.
    source.isRunning = true;
    view.open();
  };
  live.events.addEventListener('task', begun);
  return {
    update: (to) => view.update(to),
    stop: () => {
      live.events.removeEventListener('task', begun);
      view.stop();
    },
  };
});
