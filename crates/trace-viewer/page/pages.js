// Lists that come page by page and are kept up to date: one question at a time, however quickly they change.

/**
 * Runs the questions of a list, so that none overlaps another and no answer to an older filter is taken in.
 *
 * @param {object} questions each is given a test of whether its answer is still wanted, to ask before taking it in
 * @param {(isWanted: () => boolean) => Promise<void>} questions.load the first page, with the filters as they are
 * @param {(isWanted: () => boolean) => Promise<void>} questions.more the next page
 * @param {(isWanted: () => boolean) => Promise<boolean>} questions.update what changed; whether there is more of it
 * @param {() => void} questions.settled when the list may have come to its end meanwhile
 * @param {(error: unknown) => void} questions.failed tells that the first page did not come
 */
export function pages({ load, more, update, settled, failed }) {
  let busy = false;
  let again = false;
  let generation = 0;

  /** @returns {() => boolean} */
  const wanted = (mine = generation) => () => mine === generation;

  async function reload() {
    generation += 1;
    const isWanted = wanted();
    try {
      await load(isWanted);
    } catch (error) {
      if (isWanted()) failed(error);
    }
  }

  async function next() {
    if (busy) return;
    busy = true;
    try {
      await more(wanted());
    } catch { /* the next scroll asks again */ }
    busy = false;
  }

  async function refresh() {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    let rest = false;
    try {
      rest = await update(wanted());
    } catch { /* the next event asks again */ }
    busy = false;
    settled();
    if (again || rest) {
      again = false;
      refresh();
    }
  }

  return { reload, next, refresh };
}
