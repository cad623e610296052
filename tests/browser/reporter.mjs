// Prints results in the form of Rust's test runner, which `cargo xtask test` adds up. Why a test failed is said where it
// failed, and once more in a line of its own at the end, as of a long log only the end may be kept.

/** Begins the line that says at which place a page was when its test failed, and what it did that it must not. */
export const AT = 'at the failure: ';

/** Begins a line that says which test failed and why, which `cargo xtask test` repeats at its end. */
const FAILED = 'failed: ';

/** Characters of such a line, of each part. */
const MOST = 400;

/** @param {unknown} text */
const short = (text) => String(text).replaceAll(/\u001b\[[\d;]*m/g, '').replaceAll(/\s+/g, ' ').trim().slice(0, MOST);

/** What is wrong, without the error of the runner around it. @param {any} error */
const causeOf = (error) => (error?.code === 'ERR_TEST_FAILURE' && error.cause !== undefined ? error.cause : error);

/** @param {AsyncIterable<any>} source */
export default async function* report(source) {
  const counts = { passed: 0, failed: 0, ignored: 0 };
  /** @type {string[]} */
  const faults = [];
  /** @type {string[]} */
  const lines = [];
  /** Places of the test that is about to be reported, by file. @type {Map<string, string[]>} */
  const places = new Map();
  for await (const { type, data } of source) {
    if ((type === 'test:pass' || type === 'test:fail') && data.details?.type !== 'suite') {
      const name = `browser::${data.name.replaceAll(/\W+/g, '_')}`;
      const seen = places.get(data.file) ?? [];
      places.delete(data.file);
      if (data.skip !== undefined) {
        counts.ignored += 1;
        yield `test ${name} ... ignored, ${data.skip}\n`;
      } else if (type === 'test:pass') {
        counts.passed += 1;
        yield `test ${name} ... ok\n`;
      } else {
        counts.failed += 1;
        const cause = causeOf(data.details.error);
        faults.push(`---- ${name} ----\n${cause?.stack ?? cause}\n${seen.join('\n')}\n`);
        lines.push(`${FAILED}${[name, short(cause?.message ?? cause), ...seen.map(short)].join(' · ')}\n`);
        yield `test ${name} ... FAILED\n`;
      }
    } else if (type === 'test:stderr' || type === 'test:stdout') {
      for (const line of data.message.split('\n')) {
        if (line.startsWith(AT)) places.set(data.file, [...(places.get(data.file) ?? []), line]);
      }
      yield data.message;
    }
  }
  if (faults.length) yield `\nfailures:\n\n${faults.join('\n')}\n${lines.join('')}`;
  yield `\ntest result: ${counts.failed ? 'FAILED' : 'ok'}. ${counts.passed} passed; ${counts.failed} failed; ${counts.ignored} ignored; 0 measured; 0 filtered out\n`;
}
