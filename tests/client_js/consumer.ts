/** A program in TypeScript that uses the client: it has to compile, and its mistakes must not. */

import { GoogleGenAI, type LiveServerMessage, type Session } from "@google/genai";
import {
  type Clock,
  type ConnectOptions,
  type Credential,
  LiveConnectError,
  type LiveToken,
  LiveTokenError,
  LiveTokens,
  type LiveTokensOptions,
  type TokenFields,
  type Usage,
  connect,
} from "live-token-client";

const clock: Clock = { now: Date.now, setTimeout, clearTimeout: () => {} };
const credential: Credential = { apiKey: "key" };
const options: LiveTokensOptions = { baseUrl: new URL("https://gateway.test"), credential, clock };
const tokens = new LiveTokens(options);
new LiveTokens({ credential: "jwt", fetch });
new LiveTokens({ credential: async () => "jwt", headers: () => ({ traceparent: "00-1-2-01" }) });
const fields: TokenFields = { duration: 15, responseModality: "TEXT", temperature: 0.5 };

export async function talk(signal: AbortSignal): Promise<Session | undefined> {
  const connecting: ConnectOptions = { signal, timeoutMs: 5000 };
  try {
    await tokens.prefetch(fields, { signal, renew: true });
    const token: LiveToken = await tokens.get(fields, { signal });
    const texts: string[] = [token.value, token.model, token.apiVersion, String(token)];
    const numbers: number[] = [token.opensForMs(), token.constraints.maxDuration];
    const dates: Date[] = [token.expiresAt, token.sessionStartWindow];
    const session: Session = await connect(
      GoogleGenAI,
      token,
      {
        callbacks: {
          onmessage: (message: LiveServerMessage) => texts.push(message.text ?? ""),
          onclose: (event) => numbers.push(event.code),
        },
      },
      connecting,
    );
    session.sendClientContent({ turns: "hello" });
    return dates.length > 0 ? session : undefined;
  } catch (error) {
    if (error instanceof LiveTokenError) {
      const wait: number | undefined = error.retryAfter;
      const told: (string | undefined)[] = [error.code, error.limit, error.requestId, error.traceId];
      return wait && told ? talk(signal) : undefined;
    }
    if (error instanceof LiveConnectError && error.code === 1011) return undefined;
    throw error;
  }
}

export async function mistakes(token: LiveToken, usage: Usage): Promise<void> {
  // @ts-expect-error a credential is needed
  new LiveTokens({ baseUrl: "https://gateway.test" });
  // @ts-expect-error it is a text, or has an apiKey
  new LiveTokens({ credential: { key: "x" } });
  // @ts-expect-error there is no such field
  await tokens.get({ minutes: 15 });
  // @ts-expect-error there is no such modality
  await tokens.get({ responseModality: "VIDEO" });
  // @ts-expect-error a duration is a number
  await tokens.requestToken({ duration: "15" });
  // @ts-expect-error a signal is no field
  await tokens.usage(new AbortController().signal);
  // @ts-expect-error it cannot be changed
  token.value = "auth_tokens/another";
  // @ts-expect-error it cannot be changed either
  token.expiresAt = new Date();
  // @ts-expect-error the limit is a number
  const limit: string = usage.limits.tokensPerHour;
  // @ts-expect-error the SDK needs to be told what to do with messages
  await connect(GoogleGenAI, token, { callbacks: {} });
  // @ts-expect-error the class is wanted, not one of it
  await connect(new GoogleGenAI({ apiKey: token.value }), token, { callbacks: { onmessage() {} } });
  // @ts-expect-error a code is a number, or one of three words
  if (new LiveConnectError("CLOSED", "").code) return void limit;
}
