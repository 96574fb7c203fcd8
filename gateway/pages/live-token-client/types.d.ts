/** What goes over the wire, and what can be configured. */

/** What to lock a token to. What is left out has the server's default. */
export interface TokenFields {
  /** An allowed model, or an alias of one. */
  model?: string;
  responseModality?: "TEXT" | "AUDIO" | "text" | "audio";
  /** Whole minutes, from 1. */
  duration?: number;
  /** At most 1000 characters; refused where custom instructions are off. */
  systemInstruction?: string;
  /** 0 to 2. */
  temperature?: number;
  /** The user that a service asks for, where it may. */
  onBehalfOf?: string;
}

/** What a token is locked to. */
export interface TokenConstraints {
  model: string;
  /** Minutes. */
  maxDuration: number;
  responseModality: "TEXT" | "AUDIO";
  /** The name that was asked for, where the model has another. */
  requestedModel?: string;
  /** `YYYY-MM-DD`, where the model of the name asked for is gone. */
  requestedModelRetiredOn?: string;
  temperature?: number;
}

export interface UsageLimits {
  tokensPerHour: number;
  tokensPerDay: number;
}

/** A limit that is on, and what is used of it. */
export interface LimitUse {
  limit: "tokens_per_hour" | "tokens_per_day" | "cooldown" | "concurrent_sessions" | (string & {});
  /** Tokens; of the cooldown, seconds. */
  value: number;
  /** Tokens; of the cooldown, the seconds still to wait. */
  used: number;
  /** ISO 8601. Absent: now. */
  nextAllowedAt?: string;
}

/** The caller's quota. */
export interface Usage {
  activeTokens: number;
  tokensLastHour: number;
  tokensLastDay: number;
  limits: UsageLimits;
  /** ISO 8601; from when on the next token is allowed. Absent: now. */
  nextAllowedAt?: string;
  byLimit?: LimitUse[];
}

/** The models, durations and limits in force. */
export interface Config {
  defaultModel: string;
  allowedModels: string[];
  modelAliases: Record<string, string>;
  tokenDurationMinutes: number;
  maxTokenDurationMinutes: number;
  sessionStartWindowMinutes: number;
  customInstructionsAllowed: boolean;
  limits: UsageLimits;
  /** 0: none. */
  cooldownMinutes: number;
  /** 0: any number. */
  maxConcurrentSessions: number;
  apiVersion: string;
}

/** The answer to a request for a token. */
export interface TokenAnswer {
  success: true;
  token: string;
  /** ISO 8601. */
  expiresAt: string;
  /** ISO 8601; the last moment to open a session. */
  sessionStartWindow: string;
  constraints: TokenConstraints;
  usage: Usage;
  decisionId?: string;
  apiVersion?: string;
}

/** A JWT, or an API key. */
export type Credential = string | { apiKey: string };

/** Time, replaceable in tests. */
export interface Clock {
  /** Milliseconds since 1970, as `Date.now`. */
  now(): number;
  setTimeout(run: () => void, milliseconds: number): unknown;
  clearTimeout(timer: unknown): void;
}

export interface LiveTokensOptions {
  /** Where the gateway is. Default: where the page is from. */
  baseUrl?: string | URL;
  /** Of one user. A function is asked before each request, so it can renew a JWT. */
  credential: Credential | (() => Credential | Promise<Credential>);
  /** More headers for a request, such as `traceparent` or a proof; asked before each. */
  headers?: (request: {
    method: string;
    url: string;
  }) => Record<string, string> | Promise<Record<string, string>>;
  /** Default: the global one. */
  fetch?: (url: string, request: RequestInit) => Promise<Response>;
  clock?: Clock;
  /** For all attempts at a request together. Default: 30 000. */
  timeoutMs?: number;
  /** For one attempt. Default: 12 000, a little more than the gateway takes at most. */
  attemptTimeoutMs?: number;
  /** How often a request is made at most. Default: 4. */
  attempts?: number;
  /** A cached token that opens sessions for less than this is renewed. Default: 15 000. */
  marginMs?: number;
}
