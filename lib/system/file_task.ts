/**
 * Calls on files as steps of a task, so that one text serves both forms: with each
 * call in this thread, or in another one, for a caller that must not wait for a disk
 * that hangs.
 *
 * @module
 */

/**
 * One call. Both forms throw {@linkcode LibcError}. The errno of another thread
 * cannot be read, so a call that fails there is made again in this thread: a disk
 * that has just answered does not hang.
 */
export interface FileCall<T> {
  /** Makes the call and waits for it. */
  now(): T;
  /** Makes the call in another thread. */
  later(): Promise<T>;
}

/**
 * A call without a result.
 *
 * @param now makes the call and throws if it fails
 * @param later makes the call in another thread; -1 means that it has failed
 */
export function callOf(
  now: () => void,
  later: () => Promise<number | bigint>,
): FileCall<void> {
  return {
    now,
    async later() {
      if (Number(await later()) === -1) now();
    },
  };
}

/** A task: it yields each call, and gets the result of the call. */
export type FileTask<T> = Generator<FileCall<unknown>, T, unknown>;

/** One call of a task, with the type of its result. */
export function* make<T>(call: FileCall<T>): FileTask<T> {
  return (yield call) as T;
}

/** Runs a task, and waits for each of its calls. */
export function runNow<T>(task: FileTask<T>): T {
  let step = task.next();
  while (!step.done) {
    let result: unknown;
    try {
      result = step.value.now();
    } catch (error) {
      step = task.throw(error);
      continue;
    }
    step = task.next(result);
  }
  return step.value;
}

/**
 * Runs a task with its calls in another thread, one after the other.
 *
 * @param isLate whether the result is waited for no more: the task does not go on
 * when its call has returned
 * @throws {Error} if that is so
 */
export async function runLater<T>(
  task: FileTask<T>,
  isLate: () => boolean = () => false,
): Promise<T> {
  let step = task.next();
  while (!step.done) {
    let go: () => typeof step;
    try {
      const result = await step.value.later();
      go = () => task.next(result);
    } catch (error) {
      go = () => task.throw(error);
    }
    if (isLate()) throw new Error("the result is waited for no more");
    step = go();
  }
  return step.value;
}

/** Buffers that another thread uses: the garbage collector does not know of it. */
const inUse = new Set<unknown>();

/** Keeps buffers while a call in another thread is under way. */
export async function keeping<T>(
  buffers: unknown,
  call: Promise<T>,
): Promise<T> {
  inUse.add(buffers);
  try {
    return await call;
  } finally {
    inUse.delete(buffers);
  }
}
