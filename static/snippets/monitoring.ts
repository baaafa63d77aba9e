// Reports errors to tocsin. One file without dependencies; runs in Node 18+, browsers and edge functions.
//   import { captureError } from "./monitoring";
//   try { pay(order); } catch (error) { captureError(error, { context: { order: order.id } }); throw error; }
const DSN = "__TOCSIN_DSN__";
const TIMEOUT_MS = 2000;
const IN_FLIGHT_MAX = 5; // more at once is a storm: the app must not pay for it
const CHARS_MAX = 8000; // of one text

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
    const [known, dsn] = [error instanceof Error ? error : undefined, new URL(DSN)];
    const report = {
      error_type: known?.name ?? "Error",
      message: known?.message ?? (typeof error === "string" ? error : text(error)),
      stack_trace: known?.stack,
      severity: details.severity ?? "high",
      context: details.context,
      metadata: details.metadata,
      user_id: details.userId,
      release: details.release,
      environment: details.environment,
      platform: "javascript",
    };
    const answer = await fetch(`${dsn.protocol}//${dsn.host}/api/v1/errors?sentry_key=${dsn.username}`, {
      method: "POST",
      body: text(report),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    await answer.body?.cancel();
  } catch {
    // The app matters more than its alarm.
  } finally {
    inFlight -= 1;
  }
}

/** JSON of anything: circles and odd numbers included, long texts cut. */
function text(value: unknown): string {
  const seen = new Set<unknown>();
  return JSON.stringify(value, (_name, part: unknown) => {
    if (typeof part === "string") return part.slice(0, CHARS_MAX);
    if (typeof part === "bigint" || (typeof part === "number" && !isFinite(part))) return String(part);
    if (typeof part !== "object" || part === null) return part;
    if (seen.has(part)) return "[seen above]";
    seen.add(part);
    return part;
  }) ?? String(value);
}
