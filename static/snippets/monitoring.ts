// Reports errors to tocsin. One file without dependencies; runs in Node 18+, browsers and edge functions.
//   import { captureError } from "./monitoring";
//   try { pay(order); } catch (error) { captureError(error, { context: { order: order.id } }); throw error; }
const DSN = "__TOCSIN_DSN__";
const TIMEOUT_MS = 2000;
const IN_FLIGHT_MAX = 5; // more at once is a storm: the app must not pay for it
const CHARS_MAX = 8000; // of one text
const PARTS_MAX = 5000; // of one report

export type Details = {
  severity?: "low" | "medium" | "high" | "critical";
  context?: Record<string, unknown>;
  metadata?: Record<string, unknown>;
  userId?: string; release?: string; environment?: string;
};

let inFlight = 0;

/** Sends an error once and forgets it: never throws, gives up after 2 s. Await it where the process ends next. */
export async function captureError(error: unknown, details: Details = {}): Promise<void> {
  if (inFlight >= IN_FLIGHT_MAX) return;
  inFlight += 1;
  try {
    const dsn = new URL(DSN);
    const known = error instanceof Error ? error : undefined;
    const { userId: user_id, severity = "high", context, metadata, release, environment } = details;
    const report = {
      severity, context, metadata, user_id, release, environment, platform: "javascript",
      get error_type() { return String(known?.name ?? "Error"); },
      get message() { return known ? String(known.message) : typeof error === "string" ? error : text(() => error); },
      get stack_trace() { return known && trace(known); },
    };
    const answer = await fetch(`${dsn.protocol}//${dsn.host}/api/v1/errors?sentry_key=${dsn.username}`, {
      method: "POST", body: text(() => report), signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    await answer.body?.cancel();
  } catch { /* The app matters more than its alarm. */ } finally {
    inFlight -= 1;
  }
}
/** Where an error comes from, and what caused it. */
function trace(error: any, depth = 0): string {
  if (!(error instanceof Error)) return text(() => error);
  const own = String(error.stack ?? error), cause = error.cause;
  return cause == null || depth > 4 ? own : `${own}\nCaused by: ${trace(cause, depth + 1)}`;
}
const text = (read: () => unknown): string => JSON.stringify(plain(read)) ?? String(read());
/** What JSON can say of anything: circles, odd numbers and what cannot be read included, long texts cut. */
function plain(read: () => any, above: unknown[] = [], left = { parts: PARTS_MAX }): unknown {
  try {
    const value = read();
    if (typeof value === "string" || typeof value === "bigint" || (typeof value === "number" && !isFinite(value))) return String(value).slice(0, CHARS_MAX);
    if (typeof value !== "object" || value === null) return value;
    if (above.includes(value) || above.length > 20 || --left.parts < 0) return above.includes(value) ? "[seen above]" : "[left out]";
    const path = [...above, value], part = (key: any) => plain(() => value[key], path, left);
    if (value instanceof Error || typeof value.toJSON === "function") return plain(() => value.toJSON?.() ?? trace(value), path, left);
    return Array.isArray(value) ? [...value.keys()].map(part) : Object.fromEntries(Object.keys(value).map((key) => [key, part(key)]));
  } catch { return "[unreadable]"; }
}
