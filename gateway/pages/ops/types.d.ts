/** What the API says, in the JSON of tokenservice/v1/operations.proto. Nothing of it is there at run time. */

/** One moment of the service. Durations are as in `0.250s`. */
export interface Moment {
  time: string;
  /** Absent or `0s` where there is nothing yet to count. */
  period?: string;
  instance: string;
  startTime: string;
  issued: number;
  replayed: number;
  refused: { reason: string; count: number }[];
  hops: Hop[];
  dependencies: { name: string; state: string }[];
  activeCalls: number;
  capacity: number;
}

/** A part of the way. */
export interface Hop {
  name: string;
  count: number;
  p50?: string;
  p99?: string;
}

/** Who is meant: one of the two. */
export interface Offender {
  user?: string;
  address?: string;
}

/** Somebody who was refused. */
export interface RefusedClient {
  offender: Offender;
  refusals: number;
  lastReason: string;
  lastTime: string;
}

/** A block in force. */
export interface Block {
  offender: Offender;
  reason: string;
  actor: string;
  createTime: string;
  expireTime: string;
}

/** What was counted in a length of time. Times are the page's, in milliseconds since 1970. */
export interface Sample {
  start: number;
  end: number;
  /** Which connection brought it: between two of them something may be missing. */
  connection: number;
  issued: number;
  replayed: number;
  refused: Map<string, number>;
}

/** How it stands with the stream. */
export type State =
  | { kind: "idle" | "connecting" | "live" }
  | { kind: "waiting"; why: string; until: number; planned: boolean }
  | { kind: "stopped"; why: string };
